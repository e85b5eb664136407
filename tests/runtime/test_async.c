// SPDX-License-Identifier: Apache-2.0
// The asynchronous mode against the synchronous predictions of the same windows, bit for bit. The
// worker stands at a gate before it computes, so a test decides in which step an answer is there.
#include "fixture.h"

#include <malloc.h>
#include <omp.h>

typedef struct Tests {
    Scene *scene;
    double chunks[2 * FRAMES][CHUNK * ACTION]; // predicted at every row
} Tests;

static int tests_new(void **state) {
    Tests *t = NEW(Tests, 1);
    if (scene_new((void **)&t->scene)) return -1;
    tact_policy *p = open_policy(t->scene, NULL);
    for (int row = 0; row < 2 * FRAMES; row++) {
        if (row == FRAMES) WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, look(t->scene, row)));
        WORKS(p, tact_predict_chunk(p, t->chunks[row]));
    }
    tact_close(&p);
    *state = t;
    return 0;
}

static int tests_free(void **state) {
    Tests *t = *state;
    int status = scene_free((void **)&t->scene);
    mem_free(t);
    return status;
}

// ---- the gate -----------------------------------------------------------------------------------

typedef enum Fault { NO_FAULT, DEVICE_FAULT, NAN_FAULT } Fault;

// Not on the stack: a test that fails leaves its worker waiting there.
typedef struct Gate {
    tact_policy *policy;
    sem_t open;
    Fault fault; // what the next prediction meets
} Gate;

static void pass_gate(void *context) {
    Gate *g = context;
    while (sem_wait(&g->open)) {
    }
    if (g->fault == DEVICE_FAULT) device_fail(g->policy->device, "the card fell out");
    if (g->fault == NAN_FAULT) g->policy->snapshot.state[0] = NAN;
    g->fault = NO_FAULT;
}

static void open_gate(Gate *g) {
    sem_post(&g->open);
}

// Waits until the prediction under way is done; the next call that looks for it takes it.
static void let_finish(Gate *g) {
    assert_true(g->policy->worker.busy);
    open_gate(g);
    worker_wait(&g->policy->worker);
}

static tact_options asynchronous(void) {
    tact_options o = options();
    o.asynchronous = 1;
    return o;
}

static tact_policy *open_gated(const Tests *t, const tact_options *o, Gate *g) {
    tact_options plain = asynchronous();
    *g = (Gate){.policy = open_policy(t->scene, o ? o : &plain)};
    sem_init(&g->open, 0, 0);
    g->policy->worker.before = pass_gate;
    g->policy->worker.context = g;
    return g->policy;
}

static void close_gated(Gate *g) {
    if (g->policy->worker.busy && !g->policy->worker.ready) open_gate(g);
    tact_close(&g->policy);
    sem_destroy(&g->open);
    mem_free(g);
}

static void is_action(const Tests *t, const double *action, int from, int i) {
    assert_true(i < CHUNK);
    assert_memory_equal(action, t->chunks[from] + i * ACTION, ACTION * sizeof *action);
}

// The first step of an episode at a row, and then n-1 more, each prediction taking `delay` steps:
// the actions are those of the chunk asked for last that is there, the i-th for i steps after its
// row.
static void play(const Tests *t, Gate *g, int row, int n, int delay, double threshold) {
    tact_policy *p = g->policy;
    int from = row, asked = -1;
    double action[ACTION];
    WORKS(p, tact_observe(p, look(t->scene, row)));
    open_gate(g);
    WORKS(p, tact_act(p, action));
    is_action(t, action, row, 0);
    for (int now = row + 1; now < row + n; now++) {
        WORKS(p, tact_observe(p, look(t->scene, now)));
        if (asked < 0 && STEPS - (now - from) <= threshold * STEPS) asked = now;
        assert_int_equal(p->worker.busy, asked >= 0);
        if (asked >= 0 && now - asked == delay) {
            let_finish(g);
            from = asked, asked = -1;
        }
        WORKS(p, tact_act(p, action));
        is_action(t, action, from, now - from);
        assert_int_equal(async_counts(p).delay, from == row ? 0 : delay);
    }
    assert_true(async_counts(p).stalls == 0 && from > row + n / 2);
}

// ---- tests --------------------------------------------------------------------------------------

// ThreadSanitizer takes long to open a policy: what differs in numbers alone is tried once there.
#ifdef __SANITIZE_THREAD__
enum { ONCE = 1 };
#else
enum { ONCE = 0 };
#endif

