// SPDX-License-Identifier: Apache-2.0
// Observations with times, and delays: which action is due, and which state belongs to a frame. The
// clock is the test's.
#include "fixture.h"

#include "clock.h"

static tact_observation seen_at(Scene *s, int row, double time, double state_time) {
    tact_observation o = *look(s, row);
    o.time = time, o.state_time = state_time;
    return o;
}

static void is_action(const double *action, const double *chunk, int i) {
    assert_memory_equal(action, chunk + i * ACTION, ACTION * sizeof *action);
}

// ---- which action is due ------------------------------------------------------------------------

// The same delay in three ways.
static void what_is_past_is_left_out(void **state) {
    Scene *s = *state;
    for (int way = 0; way < 3; way++)
        for (int late = 0; late < CHUNK; late += 2) {
            tact_options o = options();
            const double delay = 0.1 * late + 0.03;
            if (way == 1) o.camera_obs_latency = delay;
            if (way == 2) o.robot_action_latency = delay;
            tact_policy *p = open_timed(s, &o);
            double action[ACTION], chunk[CHUNK * ACTION];
            tact_observation seen = seen_at(s, 4, way ? 0 : now - delay, 0);
            WORKS(p, tact_observe(p, &seen));
            WORKS(p, tact_predict_chunk(p, chunk));
            WORKS(p, tact_act(p, action));
            is_action(action, chunk, late);
            // The rest of the chunk is given out, as far as n_action_steps go.
            assert_int_equal(p->queue_left, (CHUNK - late < STEPS ? CHUNK - late : STEPS) - 1);
            assert_within(p->schedule.given, now - (way < 2 ? delay : 0) + 0.1 * late, 1e-9);
            tact_close(&p);
        }
}

// The time that a prediction takes counts as well, and so does what a late loop has missed.
static void a_late_loop_leaves_out_what_it_missed(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.n_action_steps = CHUNK;
    tact_policy *p = open_timed(s, &o);
    double action[ACTION], chunk[CHUNK * ACTION];
    tact_observation seen = seen_at(s, 4, now - 0.02, 0);
    WORKS(p, tact_observe(p, &seen));
    WORKS(p, tact_predict_chunk(p, chunk));
    now += 0.21; // as if the prediction had taken so long
    WORKS(p, tact_act(p, action));
    is_action(action, chunk, 2);
    now += 0.14; // a tremble is none
    WORKS(p, tact_act(p, action));
    is_action(action, chunk, 3);
    now += 1;
    WORKS(p, tact_act(p, action)); // the last one is given before there is another chunk
    is_action(action, chunk, 4);
    tact_close(&p);

    p = open_timed(s, &o);
    seen = seen_at(s, 4, now - 0.02, 0);
    WORKS(p, tact_step(p, &seen, action));
    is_action(action, chunk, 0);
    now += 0.31;
    WORKS(p, tact_act(p, action));
    is_action(action, chunk, 3);
    tact_close(&p);
}

// A border is late by two steps: the action of the old chunk for the time at hand is blended in,
// not the one that would have come next.
static void a_late_border_blends_what_is_due(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.n_action_steps = 2, o.blend_steps = 1;
    tact_policy *p = open_timed(s, &o), *q = open_timed(s, NULL);
    double action[ACTION], chunks[2][CHUNK * ACTION], want[ACTION];
    for (int row = 0; row < 3; row++, now += 0.1) {
        tact_observation seen = seen_at(s, row, now, 0);
        WORKS(p, tact_observe(p, &seen));
        WORKS(q, tact_observe(q, &seen));
        if (row % 2 == 0) WORKS(q, tact_predict_chunk(q, chunks[row / 2]));
        if (row < 2) WORKS(p, tact_act(p, action));
        if (row == 2) now += 0.2;
        if (row == 2) WORKS(p, tact_act(p, action));
    }
    const double *old = chunks[0] + 4 * ACTION, *new = chunks[1] + 2 * ACTION;
    Pose from = pose_from_vector(old), to = pose_from_vector(new);
    Pose half = pose_between(&from, &to, 0.5);
    pose_to_vector(&half, want);
    want[6] = 0.5 * (old[6] + new[6]);
    assert_within(distance(action, want), 0, 1e-9);
    tact_close(&p);
    tact_close(&q);
}

