// SPDX-License-Identifier: Apache-2.0
// What a policy sees at one frame: which rows, in which form, and their statistics.
#include "dataset/arms.h"
#include "dataset/window.h"
#include "pose/pose.h"

#include "window_fixture.h"

// ---- rows -------------------------------------------------------------------------------------

static void assert_rows(const Dataset *ds, int horizon, int down_sample, int64_t row, int64_t a,
                        int64_t b, int64_t c) {
    const WindowSpec w = {
        .horizon = horizon, .down_sample = down_sample, .chunk_size = 1, .action_down_sample = 1};
    int64_t rows[3] = {-1, -1, -1};
    window_rows(ds, &w, row, rows);
    assert_int_equal(rows[0], a);
    assert_int_equal(rows[1], b);
    assert_int_equal(rows[2], c);
}

// Episode 1 is rows 4..8, episode 2 rows 9..14.
static void old_observations_clamp_to_their_episode(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    assert_rows(ds, 3, 1, 0, 0, 0, 0);
    assert_rows(ds, 3, 1, 4, 4, 4, 4);
    assert_rows(ds, 3, 1, 5, 4, 4, 5);
    assert_rows(ds, 3, 2, 7, 4, 5, 7);
    assert_rows(ds, 3, 2, 8, 4, 6, 8);
    assert_rows(ds, 3, 100, 14, 9, 9, 14);
    assert_rows(ds, 1, 5, 9, 9, -1, -1);
}

static void nothing_is_seen_of_another_episode(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    for (int down = 1; down < 5; down++) {
        const WindowSpec w = {
            .horizon = 4, .down_sample = down, .chunk_size = 6, .action_down_sample = 1};
        for (int64_t row = 0; row < ds->rows; row++) {
            const Episode *e = dataset_episode_of(ds, row);
            int64_t rows[4];
            double seen[4 * 2], action[6];
            uint8_t pad[6];
            window_rows(ds, &w, row, rows);
            window_state(ds, &w, row, seen);
            window_action(ds, &w, row, action, pad);
            for (int t = 0; t < 4; t++) {
                assert_int_equal(dataset_episode_of(ds, rows[t]) - ds->episodes,
                                 dataset_episode_of(ds, row) - ds->episodes);
                assert_true(seen[2 * t] == (double)tiny_state(rows[t], 0));
                assert_true(seen[2 * t + 1] == (double)tiny_state(rows[t], 1));
            }
            assert_int_equal(rows[3], row);
            for (int h = 0; h < 6; h++) {
                int64_t last = e->first_row + e->length - 1, r = row + h < last ? row + h : last;
                assert_true(action[h] == (double)tiny_action(r));
                assert_int_equal(pad[h], row + h > last);
                assert_int_equal(pad[h], h >= window_actions(ds, &w, row));
            }
        }
    }
}

// Episodes selected in another order than that of the recording have other neighbours.
static void a_selection_keeps_its_own_edges(void **state) {
    const Fixture *f = *state;
    Arena a = {0};
    Error err;
    Dataset *ds;
    const int64_t episodes[] = {2, 0};
    OK(dataset_open(
        &(DatasetOptions){.root = at(&a, f->dir, "tiny"), .episodes = episodes, .n_episodes = 2},
        &ds, &err));
    assert_rows(ds, 3, 1, 6, 6, 6, 6); // rows 6..9 are episode 0, frames 0..3
    assert_rows(ds, 3, 1, 5, 3, 4, 5);
    assert_int_equal(dataset_index_of(ds, 6), 0);
    dataset_close(ds);
    arena_free(&a);
}

