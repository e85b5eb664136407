// SPDX-License-Identifier: Apache-2.0
// Poses that the runtime gives out, and how far they may go.
#include "fixture.h"

#include "formats/safetensors.h"
#include "runtime/actions.h"

// ---- poses --------------------------------------------------------------------------------------

// Were the policy perfect, its normalised float32 output would become the pose it was trained on.
static void perfect_predictions_become_the_poses(void **state) {
    (void)state;
    Safetensors *file;
    Error err;
    OK(safetensors_open("tests/golden/pose.safetensors", &file, &err));
    const SafetensorsEntry *pose = safetensors_find(file, "pose");
    const SafetensorsEntry *base = safetensors_find(file, "base");
    const SafetensorsEntry *relative = safetensors_find(file, "relative_pose9d");
    double low[POSE_POLICY_ROW], high[POSE_POLICY_ROW];
    for (int i = 0; i < POSE_POLICY_ROW; i++)
        low[i] = i < 3 ? -3 : i < 9 ? -1 : 0, high[i] = i < 3 ? 5 : 1;
    Stats stats = {.dim = POSE_POLICY_ROW, .min = low, .max = high, .count = 9};
    Normalizer n;
    OK(normalizer_init(&n, "action", NORM_MIN_MAX, &stats, POSE_POLICY_ROW, &err));
    for (int64_t i = 0; i < pose->shape[0]; i++) {
        double row[POSE_POLICY_ROW], want[ACTION], from[ACTION], got[ACTION];
        double scratch[POSE_POLICY_ROW];
        float y[POSE_POLICY_ROW];
        want[6] = from[6] = row[9] = 0.25;
        for (int k = 0; k < 6; k++) want[k] = safetensors_value(pose, 6 * i + k);
        for (int k = 0; k < 6; k++) from[k] = safetensors_value(base, 6 * i + k);
        for (int k = 0; k < 9; k++) row[k] = safetensors_value(relative, 9 * i + k);
        normalizer_apply(&n, row, y, 1);
        actions_from_prediction(&n, y, 1, from, 1, NULL, scratch, got);
        assert_within(distance(got, want), 0, 1e-6);
    }
    normalizer_free(&n);
    safetensors_close(file);
}

// ---- limits -------------------------------------------------------------------------------------

static double moved(const double *a, const double *b) {
    return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                (a[2] - b[2]) * (a[2] - b[2]));
}

static double turned(const double *a, const double *b) {
    double from[ACTION] = {0}, to[ACTION] = {0};
    memcpy(from + 3, a + 3, 3 * sizeof *a);
    memcpy(to + 3, b + 3, 3 * sizeof *b);
    return distance(from, to);
}

static void limits_hold_and_count(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.max_translation = 0.002;
    o.max_rotation = 0.01;
    tact_policy *p = open_policy(s, &o), *free_one = open_policy(s, NULL);
    double last[ACTION], action[ACTION], unlimited[ACTION];
    int64_t far = 0;
    memcpy(last, look(s, 0)->state, sizeof last);
    for (int row = 0; row < 8; row++) {
        WORKS(p, tact_step(p, look(s, row), action));
        WORKS(free_one, tact_step(free_one, &s->seen, unlimited));
        far += moved(unlimited, last) > o.max_translation;
        assert_true(moved(action, last) <= o.max_translation * (1 + 1e-9));
        assert_true(turned(action, last) <= o.max_rotation * (1 + 1e-6));
        assert_true(action[6] == unlimited[6]);
        memcpy(last, action, sizeof last);
    }
    tact_limit_counts n = limit_counts(p), none = limit_counts(free_one);
    assert_true(n.translation == far && far > 0 && n.rotation > 0 && n.workspace == 0);
    assert_true(none.translation == 0 && none.rotation == 0 && none.workspace == 0);
    tact_close(&p);
    o = options();
    for (int i = 0; i < 3; i++) o.workspace_min[i] = 0.1, o.workspace_max[i] = 0.2;
    p = open_policy(s, &o);
    for (int row = 0; row < 8; row++) {
        WORKS(p, tact_step(p, look(s, row), action));
        for (int i = 0; i < 3; i++) assert_true(action[i] >= 0.1 && action[i] <= 0.2);
    }
    assert_true(limit_counts(p).workspace > 0);
    tact_close(&p);
    tact_close(&free_one);
}