static void what_is_past_is_left_out(void **state) {
    const Tests *t = *state;
    for (int cache = ONCE; cache < 2; cache++)
        for (int delay = ONCE; delay < (ONCE ? 2 : STEPS); delay++) {
            Gate *g = NEW(Gate, 1);
            tact_options o = asynchronous();
            o.frame_cache = cache;
            open_gated(t, &o, g);
            play(t, g, 0, FRAMES, delay, 0.5);
            assert_int_equal(async_counts(g->policy).longest_delay, delay);
            close_gated(g);
        }
}

static void the_threshold_says_when_to_ask(void **state) {
    const Tests *t = *state;
    const double thresholds[] = {0, 0.34, 1};
    for (int i = 0; i < (ONCE ? 1 : 3); i++) {
        Gate *g = NEW(Gate, 1);
        tact_options o = asynchronous();
        o.chunk_size_threshold = thresholds[i];
        open_gated(t, &o, g);
        play(t, g, 0, FRAMES, 1, thresholds[i]);
        close_gated(g);
    }
}

// A chunk is asked for when all actions are given out, and is there at once.
static void without_threshold_and_delay_it_is_the_synchronous_mode(void **state) {
    const Tests *t = *state;
    Gate *g = NEW(Gate, 1);
    tact_options o = asynchronous();
    o.chunk_size_threshold = 0;
    tact_policy *p = open_gated(t, &o, g), *q = open_policy(t->scene, NULL);
    double a[ACTION], b[ACTION];
    for (int row = 0; row < FRAMES; row++) {
        WORKS(p, tact_observe(p, look(t->scene, row)));
        if (row % STEPS == 0) let_finish(g);
        WORKS(p, tact_act(p, a));
        WORKS(q, tact_step(q, &t->scene->seen, b));
        assert_memory_equal(a, b, sizeof a);
    }
    close_gated(g);
    tact_close(&q);
}

static void a_late_chunk_is_waited_for_in_place(void **state) {
    const Tests *t = *state;
    Gate *g = NEW(Gate, 1);
    double action[ACTION], last[ACTION];
    tact_policy *p = open_gated(t, NULL, g);
    open_gate(g);
    for (int row = 0; row < CHUNK; row++) { // beyond STEPS, to the end; asked at row 2
        WORKS(p, tact_step(p, look(t->scene, row), action));
        is_action(t, action, 0, row);
    }
    memcpy(last, action, sizeof last);
    for (int n = 1; n <= 3; n++) {
        WORKS(p, tact_step(p, look(t->scene, CHUNK - 1 + n), action));
        assert_memory_equal(action, last, sizeof last);
        assert_int_equal(async_counts(p).stalls, n);
    }
    let_finish(g);
    WORKS(p, tact_act(p, action));
    is_action(t, action, 2, 3); // goes on where it stopped
    assert_int_equal(async_counts(p).delay, 3);
    WORKS(p, tact_observe(p, look(t->scene, 8)));
    let_finish(g);
    WORKS(p, tact_act(p, action));
    is_action(t, action, 8, 0);
    tact_async_counts n = async_counts(p);
    assert_true(n.predictions == 3 && n.stalls == 3 && n.delay == 0 && n.longest_delay == 3);
    close_gated(g);
}

static void a_reset_drops_what_is_under_way(void **state) {
    const Tests *t = *state;
    double action[ACTION];
    for (int finished = 0; finished < 3;
         finished++) { // before the reset, after it, in the next step
        Gate *g = NEW(Gate, 1);
        tact_policy *p = open_gated(t, NULL, g);
        play(t, g, 0, 14, 1, 0.5);
        for (int row = 14; !p->worker.busy; row++)
            WORKS(p, tact_step(p, look(t->scene, row), action));
        if (finished == 0) let_finish(g);
        WORKS(p, tact_reset(p));
        if (finished == 1) let_finish(g);
        if (finished == 2) open_gate(g);
        assert_int_equal(tact_act(p, action), TACT_ERROR_NOTHING_SEEN);
        play(t, g, FRAMES, FRAMES, 2, 0.5);
        close_gated(g);
    }
}