// A dataset without a state, and callers that want only the half of a sample.
static void what_is_not_there_is_left_alone(void **state) {
    Dataset ds = *((Fixture *)*state)->tiny;
    WindowSpec w = {.horizon = 2, .down_sample = 1, .chunk_size = 2, .action_down_sample = 1};
    double seen[4] = {7, 7, 7, 7}, action[2];
    uint8_t pad[2];
    window_state(&ds, &w, 5, NULL);
    window_action(&ds, &w, 8, NULL, pad);
    assert_true(pad[0] == 0 && pad[1] == 1);
    window_action(&ds, &w, 8, action, NULL);
    assert_true(action[0] == (double)tiny_action(8) && action[1] == (double)tiny_action(8));
    ds.state = NULL;
    assert_int_equal(window_state_dim(&ds, &w), 0);
    window_state(&ds, &w, 5, seen);
    for (int i = 0; i < 4; i++) assert_true(seen[i] == 7);
    Stats s, a;
    Error err;
    OK(window_stats(&ds, &w, NULL, 0, 0, 1, &s, &a, &err));
    assert_int_equal(s.dim, 0);
    assert_int_equal(a.dim, 1);
    stats_free(&s);
    stats_free(&a);
    w.relative = true;
    w.arms = 2;
    assert_int_equal(window_state_dim(&ds, &w), 0);
    w.relative = false;
    OK(window_stats(((Fixture *)*state)->tiny, &w, NULL, 0, 0, 1, &s, NULL, &err));
    assert_int_equal(s.count, 2 * TINY_ROWS);
    stats_free(&s);
}

// ---- relative poses ---------------------------------------------------------------------------

static void recorded(const float *data, int64_t row, double out[POSE_ROW]) {
    for (int i = 0; i < POSE_ROW; i++) out[i] = (double)data[row * POSE_ROW + i];
}

static void poses_are_relative_to_the_newest_observation(void **state) {
    const Dataset *ds = ((Fixture *)*state)->poses;
    const WindowSpec w = {.horizon = 3,
                          .down_sample = 2,
                          .chunk_size = 5,
                          .action_down_sample = 1,
                          .relative = true,
                          .arms = 1};
    const double here[POSE_POLICY_ROW] = {0, 0, 0, 1, 0, 0, 0, 1, 0};
    assert_int_equal(window_state_dim(ds, &w), POSE_POLICY_ROW);
    assert_int_equal(window_action_dim(ds, &w), POSE_POLICY_ROW);
    for (int64_t row = 0; row < ds->rows; row += 5) {
        double s[3][POSE_POLICY_ROW], a[5][POSE_POLICY_ROW], want[POSE_POLICY_ROW];
        double base[POSE_ROW], raw[POSE_ROW];
        int64_t rows[3];
        uint8_t pad[5];
        window_rows(ds, &w, row, rows);
        window_state(ds, &w, row, s[0]);
        window_action(ds, &w, row, a[0], pad);
        recorded(ds->state_data, row, base);
        for (int i = 0; i < 9; i++) assert_within(s[2][i], here[i], 1e-12);
        assert_within(s[2][9], base[6], 0); // the gripper stays absolute
        for (int t = 0; t < 3; t++) {
            recorded(ds->state_data, rows[t], raw);
            pose_row_to_policy(raw, base, 1, want);
            assert_memory_equal(s[t], want, sizeof want);
        }
        for (int h = 0; h < 5 && !pad[h]; h++) {
            recorded(ds->action_data, row + h, raw);
            pose_row_to_policy(raw, base, 1, want);
            assert_memory_equal(a[h], want, sizeof want);
        }
    }
}

// ---- pose_repr=auto ---------------------------------------------------------------------------

static int detected(const char *const *names, int64_t size, bool with_names) {
    Feature f = {.name = "observation.state",
                 .size = size,
                 .names = (const char **)(uintptr_t)names,
                 .n_names = with_names ? (int)size : 0};
    const Dataset ds = {.root = "set", .state = &f, .action = &f};
    int arms = -1;
    Error err;
    OK(arms_detect(&ds, false, &arms, &err));
    return arms;
}

