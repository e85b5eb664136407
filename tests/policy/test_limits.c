// SPDX-License-Identifier: Apache-2.0
// Poses that come out of the runtime, and how far they may go.
#include "fixture.h"

#include "formats/safetensors.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perfect_predictions_become_the_poses),
        cmocka_unit_test(limits_hold_and_count),
        cmocka_unit_test(limits_go_just_as_far_as_they_may),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