static void fails(tact_policy *p, tact_status status, const char *says) {
    double action[ACTION] = {42};
    assert_int_equal(tact_act(p, action), status);
    if (!strstr(tact_message(p), says)) fail_msg("\"%s\" is not in: %s", says, tact_message(p));
    assert_true(action[0] == 42);
}

static void a_failure_is_told_once_and_gone(void **state) {
    static const struct {
        Fault fault;
        tact_status status;
        const char *says;
    } cases[] = {{DEVICE_FAULT, TACT_ERROR_DEVICE, "the card fell out"},
                 {NAN_FAULT, TACT_ERROR_PREDICTION, "not finite"}};
    const Tests *t = *state;
    for (int i = 0; i < 2; i++) {
        Gate *g = NEW(Gate, 1);
        double action[ACTION], chunk[CHUNK * ACTION];
        tact_policy *p = open_gated(t, NULL, g);
        g->fault = cases[i].fault; // of the first, without which there is no action
        WORKS(p, tact_observe(p, look(t->scene, 0)));
        open_gate(g);
        fails(p, cases[i].status, cases[i].says);
        open_gate(g);
        WORKS(p, tact_act(p, action));
        is_action(t, action, 0, 0);
        WORKS(p, tact_step(p, look(t->scene, 1), action));
        g->fault = cases[i].fault; // while a chunk is played
        WORKS(p, tact_observe(p, look(t->scene, 2)));
        let_finish(g);
        WORKS(p, tact_observe(p, look(t->scene, 3)));
        fails(p, cases[i].status, cases[i].says);
        WORKS(p, tact_act(p, action));
        is_action(t, action, 0, 2);
        g->fault = cases[i].fault; // told by tact_predict_chunk
        WORKS(p, tact_observe(p, look(t->scene, 4)));
        open_gate(g);
        assert_int_equal(tact_predict_chunk(p, chunk), cases[i].status);
        open_gate(g);
        WORKS(p, tact_predict_chunk(p, chunk));
        assert_memory_equal(chunk, t->chunks[4], sizeof chunk);
        WORKS(p, tact_reset(p));
        play(t, g, FRAMES, FRAMES, 1, 0.5);
        close_gated(g);
    }
}

static void bad_observations_pass_by_a_prediction(void **state) {
    const Tests *t = *state;
    Scene *s = t->scene;
    Gate *g = NEW(Gate, 1);
    double action[ACTION];
    tact_policy *p = open_gated(t, NULL, g);
    open_gate(g);
    for (int row = 0; row < 3; row++) WORKS(p, tact_step(p, look(s, row), action));
    assert_true(p->worker.busy);
    tact_observation o = s->seen;
    o.state_size--;
    assert_int_equal(tact_step(p, &o, action), TACT_ERROR_OBSERVATION);
    s->images[0].height--;
    assert_int_equal(tact_step(p, &s->seen, action), TACT_ERROR_OBSERVATION);
    s->images[0].height++;
    s->state[2] = NAN;
    assert_int_equal(tact_step(p, &s->seen, action), TACT_ERROR_OBSERVATION);
    WORKS(p, tact_act(p, action));
    is_action(t, action, 0, 3);
    let_finish(g);
    WORKS(p, tact_step(p, look(s, 3), action));
    is_action(t, action, 2, 2);
    assert_true(async_counts(p).stalls == 0);
    close_gated(g);
}

// A chunk that is asked for in between changes nothing of what is played, and is the one that
// training evaluates.
static void whole_chunks_are_predicted_in_between(void **state) {
    const Tests *t = *state;
    tact_options o = asynchronous();
    tact_policy *p = open_policy(t->scene, &o);
    Reference r;
    double chunk[CHUNK * ACTION], want[CHUNK * ACTION], action[ACTION];
    reference_open(&r, t->scene);
    for (int row = 0; row < FRAMES; row++) {
        WORKS(p, tact_observe(p, look(t->scene, row)));
        WORKS(p, tact_predict_chunk(p, chunk));
        assert_memory_equal(chunk, t->chunks[row], sizeof chunk);
        reference_chunk(&r, row, want);
        assert_within(chunk_distance(chunk, want, CHUNK), 0, 3e-6);
        WORKS(p, tact_act(p, action));
        is_action(t, action, row / 2 * 2, row % 2); // every second step, without a delay
    }
    reference_close(&r);
    tact_close(&p);
}

