// SPDX-License-Identifier: Apache-2.0
// The past actions of a window: which rows, what is padding, in which form, and their statistics.
#include "dataset/window.h"
#include "pose/pose.h"

#include "window_fixture.h"

static void recorded(const float *data, int64_t row, double out[POSE_ROW]) {
    for (int i = 0; i < POSE_ROW; i++) out[i] = (double)data[row * POSE_ROW + i];
}

// Behind the two of the chunk, every other row, stand three of the past, newest first; episode 2
// begins at row 9.
static void past_actions_stand_behind_the_chunk(void **state) {
    const Dataset *ds = ((Fixture *)*state)->tiny;
    enum { H = 2, N = 3 };
    WindowSpec w = {
        .horizon = 1, .down_sample = 1, .chunk_size = H, .action_down_sample = 2, .past = N};
    static const int64_t rows[] = {9, 10, 11, 12, 13, 14};
    static const int want[][H + N] = {{9, 11, 9, 9, 9},   {10, 12, 10, 10, 10},
                                      {11, 13, 9, 9, 9},  {12, 14, 10, 10, 10},
                                      {13, 13, 11, 9, 9}, {14, 14, 12, 10, 10}};
    static const int past[] = {0, 0, 1, 1, 2, 2};
    double action[H + N + 1];
    uint8_t pad[H + N + 1];
    assert_int_equal(window_action_rows(&w), H + N);
    for (int i = 0; i < 6; i++) {
        action[H + N] = 77, pad[H + N] = 77;
        window_action(ds, &w, rows[i], action, pad);
        assert_int_equal(window_past_actions(ds, &w, rows[i]), past[i]);
        for (int h = 0; h < H + N; h++) {
            assert_true(action[h] == (double)tiny_action(want[i][h]));
            assert_int_equal(pad[h], h < H ? rows[i] + 2 * h > 14 : h - H >= past[i]);
        }
        assert_true(action[H + N] == 77 && pad[H + N] == 77);
        // The chunk is what it is without them.
        WindowSpec alone = w;
        double chunk[H];
        uint8_t marks[H];
        alone.past = 0;
        window_action(ds, &alone, rows[i], chunk, marks);
        assert_memory_equal(chunk, action, sizeof chunk);
        assert_memory_equal(marks, pad, sizeof marks);
        assert_int_equal(window_past_actions(ds, &alone, rows[i]), 0);
    }
    // Statistics are the chunk's: 9 11, 10 12, 11 13, 12 14, 13, 14.
    Stats a;
    Error err;
    OK(window_stats(ds, &w, rows, 6, 0, 1, NULL, &a, &err));
    assert_int_equal(a.count, 10);
    assert_true(a.min[0] == -14 && a.max[0] == -9);
    assert_within(a.mean[0], -11.9, 1e-12);
    assert_within(a.std[0], sqrt(144.1 - 11.9 * 11.9), 1e-12);
    stats_free(&a);
}

// Those of a chunk and of the past alike are taken relative to the newest state.
static void past_actions_are_relative_to_the_newest_observation(void **state) {
    const Dataset *ds = ((Fixture *)*state)->poses, *tiny = ((Fixture *)*state)->tiny;
    const WindowSpec w = {.horizon = 2,
                          .down_sample = 1,
                          .chunk_size = 1,
                          .action_down_sample = 3,
                          .past = 2,
                          .relative = true,
                          .arms = 1};
    int compared = 0;
    for (int64_t row = 0; row < ds->rows; row++) {
        double a[3][POSE_POLICY_ROW], base[POSE_ROW], raw[POSE_ROW], want[POSE_POLICY_ROW];
        uint8_t pad[3];
        window_action(ds, &w, row, a[0], pad);
        recorded(ds->state_data, row, base);
        for (int k = 1; k <= 2 && !pad[k]; k++, compared++) {
            recorded(ds->action_data, row - 3 * k, raw);
            pose_row_to_policy(raw, base, 1, want);
            assert_memory_equal(a[k], want, sizeof want);
        }
    }
    assert_true(compared > 20);
    // At an episode's end the chunk reaches nowhere, the past does: statistics are as without it.
    const Episode *e = &ds->episodes[0];
    const int64_t last = e->first_row + e->length - 1;
    WindowSpec alone = w;
    Stats with, without;
    Error err;
    alone.past = 0;
    OK(window_stats(ds, &w, &last, 1, 0, 1, NULL, &with, &err));
    OK(window_stats(ds, &alone, &last, 1, 0, 1, NULL, &without, &err));
    assert_int_equal(with.count, 1);
    assert_int_equal(without.count, 1);
    assert_memory_equal(with.min, without.min, POSE_POLICY_ROW * sizeof *with.min);
    assert_memory_equal(with.max, without.max, POSE_POLICY_ROW * sizeof *with.max);
    stats_free(&with);
    stats_free(&without);
    // Differences to the state of row 13, which is 13: -13 - 13, -12 - 13, -11 - 13.
    const bool marked[1] = {true};
    const WindowSpec less = {.horizon = 1,
                             .down_sample = 1,
                             .chunk_size = 1,
                             .action_down_sample = 1,
                             .past = 2,
                             .minus_state = marked};
    double action[3];
    window_action(tiny, &less, 13, action, NULL);
    assert_true(action[0] == -26 && action[1] == -25 && action[2] == -24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(past_actions_stand_behind_the_chunk),
        cmocka_unit_test(past_actions_are_relative_to_the_newest_observation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