static void limits_go_just_as_far_as_they_may(void **state) {
    (void)state;
    const double previous[2 * ACTION] = {0, 0, 0, 0, 0, 3.1, 0, 0.5, 0.5, 0.5};
    const double wanted[2 * ACTION] = {0.3, 0, 0.4, 0, 0, -3.1, 1, 0.5, 2, 0.5, 0.2};
    Limits l = {.low = {-1, -1, -1}, .high = {1, 1, 1}, .translation = 0.4, .rotation = 0.06};
    double action[2 * ACTION];
    memcpy(action, wanted, sizeof action);
    limits_apply(&l, previous, 2, action);
    // The first turns through pi; the second is stopped by the box, then on its way to it.
    const double first[ACTION] = {0.24, 0, 0.32, 0, 0, 3.16, 1};
    const double second[ACTION] = {0.5, 0.9, 0.5, 0.06};
    assert_within(distance(action, first), 0, 1e-9);
    assert_within(distance(action + ACTION, second), 0, 1e-9);
    assert_true(l.outside == 1 && l.far == 1 && l.turned == 1);
    l.translation = 0.6, l.rotation = 0.21;
    memcpy(action, wanted, sizeof action);
    limits_apply(&l, previous, 2, action);
    assert_true(action[8] == 1 && action[10] == 0.2 && action[2] == 0.4 && action[5] == -3.1);
    assert_true(l.outside == 2 && l.far == 1 && l.turned == 1);
}

// ---- vectors near pi ----------------------------------------------------------------------------

