// SPDX-License-Identifier: Apache-2.0
// The public structs as the header of another version has them, and where log lines go.
#include "fixture.h"

#include <fcntl.h>
#include <unistd.h>

// ---- sizes --------------------------------------------------------------------------------------

// Structs of a later version have further members at the end.
typedef struct LaterImage {
    tact_image known;
    double exposure;
    void *depth;
} LaterImage;

typedef struct LaterObservation {
    tact_observation known;
    const double *force;
} LaterObservation;

typedef struct LaterOptions {
    tact_options known;
    int more;
} LaterOptions;

static void a_later_program_is_taken_while_it_asks_for_nothing_new(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double a[ACTION], b[ACTION];
    WORKS(p, tact_step(p, look(s, 5), a));
    LaterImage images[CAMERAS];
    memset(images, 0, sizeof images);
    for (int i = 0; i < CAMERAS; i++) {
        images[i].known = s->images[i];
        images[i].known.size = sizeof images[i];
    }
    LaterObservation later = {.known = s->seen};
    later.known.size = sizeof later;
    later.known.images = &images[0].known;
    WORKS(q, tact_step(q, &later.known, b));
    assert_memory_equal(a, b, sizeof a);

    images[1].exposure = 0.5;
    assert_int_equal(tact_observe(q, &later.known), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(q), "tact_image: size"));
    images[1].exposure = 0;
    later.force = a;
    assert_int_equal(tact_observe(q, &later.known), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(q), "tact_observation: size"));
    later.force = NULL;
    images[1].known.size -= sizeof(void *); // not as far apart as the first says
    assert_int_equal(tact_observe(q, &later.known), TACT_ERROR_OBSERVATION);
    tact_close(&p);
    tact_close(&q);
}