// Half a step of delay, and a loop and a camera that tremble: from action to action the time goes
// on by one step, at borders of chunks too.
static void borders_do_not_tremble(void **state) {
    Scene *s = *state;
    for (int mode = 0; mode < 2; mode++) {
        tact_options o = options();
        o.asynchronous = mode, o.chunk_size_threshold = 0;
        tact_policy *p = open_timed(s, &o);
        if (mode) async_simulate_delay(p, 1);
        double action[ACTION], before = 0;
        for (int row = 0; row < FRAMES; row++) {
            const double tremble = 1e-3 * (row * 7 % 5 - 2);
            now = 1000 + 0.1 * row + tremble;
            tact_observation seen = seen_at(s, row, now - 0.05 - tremble / 2, 0);
            WORKS(p, tact_step(p, &seen, action));
            if (row > 0) assert_within(p->schedule.given - before, 0.1, 5e-3);
            before = p->schedule.given;
        }
        tact_close(&p);
    }
}

static void a_chunk_of_the_worker_goes_by_the_clock_too(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.asynchronous = 1, o.chunk_size_threshold = 0, o.n_action_steps = 2;
    tact_policy *p = open_timed(s, &o), *q = open_timed(s, NULL);
    async_simulate_delay(p, 1);
    double action[ACTION], chunk[CHUNK * ACTION];
    for (int row = 0; row < 4; row++, now += 0.1) {
        tact_observation seen = seen_at(s, row, now - 0.1, 0);
        WORKS(p, tact_step(p, &seen, action));
        WORKS(q, tact_observe(q, &seen));
        // Asked for at row 1, when actions 1 and 2 are given out; there at row 2: of the time of
        // its frames, row 0's, action 2 is due.
        if (row == 1) WORKS(q, tact_predict_chunk(q, chunk));
        if (row == 2) is_action(action, chunk, 2);
    }
    assert_int_equal(async_counts(p).delay, 2);
    tact_close(&p);
    tact_close(&q);
}

// ---- which state belongs to a frame -------------------------------------------------------------

static void between_rows(const Scene *s, double row, double out[ACTION]) {
    int64_t i = (int64_t)row;
    double a[ACTION], b[ACTION];
    for (int k = 0; k < ACTION; k++) {
        a[k] = s->ds->state_data[i * ACTION + k];
        b[k] = s->ds->state_data[(i + 1) * ACTION + k];
    }
    Pose from = pose_from_vector(a), to = pose_from_vector(b);
    Pose at = pose_between(&from, &to, row - (double)i);
    pose_to_vector(&at, out);
    out[6] = a[6] + (row - (double)i) * (b[6] - a[6]);
}

static void states_are_those_of_the_frames(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.camera_obs_latency = 0.17, o.robot_obs_latency = 0.02, o.gripper_obs_latency = 0.05;
    tact_policy *p = open_timed(s, &o);
    double want[ACTION], gripper[ACTION];
    for (int row = 0; row < FRAMES; row++, now += 0.1) {
        WORKS(p, tact_observe(p, look(s, row)));
        // Of row r the pose was measured 0.02 s before it came, and its frames 0.17 s before.
        between_rows(s, row < 2 ? 0 : row - 1.5, want);
        between_rows(s, row < 2 ? 0 : row - 1.2, gripper);
        if (row == 1) between_rows(s, 0, gripper); // 1 - 1.2: before the first
        want[6] = gripper[6];
        assert_within(distance(history_newest(&p->history), want), 0, 1e-9);
    }
    tact_close(&p);
}