static void poses_are_known_by_their_names(void **state) {
    (void)state;
    static const char *const plain[] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};
    static const char *const two[] = {
        "left_x",  "left_y",  "left_z",  "left_wx",  "left_wy",  "left_wz",  "left_gripper",
        "right_x", "right_y", "right_z", "right_wx", "right_wy", "right_wz", "right_gripper"};
    static const char *const spelt[] = {"ee.x",     "ee.y",     "ee.z",         "rotvec_x",
                                        "rotvec_y", "rotvec_z", "gripper_width"};
    static const char *const joints[] = {"j1", "j2", "j3", "j4", "j5", "j6", "gripper"};
    static const char *const euler[] = {"x", "y", "z", "roll", "pitch", "yaw", "gripper"};
    static const char *const changes[] = {"delta_x",  "delta_y",  "delta_z", "delta_rx",
                                          "delta_ry", "delta_rz", "gripper"};
    static const char *const speeds[] = {"x.vel",  "y.vel",  "z.vel",  "rx.vel",
                                         "ry.vel", "rz.vel", "gripper"};
    static const char *const swapped[] = {"rx", "ry", "rz", "x", "y", "z", "gripper"};
    assert_int_equal(detected(plain, 7, true), 1);
    assert_int_equal(detected(two, 14, true), 2);
    assert_int_equal(detected(spelt, 7, true), 1);
    assert_int_equal(detected(plain, 7, false), 0);
    assert_int_equal(detected(plain, 6, true), 0);
    assert_int_equal(detected(joints, 7, true), 0);
    assert_int_equal(detected(euler, 7, true), 0);
    assert_int_equal(detected(changes, 7, true), 0);
    assert_int_equal(detected(speeds, 7, true), 0);
    assert_int_equal(detected(swapped, 7, true), 0);
}

static void asked_for_poses_need_seven_values(void **state) {
    const Fixture *f = *state;
    int arms;
    Error err;
    assert_false(arms_detect(f->tiny, true, &arms, &err));
    assert_says(&err, "--policy.pose_repr=relative", "2 and 1");
    OK(arms_detect(f->poses, true, &arms, &err));
    assert_int_equal(arms, 1);
}

// Two episodes of three frames; one rotation vector is `odd`, at episode 7, frame 2.
static bool poses_pass(const char *const *names, const float odd[3], Error *err) {
    enum { ROWS = 6 };
    float data[ROWS][POSE_ROW];
    Episode episodes[] = {{.index = 5, .length = 3}, {.index = 7, .first_row = 3, .length = 3}};
    Feature s = {.name = "observation.state",
                 .size = POSE_ROW,
                 .names = (const char **)(uintptr_t)names,
                 .n_names = POSE_ROW},
            a = s;
    a.name = "action";
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < POSE_ROW; k++) data[i][k] = k < 6 ? 0.5f * (float)(k - 3) : 90;
    float good[ROWS][POSE_ROW];
    memcpy(good, data, sizeof data);
    memcpy(&data[5][3], odd, 3 * sizeof *odd);
    const Dataset ds = {.root = "set",
                        .state = &s,
                        .action = &a,
                        .rows = ROWS,
                        .episodes = episodes,
                        .n_episodes = 2,
                        .state_data = good[0],
                        .action_data = data[0]};
    return arms_check_poses(&ds, 1, err);
}

static void angles_that_are_no_rotation_vectors_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};
    static const char *const euler[] = {"x", "y", "z", "roll", "pitch", "yaw", "gripper"};
    static const char *const degrees[] = {"x", "y", "z", "rx.deg", "ry.deg", "rz.deg", "gripper"};
    static const float unwrapped[] = {0, -6.28f, 0}, in_degrees[] = {0, 12.5f, -90},
                       fine[] = {0, 0, 3.2f};
    Error err;
    OK(poses_pass(names, unwrapped, &err));
    OK(poses_pass(names, fine, &err));
    assert_false(poses_pass(names, in_degrees, &err));
    assert_says(&err, "set: episode 7, frame 2: values 3 to 5 of action are [0, 12.5, -90]",
                "as_rotvec");
    assert_says(&err, "2 pi", "--policy.pose_repr=none");
    assert_false(poses_pass(euler, fine, &err));
    assert_says(&err, "value 3 of observation.state is named roll", "as_rotvec");
    assert_false(poses_pass(degrees, fine, &err));
    assert_int_equal(detected(degrees, 7, true), 0);
}

