// SPDX-License-Identifier: Apache-2.0
// A policy that is stepped at another rate than in training says so. The clock is the test's.
#include "fixture.h"

#include "base/log.h"

static double now;

static double test_clock(void) {
    return now;
}

// n observations every `interval` seconds, with a hiccup among them; whether a warning came, and
// what it says in text (256).
static bool warned(tact_policy *p, const tact_observation *o, int n, double interval, char *text) {
    FILE *log = tmpfile();
    int out = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(log), STDERR_FILENO);
    tact_status status = TACT_OK;
    for (int i = 0; i < n && status == TACT_OK; i++) {
        status = tact_observe(p, o);
        now += interval * (i % 5 == 2 ? 4 : 1);
    }
    fflush(stderr);
    dup2(out, STDERR_FILENO);
    close(out);
    rewind(log);
    size_t size = fread(text, 1, 255, log);
    text[size] = '\0';
    fclose(log);
    WORKS(p, status);
    return size > 0;
}

static tact_policy *open_checked(const Scene *s, int check) {
    tact_options o = options();
    o.rate_check = check;
    tact_policy *p = open_policy(s, &o);
    p->rate.clock = test_clock;
    return p;
}

static void another_rate_is_told_once(void **state) {
    Scene *s = *state;
    char text[256];
    tact_policy *p = open_checked(s, 1);
    look(s, 0);
    assert_true(tact_fps(p) == 10 && tact_step_rate(p) == 0);
    assert_false(warned(p, &s->seen, 40, 0.1, text));
    assert_within(tact_step_rate(p), 10, 1e-9);
    assert_false(warned(p, &s->seen, 20, 0.085, text));
    assert_false(warned(p, &s->seen, 20, 0.115, text));
    WORKS(p, tact_reset(p));
    assert_true(tact_step_rate(p) == 0);
    assert_false(warned(p, &s->seen, RATE_INTERVALS, 0.05, text)); // too few to say
    assert_true(warned(p, &s->seen, 1, 0.05, text));
    assert_within(tact_step_rate(p), 20, 1e-9);
    assert_non_null(strstr(text, "WARNING"));
    assert_non_null(strstr(text, "trained at 10 steps a second and is stepped at 20:"));
    assert_false(warned(p, &s->seen, 40, 0.05, text));
    tact_close(&p);
    p = open_checked(s, 1);
    assert_true(warned(p, &s->seen, 20, 0.13, text)); // slower
    tact_close(&p);
    p = open_checked(s, 0); // a replay
    assert_false(warned(p, &s->seen, 40, 0.001, text));
    assert_within(tact_step_rate(p), 1000, 1e-6);
    tact_close(&p);
}

static void refused_observations_do_not_count(void **state) {
    Scene *s = *state;
    tact_policy *p = open_checked(s, 1);
    tact_observation bad = *look(s, 0);
    bad.state_size--;
    for (int i = 0; i < 8; i++) {
        WORKS(p, tact_observe(p, &s->seen));
        now += 0.05;
        assert_int_equal(tact_observe(p, &bad), TACT_ERROR_OBSERVATION);
        now += 0.05;
    }
    assert_within(tact_step_rate(p), 10, 1e-9);
    tact_close(&p);
}

static void the_clock_is_the_monotonic_one(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    assert_true(p->rate.clock == clock_seconds);
    tact_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_rate_is_told_once),
        cmocka_unit_test(refused_observations_do_not_count),
        cmocka_unit_test(the_clock_is_the_monotonic_one),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
