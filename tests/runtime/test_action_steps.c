// SPDX-License-Identifier: Apache-2.0
// A policy whose actions are several steps apart: what a robot is given, step by step.
#include "fixture.h"

#include "runtime/actions.h"

enum { EVERY = 3, N = CHUNK * EVERY, PERIOD = STEPS * EVERY };

static double chunks[FRAMES][N][ACTION]; // predicted at every row of the first episode

static int scene_with_rare_actions(void **state) {
    if (scene_new(state)) return -1;
    Scene *s = *state;
    s->config.policy.action_down_sample_steps = EVERY;
    s->model = at(&s->arena, s->dir, "rare");
    write_policy(s);
    tact_policy *p = open_policy(s, NULL);
    for (int64_t row = 0; row < FRAMES; row++) {
        WORKS(p, tact_observe(p, look(s, row)));
        WORKS(p, tact_predict_chunk(p, chunks[row][0]));
    }
    tact_close(&p);
    return 0;
}

// ---- the steps between
// ----------------------------------------------------------------------------

// The angle from one action's rotation to another's.
static double angle(const double *a, const double *b) {
    const double turn[POSE_ROW] = {0};
    double x[POSE_ROW], y[POSE_ROW];
    memcpy(x, turn, sizeof x), memcpy(y, turn, sizeof y);
    memcpy(x + 3, a + 3, 3 * sizeof *x), memcpy(y + 3, b + 3, 3 * sizeof *y);
    return distance(x, y);
}

// steps (n * EVERY, ACTION) made of actions (n, ACTION), which may be `within` of those they were.
static void assert_filled_in(const double *steps, const double *actions, int n, double within) {
    for (int step = 0; step < n * EVERY; step++) {
        const double *got = steps + step * ACTION, *from = actions + step / EVERY * ACTION;
        const bool held = step / EVERY == n - 1;
        const double *to = held ? from : from + ACTION, share = (double)(step % EVERY) / EVERY;
        for (int i = 0; i < ACTION; i++)
            if (i < 3 || i == 6) assert_within(got[i], from[i] + share * (to[i] - from[i]), within);
        assert_within(angle(from, got), share * angle(from, to), within);
        assert_within(angle(got, to), (1 - share) * angle(from, to), within);
        if (!step) continue;
        // A program may interpolate number by number.
        double near[3] = {got[3], got[4], got[5]};
        pose_vector_near(near, got - ACTION + 3);
        assert_memory_equal(near, got + 3, sizeof near);
    }
}

static void the_steps_between_are_on_the_way(void **state) {
    (void)state;
    double actions[3][ACTION] = {{0.1, 0, 0.3, 0, 0, 3.0, 0.02}, // over an angle of pi
                                 {0.4, 0.3, 0, 0, 0.2, -2.9, 0.08},
                                 {0.4, -0.3, 0, 0.3, -0.5, 2.0, 0.05}};
    double steps[3 * EVERY][ACTION];
    memcpy(steps, actions, sizeof actions);
    actions_fill_in(steps[0], 3, EVERY, ACTION, 1);
    assert_filled_in(steps[0], actions[0], 3, 1e-6);

    double joints[6] = {1, -10, 4, 20, 0, 0},
           want[] = {1,        -10,     2,        0, 3, 10, 4, 20, 8 / 3.0,
                     40 / 3.0, 4 / 3.0, 20 / 3.0, 0, 0, 0,  0, 0,  0};
    double filled[3 * EVERY * 2];
    memcpy(filled, joints, sizeof joints);
    actions_fill_in(filled, 3, EVERY, 2, 0);
    for (int i = 0; i < 3 * EVERY * 2; i++) assert_within(filled[i], want[i], 1e-12);
    actions_fill_in(joints, 3, 1, 2, 0);
    assert_true(joints[0] == 1 && joints[5] == 0);
}

// ---- a policy
// -------------------------------------------------------------------------------------

static void everything_is_in_steps(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    assert_true(tact_fps(p) == 10);
    assert_int_equal(tact_chunk_size(p), N);
    assert_int_equal(tact_n_action_steps(p), PERIOD);
    tact_close(&p);
    tact_options o = options();
    o.n_action_steps = N;
    p = open_policy(s, &o);
    assert_int_equal(tact_n_action_steps(p), N);
    tact_close(&p);
    o.n_action_steps = N + 1;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "chunks have 15 actions");
}