// ---- statistics -------------------------------------------------------------------------------

static void assert_stats(const Stats *s, int i, double min, double max, double mean, double std) {
    assert_within(s->min[i], min, 1e-12);
    assert_within(s->max[i], max, 1e-12);
    assert_within(s->mean[i], mean, 1e-12);
    assert_within(s->std[i], std, 1e-12);
}

// Episode 0 (states 0..3) with T = 2: it sees 0 0, 0 1, 1 2, 2 3. Actions with H = 2, padding left
// out: 0 -1, -1 -2, -2 -3, -3.
static void statistics_are_those_of_the_windows(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    const WindowSpec w = {.horizon = 2, .down_sample = 1, .chunk_size = 2, .action_down_sample = 1};
    const int64_t rows[] = {0, 1, 2, 3};
    Stats s, a;
    Error err;
    OK(window_stats(ds, &w, rows, 4, 0, 1, &s, &a, &err));
    assert_int_equal(s.count, 8);
    assert_stats(&s, 0, 0, 3, 9.0 / 8, sqrt(19.0 / 8 - 81.0 / 64));
    assert_stats(&s, 1, 0.125, 3.125, 9.0 / 8 + 0.125, sqrt(19.0 / 8 - 81.0 / 64));
    assert_int_equal(a.count, 7);
    assert_stats(&a, 0, -3, 0, -12.0 / 7, sqrt(28.0 / 7 - 144.0 / 49));
    stats_free(&s);
    stats_free(&a);
}

// Episode 2 (rows 9..14) with an action every other row, H = 3: its rows have the actions of 9 11
// 13, 10 12 14, 11 13, 12 14, 13 and 14.
static void actions_some_rows_apart(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    const WindowSpec w = {.horizon = 1, .down_sample = 1, .chunk_size = 3, .action_down_sample = 2};
    static const int64_t rows[] = {9, 10, 11, 12, 13, 14};
    static const int want[][3] = {{9, 11, 13},  {10, 12, 14}, {11, 13, 13},
                                  {12, 14, 14}, {13, 13, 13}, {14, 14, 14}};
    double action[3];
    uint8_t pad[3];
    for (int i = 0; i < 6; i++) {
        window_action(ds, &w, rows[i], action, pad);
        for (int h = 0; h < 3; h++) {
            assert_true(action[h] == (double)tiny_action(want[i][h]));
            assert_int_equal(pad[h], rows[i] + 2 * h > 14);
            assert_int_equal(pad[h], h >= window_actions(ds, &w, rows[i]));
        }
    }
    Stats a;
    Error err;
    OK(window_stats(ds, &w, rows, 6, 0, 1, NULL, &a, &err));
    assert_int_equal(a.count, 12);
    const double squares = 81 + 100 + 2 * (121 + 144) + 3 * (169 + 196), mean = -146.0 / 12;
    assert_stats(&a, 0, -14, -9, mean, sqrt(squares / 12 - mean * mean));
    stats_free(&a);
}