// A chunk that turns on and on from 2.9 rad about z.
static void a_chunk_turns_through_pi(void **state) {
    (void)state;
    enum { ROWS = 12 };
    const double from[ACTION] = {0.1, 0.2, 0.3, 0, 0, 2.9, 0};
    double scratch[POSE_POLICY_ROW], got[ROWS][ACTION];
    float y[ROWS][POSE_POLICY_ROW] = {{0}};
    const Normalizer n = {.mode = NORM_IDENTITY,
                          .dim = POSE_POLICY_ROW,
                          .inverse_scale = (double[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                          .inverse_offset = (double[POSE_POLICY_ROW]){0}};
    for (int i = 0; i < ROWS; i++) { // rows 0 and 1 of the rotation by 0.1 i about z
        y[i][3] = y[i][7] = cosf(0.1f * (float)i);
        y[i][4] = -sinf(0.1f * (float)i);
        y[i][6] = sinf(0.1f * (float)i);
    }
    actions_from_prediction(&n, y[0], ROWS, from, 1, NULL, scratch, got[0]);
    for (int i = 0; i < ROWS; i++) {
        assert_within(got[i][3], 0, 1e-6);
        assert_within(got[i][4], 0, 1e-6);
        assert_within(got[i][5], 2.9 + 0.1 * i, 1e-6);
    }
}

static double vector_gap(const double *a, const double *b) {
    return sqrt((a[3] - b[3]) * (a[3] - b[3]) + (a[4] - b[4]) * (a[4] - b[4]) +
                (a[5] - b[5]) * (a[5] - b[5]));
}

// The other vector of at most 2 pi of the same rotation is not nearer to the action before.
static void assert_nearest(const double *action, const double *before) {
    double other[ACTION], turn = 2 * acos(-1);
    double angle = sqrt(action[3] * action[3] + action[4] * action[4] + action[5] * action[5]);
    for (int i = 3; i < 6; i++) other[i] = action[i] * (1 - turn / angle);
    assert_true(angle <= turn * (1 + 1e-9));
    assert_true(vector_gap(action, before) <= vector_gap(other, before) + 1e-9);
}

// Where the robot has to stand for the policy's first action to be a turn by `angle` about z.
static void stand_before(Scene *s, const double *relative, double angle) {
    const double turn[6] = {0, 0, 0, 0, 0, angle};
    Pose want = pose_from_vector(turn), step = pose_from_vector(relative),
         none = {.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    Pose back = pose_relative(&step, &none), from = pose_compose(&want, &back);
    double v[6];
    pose_to_vector(&from, v);
    memcpy(s->state + 3, v + 3, 3 * sizeof *v);
}

// Actions turn back and forth through pi: some of what comes out is longer than pi.
static void actions_near_pi_follow_each_other(void **state) {
    Scene *s = *state;
    enum { QUEUE, ENSEMBLE, LIMITS, CHUNKS, WAYS };
    int64_t longer[WAYS] = {0};
    double relative[ACTION];
    tact_policy *probe = open_policy(s, NULL);
    look(s, 0);
    memset(s->state + 3, 0, 3 * sizeof *s->state);
    WORKS(probe, tact_step(probe, &s->seen, relative));
    tact_close(&probe);
    for (int way = 0; way < WAYS; way++) {
        tact_options o = options();
        if (way != ENSEMBLE) o.n_action_steps = 1;
        if (way == ENSEMBLE) o.temporal_ensemble_coeff = 0.01;
        if (way == LIMITS) o.max_rotation = 0.45;
        tact_policy *p = open_policy(s, &o);
        double before[ACTION], actions[CHUNK][ACTION];
        for (int row = 0; row < 12; row++) {
            look(s, row);
            stand_before(s, relative, row % 2 ? 2.9 : 3.4);
            if (row == 0 || way == CHUNKS) memcpy(before, s->state, sizeof before);
            WORKS(p, tact_observe(p, &s->seen));
            if (way == CHUNKS)
                WORKS(p, tact_predict_chunk(p, actions[0]));
            else
                WORKS(p, tact_act(p, actions[0]));
            for (int i = 0; i < (way == CHUNKS ? CHUNK : 1); i++) {
                assert_nearest(actions[i], before);
                memcpy(before, actions[i], sizeof before);
                longer[way] += vector_gap(actions[i], (double[ACTION]){0}) > 3.2;
            }
        }
        tact_close(&p);
    }
    assert_true(longer[QUEUE] > 0 && longer[ENSEMBLE] > 0 && longer[LIMITS] > 0);
}

// Rotations in degrees are refused in an observation, too.
static void a_state_in_degrees_is_refused(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    double action[ACTION];
    look(s, 0);
    s->state[3] = 0, s->state[4] = 90, s->state[5] = 0;
    assert_int_equal(tact_step(p, &s->seen, action), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(p), "values 3 to 5 of observation.state are [0, 90, 0]"));
    s->state[4] = 6.28; // may be: a turn but for a little
    WORKS(p, tact_step(p, &s->seen, action));
    tact_close(&p);
}

// The last check before actions are given out.
static void what_is_not_finite_is_told(void **state) {
    (void)state;
    Error err = {""};
    double actions[4] = {1, -2, 1e308, 0};
    assert_int_equal(actions_check(actions, 4, &err), TACT_OK);
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        actions[3] = bad[i];
        assert_int_equal(actions_check(actions, 4, &err), TACT_ERROR_PREDICTION);
        assert_non_null(strstr(err.text, "not finite"));
        assert_int_equal(actions_check(actions, 3, &err), TACT_OK);
    }
}

static void weights_of_an_ensemble_are_numbers(void **state) {
    (void)state;
    assert_true(ensemble_possible(100, 0.01) && ensemble_possible(100, 1e300) &&
                ensemble_possible(1, -1e300));
    assert_true(ensemble_possible(100, -7));
    assert_false(ensemble_possible(100, -7.2) || ensemble_possible(2, -1e300)); // exp(712.8)
    assert_false(ensemble_possible(100, NAN) || ensemble_possible(100, INFINITY));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_finite_is_told),
        cmocka_unit_test(weights_of_an_ensemble_are_numbers),
        cmocka_unit_test(perfect_predictions_become_the_poses),
        cmocka_unit_test(limits_hold_and_count),
        cmocka_unit_test(limits_go_just_as_far_as_they_may),
        cmocka_unit_test(a_chunk_turns_through_pi),
        cmocka_unit_test(actions_near_pi_follow_each_other),
        cmocka_unit_test(a_state_in_degrees_is_refused),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