static void later_options_are_taken_too(void **state) {
    Scene *s = *state;
    LaterOptions o = {.more = 7};
    tact_policy *p;
    tact_options_default(&o.known, sizeof o);
    assert_true(o.known.size == sizeof o && o.more == 0);
    o.known.threads = 1;
    if (tact_open(s->model, &o.known, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    tact_close(&p);
    o.more = 1;
    assert_int_equal(tact_open(s->model, &o.known, &p), TACT_ERROR_ARGUMENT);
    assert_non_null(strstr(tact_message(NULL), "tact_options: size"));
}

// Options as tact 0.1.0 had them ended before log. What lies behind them is not theirs.
static void earlier_options_keep_the_defaults_of_the_rest(void **state) {
    Scene *s = *state;
    tact_options o;
    tact_policy *p;
    memset(&o, 0xff, sizeof o); // of blend_steps and the delays as well
    tact_options_default(&o, offsetof(tact_options, log));
    assert_int_equal(o.size, offsetof(tact_options, log));
    o.threads = 1, o.n_action_steps = 2, o.rate_check = 0;
    if (tact_open(s->model, &o, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    assert_int_equal(tact_n_action_steps(p), 2);
    assert_null(p->log);
    assert_true(p->blend_steps == 0 && p->schedule.robot_action == 0);
    assert_int_equal(p->prefix.most, 0); // -1, of a policy that was trained for none
    tact_close(&p);
}

// An observation of 0.1.0 ended with n_images: it has no times, whatever lies behind it.
static void earlier_observations_are_of_now(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    double a[ACTION], b[ACTION];
    WORKS(p, tact_step(p, look(s, 5), a));
    tact_observation earlier = s->seen;
    earlier.size = offsetof(tact_observation, time);
    earlier.time = earlier.state_time = NAN;
    WORKS(q, tact_step(q, &earlier, b));
    assert_memory_equal(a, b, sizeof a);
    assert_false(q->schedule.by_clock);
    earlier.size -= sizeof(size_t); // no version had it so
    assert_int_equal(tact_observe(q, &earlier), TACT_ERROR_OBSERVATION);
    tact_close(&p);
    tact_close(&q);
}

static void what_is_filled_in_fits(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    struct {
        tact_camera known;
        int more;
    } later = {.known = {.size = sizeof later}, .more = 7};
    tact_camera earlier = {.size = offsetof(tact_camera, width), .width = 7};
    tact_camera_at(p, 0, &later.known);
    assert_true(later.known.size == sizeof later && later.known.width == WIDTH && later.more == 0);
    tact_camera_at(p, 0, &earlier);
    assert_true(earlier.height == HEIGHT && earlier.width == 7);
    tact_close(&p);
}

static void a_size_that_was_not_set_is_refused(void **state) {
    Scene *s = *state;
    const size_t wrong[] = {0, 1, sizeof(void *), SIZE_MAX, 5000};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tact_policy *p = open_policy(s, NULL);
        tact_observation o = *look(s, 0);
        o.size = wrong[i];
        assert_int_equal(tact_observe(p, &o), TACT_ERROR_OBSERVATION);
        assert_non_null(strstr(tact_message(p), "set it to sizeof(tact_observation)"));
        tact_image images[CAMERAS] = {s->images[0], s->images[1]};
        images[0].size = wrong[i];
        o = s->seen;
        o.images = images;
        assert_int_equal(tact_observe(p, &o), TACT_ERROR_OBSERVATION);
        assert_non_null(strstr(tact_message(p), "set it to sizeof(tact_image)"));
        tact_close(&p);
    }
}

// ---- the log ------------------------------------------------------------------------------------

typedef struct Lines {
    int count, warnings;
    char newest[512];
} Lines;

static void take_line(void *user, tact_log_level level, const char *line) {
    Lines *l = user;
    l->count++;
    l->warnings += level == TACT_LOG_WARNING;
    snprintf(l->newest, sizeof l->newest, "%s", line);
}

static double slow_clock(void) {
    static double now;
    return now += 1; // one observation a second, where ten were meant
}

static tact_policy *open_with_log(Scene *s, Lines *lines) {
    tact_options o = options();
    o.rate_check = 1;
    if (lines) o.log = take_line, o.log_user = lines;
    tact_policy *p = open_policy(s, &o);
    p->rate.clock = slow_clock;
    return p;
}

// What stderr gets while a handle is observed often enough for the warning of its rate.
static size_t stderr_of(Scene *s, tact_policy *p, char *text, size_t size) {
    const char *path = at(&s->arena, s->dir, "stderr");
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), before = dup(STDERR_FILENO);
    assert_true(file >= 0 && before >= 0);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    for (int i = 0; i < RATE_INTERVALS + 2; i++) WORKS(p, tact_observe(p, look(s, 0)));
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    ssize_t n = pread(file, text, size - 1, 0);
    assert_true(n >= 0);
    text[n] = 0;
    close(before);
    close(file);
    unlink(path);
    return (size_t)n;
}

static void lines_go_to_the_handles_own_log(void **state) {
    Scene *s = *state;
    Lines one = {0}, other = {0};
    char text[1024];
    tact_policy *p = open_with_log(s, &one), *q = open_with_log(s, &other),
                *plain = open_with_log(s, NULL);
    assert_int_equal(stderr_of(s, p, text, sizeof text), 0);
    assert_true(one.count == 1 && one.warnings == 1 && other.count == 0);
    assert_int_equal(strncmp(one.newest, "the policy was trained at 10 steps", 34), 0);
    assert_null(strchr(one.newest, '\n'));
    assert_true(stderr_of(s, plain, text, sizeof text) > 0);
    assert_int_equal(strncmp(text, "WARNING ", 8), 0);
    assert_true(one.count == 1 && other.count == 0);
    // Lines that this thread logs outside of libtact belong to the program.
    log_warn("not the library's");
    assert_true(one.count == 1 && other.count == 0);
    tact_close(&p);
    tact_close(&q);
    tact_close(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_program_is_taken_while_it_asks_for_nothing_new),
        cmocka_unit_test(later_options_are_taken_too),
        cmocka_unit_test(earlier_options_keep_the_defaults_of_the_rest),
        cmocka_unit_test(earlier_observations_are_of_now),
        cmocka_unit_test(what_is_filled_in_fits),
        cmocka_unit_test(a_size_that_was_not_set_is_refused),
        cmocka_unit_test(lines_go_to_the_handles_own_log),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
