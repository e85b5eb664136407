// SPDX-License-Identifier: Apache-2.0
// Windows against those of UMI's own dataset, made by make_umi_windows.py: two observations three
// frames apart, 16 actions every third frame, of one arm and of two, at episodes' starts, in their
// middles and at their ends.
#include "dataset/window.h"
#include "formats/safetensors.h"
#include "loader/repeat_frames.h"

#include "fixture.h"

enum { HORIZON = 2, STRIDE = 3, ACTIONS = 16, EPISODES = 2, MOST_ROWS = 80 };
static const double tolerance = 1e-6; // absolute

typedef struct Reference {
    Safetensors *file;
    const char *name; // "one", "two"
    Feature vector;
    Episode episodes[EPISODES];
    Dataset ds;
} Reference;

static const SafetensorsEntry *entry(const Reference *r, const char *what) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", r->name, what);
    const SafetensorsEntry *e = safetensors_find(r->file, name);
    if (!e) fail_msg("%s is missing", name);
    return e;
}

static int64_t whole(const SafetensorsEntry *e, int64_t i) {
    return (int64_t)safetensors_value(e, i);
}

// The recording as a dataset in memory. UMI records no actions: a row's is its own pose.
static void open_reference(Reference *r, const char *name) {
    Error err;
    *r = (Reference){.name = name};
    OK(safetensors_open("tests/dataset/umi_windows.safetensors", &r->file, &err));
    const SafetensorsEntry *poses = entry(r, "poses"), *ends = entry(r, "ends");
    r->vector.size = poses->shape[1];
    r->ds = (Dataset){.state = &r->vector,
                      .action = &r->vector,
                      .n_episodes = EPISODES,
                      .episodes = r->episodes,
                      .rows = poses->shape[0]};
    assert_true(r->ds.rows <= MOST_ROWS && ends->count == EPISODES);
    r->ds.state_data = r->ds.action_data = NEW(float, poses->count);
    for (int64_t i = 0; i < poses->count; i++)
        r->ds.state_data[i] = (float)safetensors_value(poses, i);
    for (int64_t e = 0, row = 0; e < EPISODES; e++) {
        r->episodes[e] = (Episode){.first_row = row, .length = whole(ends, e) - row};
        row = whole(ends, e);
    }
}

static void close_reference(Reference *r) {
    mem_free(r->ds.state_data);
    safetensors_close(r->file);
}

static WindowSpec window(const Reference *r) {
    return (WindowSpec){.horizon = HORIZON,
                        .down_sample = STRIDE,
                        .chunk_size = ACTIONS,
                        .action_down_sample = STRIDE,
                        .relative = true,
                        .arms = (int)r->vector.size / 7};
}

static void assert_values(const SafetensorsEntry *e, int64_t window, const double *got,
                          int64_t count) {
    assert_true(e->count >= (window + 1) * count);
    for (int64_t i = 0; i < count; i++) {
        double want = safetensors_value(e, window * count + i);
        if (!(fabs(got[i] - want) <= tolerance))
            fail_msg("%s, window %lld, value %lld is %.9g, not %.9g", e->name, (long long)window,
                     (long long)i, got[i], want);
    }
}

// The rows of every kept window, as training makes it; repeat NULL: nothing is repeated.
static WindowSpec window_at(const Reference *r, const RepeatFrames *repeat, int64_t row) {
    WindowSpec w = window(r);
    if (repeat && repeat_frames_at(repeat, 0, row)) w.down_sample = 0;
    return w;
}

static void compare_states(const Reference *r, const RepeatFrames *repeat, const char *name) {
    const SafetensorsEntry *rows = entry(r, "rows");
    double states[HORIZON * 20];
    for (int64_t i = 0; i < rows->count; i++) {
        const WindowSpec w = window_at(r, repeat, whole(rows, i));
        window_state(&r->ds, &w, whole(rows, i), states);
        assert_values(entry(r, name), i, states, (int64_t)HORIZON * window_state_dim(&r->ds, &w));
    }
}