static void a_state_has_a_time_of_its_own(void **state) {
    Scene *s = *state;
    tact_policy *p = open_timed(s, NULL);
    double want[ACTION];
    for (int row = 0; row < 5; row++, now += 0.1) {
        tact_observation seen = seen_at(s, row, now - 0.04, now);
        WORKS(p, tact_observe(p, &seen));
        between_rows(s, row ? row - 0.4 : 0, want);
        assert_within(distance(history_newest(&p->history), want), 0, 1e-9);
    }
    // Without one it is the frames', and the state is the one that was given, to the bit.
    tact_observation seen = seen_at(s, 7, now - 0.04, 0);
    WORKS(p, tact_observe(p, &seen));
    assert_memory_equal(history_newest(&p->history), s->state, sizeof s->state);
    seen = seen_at(s, 8, now, now - 0.3); // older than the frames: there is no newer one
    WORKS(p, tact_observe(p, &seen));
    assert_memory_equal(history_newest(&p->history), s->state, sizeof s->state);
    tact_close(&p);
}

// ---- tact_at ------------------------------------------------------------------------------------

static void commands_are_given_ahead_of_their_effect(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.robot_action_latency = o.gripper_action_latency = 0.06;
    tact_policy *p = open_timed(s, &o);
    double action[ACTION], chunk[CHUNK * ACTION], got[ACTION];
    tact_observation seen = seen_at(s, 4, now - 0.05, 0);
    WORKS(p, tact_observe(p, &seen));
    WORKS(p, tact_predict_chunk(p, chunk));
    WORKS(p, tact_act(p, action));
    is_action(action, chunk, 1); // 0.11 s after its frames
    for (int i = 1; i < CHUNK - 1; i++) {
        // Action i is for i steps after the frames, and is told 0.06 s before that.
        assert_int_equal(tact_at(p, now - 0.05 + 0.1 * i - 0.06 + 1e-12, got), TACT_OK);
        assert_within(distance(got, chunk + i * ACTION), 0, 1e-9);
    }
    tact_close(&p);
}

// ---- refusals -----------------------------------------------------------------------------------

static void is_refused(tact_policy *p, Scene *s, double time, double state_time, const char *says) {
    tact_observation seen = seen_at(s, 1, time, state_time);
    const int64_t count = p->history.count, states = p->schedule.states;
    assert_int_equal(tact_observe(p, &seen), TACT_ERROR_OBSERVATION);
    if (!strstr(tact_message(p), says)) fail_msg("\"%s\" is not in: %s", says, tact_message(p));
    assert_true(p->history.count == count && p->schedule.states == states);
}

static void times_that_cannot_be_are_refused(void **state) {
    Scene *s = *state;
    tact_policy *p = open_timed(s, NULL);
    WORKS(p, tact_observe(p, look(s, 0)));
    is_refused(p, s, NAN, 0, "time of the observation is not finite");
    is_refused(p, s, now, INFINITY, "state_time of the observation is not finite");
    is_refused(p, s, 1.7e9, 0, "give seconds of the monotonic clock");
    is_refused(p, s, now, now + 2, "state_time of the observation lies 2 s ahead");
    is_refused(p, s, now - 0.5, 0, "the observation is 0.5 s old; all actions of a chunk, 0.5 s");
    is_refused(p, s, -3, 0, "s old; all actions");
    WORKS(p, tact_observe(p, look(s, 1)));
    tact_close(&p);
}

static void delays_that_cannot_be_are_refused(void **state) {
    const Scene *s = *state;
    tact_options o = options();
    o.camera_obs_latency = 70;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "camera_obs_latency 70: must be seconds");
    o = options(), o.robot_action_latency = -0.1;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "robot_action_latency -0.1: must be");
    o = options(), o.gripper_obs_latency = NAN;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "gripper_obs_latency nan: must be");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_past_is_left_out),
        cmocka_unit_test(a_late_loop_leaves_out_what_it_missed),
        cmocka_unit_test(a_late_border_blends_what_is_due),
        cmocka_unit_test(borders_do_not_tremble),
        cmocka_unit_test(a_chunk_of_the_worker_goes_by_the_clock_too),
        cmocka_unit_test(states_are_those_of_the_frames),
        cmocka_unit_test(a_state_has_a_time_of_its_own),
        cmocka_unit_test(commands_are_given_ahead_of_their_effect),
        cmocka_unit_test(times_that_cannot_be_are_refused),
        cmocka_unit_test(delays_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