// Two threads may meet in the allocator, which then carves one of oneDNN's small blocks anew
// instead of giving out the last one again: once, not every step.
static void nothing_grows_after_the_first_step(void **state) {
    enum { STEPS_SEEN = 40, SMALL = 1024 };
    const Tests *t = *state;
    tact_options o = asynchronous();
    tact_policy *p = open_policy(t->scene, &o);
    double action[ACTION];
    size_t before = 0;
    look(t->scene, 3);
    for (int i = 0; i < STEPS_SEEN; i++) {
        WORKS(p, tact_step(p, &t->scene->seen, action));
        if (p->worker.busy) worker_wait(&p->worker); // it takes small blocks while it computes
        if (i == 0) before = mallinfo2().uordblks;
    }
    assert_true(async_counts(p).predictions > 3);
    assert_true(mallinfo2().uordblks <= before + SMALL);
    tact_close(&p);
}

static void what_does_not_go_together_is_refused(void **state) {
    const Tests *t = *state;
    const char *model = t->scene->model;
    tact_options o = asynchronous();
    o.temporal_ensemble_coeff = 0.01;
    not_opened(model, &o, TACT_ERROR_ARGUMENT, "temporal ensembling needs");
    for (int i = 0; i < 3; i++) {
        o = asynchronous(), o.chunk_size_threshold = (double[]){-0.1, 1.1, NAN}[i];
        not_opened(model, &o, TACT_ERROR_ARGUMENT, "chunk_size_threshold");
    }
    o = asynchronous(), o.threads = 0; // one processor is left to the caller
    tact_policy *p = open_policy(t->scene, &o);
    int processors = omp_get_num_procs();
    assert_int_equal(p->device->threads, processors > 1 ? processors - 1 : 1);
    tact_close(&p);
}

// ---- at its own pace ----------------------------------------------------------------------------

typedef struct Episode1 {
    const Tests *tests;
    tact_policy *policy;
    const tact_observation *seen;
    double actions[2 * FRAMES][ACTION];
    bool ok;
} Episode1;

// Resets and closes come at any moment of the worker's work.
static void *run_freely(void *argument) {
    Episode1 *e = argument;
    double action[ACTION];
    e->ok = true;
    for (int i = 0; i < 4 * FRAMES; i++) {
        if (i % 7 == 3) e->ok = e->ok && tact_reset(e->policy) == TACT_OK;
        e->ok = e->ok && tact_step(e->policy, e->seen, action) == TACT_OK;
    }
    e->ok = e->ok && tact_reset(e->policy) == TACT_OK;
    for (int i = 0; i < 2 * FRAMES; i++) {
        e->ok = e->ok && tact_observe(e->policy, e->seen) == TACT_OK;
        if (e->policy->worker.busy) worker_wait(&e->policy->worker);
        e->ok = e->ok && tact_act(e->policy, e->actions[i]) == TACT_OK;
    }
    e->ok = e->ok && tact_observe(e->policy, e->seen) == TACT_OK;
    tact_close(&e->policy);
    return NULL;
}

static void two_policies_run_in_two_threads(void **state) {
    const Tests *t = *state;
    Episode1 *runs = NEW(Episode1, 2);
    pthread_t threads[2];
    tact_options o = asynchronous();
    for (int i = 0; i < 2; i++)
        runs[i] = (Episode1){t, open_policy(t->scene, &o), look(t->scene, 0), {{0}}, false};
    for (int i = 0; i < 2; i++)
        assert_false(pthread_create(&threads[i], NULL, run_freely, &runs[i]));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(runs[i].ok);
        // The same observation over and over: every chunk is that of row 0.
        for (int n = 0; n < 2 * FRAMES; n++) is_action(t, runs[i].actions[n], 0, n % 2);
    }
    mem_free(runs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_past_is_left_out),
        cmocka_unit_test(the_threshold_says_when_to_ask),
        cmocka_unit_test(without_threshold_and_delay_it_is_the_synchronous_mode),
        cmocka_unit_test(a_late_chunk_is_waited_for_in_place),
        cmocka_unit_test(a_reset_drops_what_is_under_way),
        cmocka_unit_test(a_failure_is_told_once_and_gone),
        cmocka_unit_test(bad_observations_pass_by_a_prediction),
        cmocka_unit_test(whole_chunks_are_predicted_in_between),
        cmocka_unit_test(nothing_grows_after_the_first_step),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(two_policies_run_in_two_threads),
    };
    return cmocka_run_group_tests(tests, tests_new, tests_free);
}