static void a_chunk_has_the_predicted_actions_at_their_times(void **state) {
    Scene *s = *state;
    Reference r;
    double want[CHUNK * ACTION];
    reference_open(&r, s);
    for (int64_t row = 0; row < FRAMES; row++) {
        reference_chunk(&r, row, want);
        assert_filled_in(chunks[row][0], want, CHUNK, 3e-6); // float32, predicted twice
    }
    reference_close(&r);
}

static void a_step_takes_one_of_them(void **state) {
    Scene *s = *state;
    const int periods[] = {0, 1, 4, N};
    double action[ACTION];
    for (int i = 0; i < 4; i++) {
        tact_options o = options();
        o.n_action_steps = periods[i];
        const int period = periods[i] ? periods[i] : PERIOD;
        tact_policy *p = open_policy(s, &o);
        for (int64_t row = 0; row < FRAMES; row++) {
            const int64_t at = row % period;
            WORKS(p, tact_step(p, look(s, row), action));
            assert_within(distance(action, chunks[row - at][at]), 0, 1e-9);
        }
        tact_close(&p);
    }
}

// With waiting the worker's answer is always there at the next observation: it was asked for when
// half of the 9 steps of a chunk were left, and its first step is past.
static void a_worker_counts_in_steps(void **state) {
    Scene *s = *state;
    enum { ASKS = 5 };
    double action[ACTION];
    tact_options o = options();
    o.asynchronous = 1;
    tact_policy *p = open_policy(s, &o);
    for (int64_t row = 0; row < FRAMES; row++) {
        const int64_t asked = row == 0 ? 0 : (row - 1) / ASKS * ASKS;
        WORKS(p, tact_step(p, look(s, row), action));
        assert_within(distance(action, chunks[asked][row - asked]), 0, 1e-9);
        if (p->worker.busy) worker_wait(&p->worker);
    }
    assert_true(async_counts(p).stalls == 0 && async_counts(p).longest_delay == 1);
    tact_close(&p);
}

// An ensemble has a prediction of a step from every step whose chunk reaches it, the steps in which
// a chunk's last action is held left out.
static void an_ensemble_averages_what_foresaw_a_step(void **state) {
    Scene *s = *state;
    const double coeff = 0.1;
    double action[ACTION];
    tact_options o = options();
    o.temporal_ensemble_coeff = coeff;
    tact_policy *p = open_policy(s, &o);
    assert_int_equal(tact_n_action_steps(p), 1);
    for (int64_t row = 0; row < FRAMES; row++) {
        const int64_t foreseen = N - EVERY + 1, oldest = row < foreseen ? 0 : row - foreseen + 1;
        double sum[3] = {0}, weights = 0;
        for (int64_t from = oldest; from <= row; from++) {
            const double weight = exp(-coeff * (double)(from - oldest));
            weights += weight;
            for (int i = 0; i < 3; i++) sum[i] += weight * chunks[from][row - from][i];
        }
        WORKS(p, tact_step(p, look(s, row), action));
        for (int i = 0; i < 3; i++) assert_within(action[i], sum[i] / weights, 1e-9);
    }
    tact_close(&p);
}

static void the_frame_cache_changes_no_bit(void **state) {
    Scene *s = *state;
    const int steps[] = {1, PERIOD, N};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        tact_options on = options(), off = options();
        on.n_action_steps = off.n_action_steps = steps[i];
        off.frame_cache = 0;
        tact_policy *p = open_policy(s, &on), *q = open_policy(s, &off);
        double a[ACTION], b[ACTION];
        for (int64_t row = 0; row < FRAMES; row++) {
            WORKS(p, tact_step(p, look(s, row), a));
            WORKS(q, tact_step(q, look(s, row), b));
            assert_memory_equal(a, b, sizeof a);
        }
        tact_close(&p);
        tact_close(&q);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_steps_between_are_on_the_way),
        cmocka_unit_test(everything_is_in_steps),
        cmocka_unit_test(a_chunk_has_the_predicted_actions_at_their_times),
        cmocka_unit_test(a_step_takes_one_of_them),
        cmocka_unit_test(a_worker_counts_in_steps),
        cmocka_unit_test(an_ensemble_averages_what_foresaw_a_step),
        cmocka_unit_test(the_frame_cache_changes_no_bit),
    };
    return cmocka_run_group_tests(tests, scene_with_rare_actions, scene_free);
}