static void compare_actions(const Reference *r) {
    const SafetensorsEntry *rows = entry(r, "rows");
    double actions[ACTIONS * 20];
    uint8_t pad[ACTIONS];
    const WindowSpec w = window(r);
    for (int64_t i = 0; i < rows->count; i++) {
        const int64_t row = whole(rows, i);
        const Episode *e = dataset_episode_of(&r->ds, row);
        window_action(&r->ds, &w, row, actions, pad);
        assert_values(entry(r, "action"), i, actions,
                      (int64_t)ACTIONS * window_action_dim(&r->ds, &w));
        for (int h = 0; h < ACTIONS; h++)
            assert_int_equal(pad[h], row + h * STRIDE >= e->first_row + e->length);
    }
}

static void windows_are_umis(void **state) {
    (void)state;
    static const char *const names[] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        Reference r;
        open_reference(&r, names[i]);
        assert_true(entry(&r, "rows")->count > 8 && r.vector.size <= 14);
        compare_states(&r, NULL, "state");
        compare_actions(&r);
        close_reference(&r);
    }
}

// With a probability of 1 everything before the first grasp of the first arm is repeated.
static void frames_before_a_grasp_are_repeated_as_umi_does(void **state) {
    (void)state;
    static const char *const names[] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        Reference r;
        RepeatFrames repeat;
        open_reference(&r, names[i]);
        repeat_frames_init(&repeat, &r.ds, 1, 5);
        const SafetensorsEntry *before = entry(&r, "before"), *rows = entry(&r, "rows");
        int64_t count = 0, seen[HORIZON];
        for (int64_t row = 0; row < r.ds.rows; row++) {
            assert_int_equal(repeat_frames_at(&repeat, 0, row), whole(before, row));
            count += whole(before, row);
        }
        assert_true(count == repeat.count && count > 5 && count < r.ds.rows - 5);
        compare_states(&r, &repeat, "repeated.state");
        for (int64_t k = 0; k < rows->count; k++) {
            const int64_t row = whole(rows, k);
            const WindowSpec w = window_at(&r, &repeat, row);
            window_rows(&r.ds, &w, row, seen);
            if (w.down_sample == 0) // what the others are is below
                for (int t = 0; t < HORIZON; t++)
                    assert_int_equal(whole(entry(&r, "repeated.frames"), k * HORIZON + t), seen[t]);
        }
        repeat_frames_free(&repeat);
        close_reference(&r);
    }
}

// UMI makes a window of every row when it repeats the last action, as tact does, and else of those
// rows alone whose actions the episode all has.
static void rows_without_all_actions_are_those_that_umi_drops(void **state) {
    (void)state;
    Reference r;
    open_reference(&r, "one");
    const WindowSpec w = window(&r);
    const SafetensorsEntry *kept = entry(&r, "drop.rows");
    uint8_t pad[ACTIONS];
    int64_t n = 0;
    assert_int_equal(entry(&r, "repeat.rows")->count, r.ds.rows);
    for (int64_t row = 0; row < r.ds.rows; row++) {
        window_action(&r.ds, &w, row, NULL, pad);
        if (pad[ACTIONS - 1]) continue;
        assert_true(n < kept->count);
        assert_int_equal(whole(kept, n++), row);
    }
    assert_int_equal(n, kept->count);
    close_reference(&r);
}

// Of frames UMI takes what lies a whole number of strides back, and repeats the first of these;
// of poses, and tact of both, what lies before the episode is its first row. The two differ in the
// few rows that are nearer to the start than the window reaches, and no whole stride from it.
static void frames_are_umis_but_near_the_start(void **state) {
    (void)state;
    Reference r;
    open_reference(&r, "one");
    const WindowSpec w = window(&r);
    const SafetensorsEntry *rows = entry(&r, "rows");
    int64_t seen[HORIZON], differ = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        const int64_t row = whole(rows, i), first = dataset_episode_of(&r.ds, row)->first_row;
        const bool near = row - first < STRIDE && row != first;
        window_rows(&r.ds, &w, row, seen);
        assert_int_equal(whole(entry(&r, "frames"), i * HORIZON), near ? row : seen[0]);
        assert_int_equal(seen[0], row - first < STRIDE ? first : row - STRIDE);
        assert_int_equal(whole(entry(&r, "frames"), i * HORIZON + 1), seen[1]);
        differ += near;
    }
    assert_int_equal(differ, 3);
    close_reference(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_umis),
        cmocka_unit_test(frames_before_a_grasp_are_repeated_as_umi_does),
        cmocka_unit_test(rows_without_all_actions_are_those_that_umi_drops),
        cmocka_unit_test(frames_are_umis_but_near_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