// LeRobot's relative_actions_processor takes the newest state r off the actions -r, -(r+1): 0 -1,
// -2 -3, -4 -5, -6 in dimension 0; what is not marked stays.
static void actions_less_the_state(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    bool marked[2] = {true, true}; // of one action: the second is none of its own
    WindowSpec w = {.horizon = 1,
                    .down_sample = 1,
                    .chunk_size = 2,
                    .action_down_sample = 1,
                    .minus_state = marked};
    const int64_t rows[] = {0, 1, 2, 3};
    Stats a, plain;
    Error err;
    double action[3] = {0, 0, 77};
    window_action(ds, &w, 3, action, NULL);
    assert_true(action[0] == -6 && action[1] == -6 && action[2] == 77);
    OK(window_stats(ds, &w, rows, 4, 0, 1, NULL, &a, &err));
    assert_stats(&a, 0, -6, 0, -3, 2);
    w.minus_state = NULL;
    OK(window_stats(ds, &w, rows, 4, 0, 1, NULL, &plain, &err));
    for (int i = 1; i < a.dim; i++)
        assert_stats(&a, i, plain.min[i], plain.max[i], plain.mean[i], plain.std[i]);
    stats_free(&a);
    stats_free(&plain);
}

static void samples_are_drawn_without_replacement(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    const WindowSpec w = {.horizon = 1, .down_sample = 1, .chunk_size = 1, .action_down_sample = 1};
    Stats all, some, same, other;
    Error err;
    OK(window_stats(ds, &w, NULL, 0, 1000, 1, NULL, &all, &err)); // more than there are: all
    assert_int_equal(all.count, TINY_ROWS);
    assert_stats(&all, 0, -14, 0, -7, sqrt(1015.0 / 15 - 49));
    OK(window_stats(ds, &w, NULL, 0, TINY_ROWS - 1, 1, NULL, &some, &err));
    OK(window_stats(ds, &w, NULL, 0, TINY_ROWS - 1, 1, NULL, &same, &err));
    OK(window_stats(ds, &w, NULL, 0, TINY_ROWS - 1, 2, NULL, &other, &err));
    assert_int_equal(some.count, TINY_ROWS - 1);
    assert_true(some.mean[0] == same.mean[0]);
    assert_true(some.mean[0] != other.mean[0]);
    // 14 different numbers of 0..14 are drawn, so exactly one of them is missing.
    double missing = -105 - some.mean[0] * (TINY_ROWS - 1);
    assert_within(missing, round(missing), 1e-9);
    Stats *done[] = {&all, &some, &same, &other};
    for (int i = 0; i < 4; i++) stats_free(done[i]);
    assert_false(window_stats(ds, &w, (const int64_t[]){0}, 0, 0, 1, NULL, &all, &err));
}

static void rotations_keep_their_scale(void **state) {
    const Dataset *ds = ((Fixture *)*state)->poses;
    const WindowSpec w = {.horizon = 2,
                          .down_sample = 1,
                          .chunk_size = 4,
                          .action_down_sample = 1,
                          .relative = true,
                          .arms = 1};
    Stats s, a;
    Error err;
    OK(window_stats(ds, &w, NULL, 0, 0, 1, &s, &a, &err));
    for (int i = 3; i < 9; i++) {
        assert_stats(&s, i, -1, 1, 0, 1);
        assert_stats(&a, i, -1, 1, 0, 1);
    }
    assert_true(a.max[0] > a.min[0] && a.max[0] < 1); // metres, relative
    stats_free(&s);
    stats_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_observations_clamp_to_their_episode),
        cmocka_unit_test(nothing_is_seen_of_another_episode),
        cmocka_unit_test(a_selection_keeps_its_own_edges),
        cmocka_unit_test(what_is_not_there_is_left_alone),
        cmocka_unit_test(poses_are_relative_to_the_newest_observation),
        cmocka_unit_test(poses_are_known_by_their_names),
        cmocka_unit_test(asked_for_poses_need_seven_values),
        cmocka_unit_test(angles_that_are_no_rotation_vectors_are_refused),
        cmocka_unit_test(statistics_are_those_of_the_windows),
        cmocka_unit_test(actions_some_rows_apart),
        cmocka_unit_test(actions_less_the_state),
        cmocka_unit_test(samples_are_drawn_without_replacement),
        cmocka_unit_test(rotations_keep_their_scale),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
