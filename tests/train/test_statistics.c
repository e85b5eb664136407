// SPDX-License-Identifier: Apache-2.0
// The statistics that training normalises with: LeRobot's for plain ACT, those of the windows for
// relative poses, and those of values that carry only noise.
#include "../dataset/fixture.h"

#include "normalize/floor.h"
#include "normalize/normalize.h"
#include "policy/policy_stats.h"
#include "pose/pose.h"
#include "train/statistics.h"

typedef struct Fixture {
    Arena arena;
    char *dir, *tiny;
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    f->dir = new_folder(&f->arena);
    f->tiny = at(&f->arena, f->dir, "tiny");
    tiny_write(f->tiny, TINY_GOOD, false);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    Error err;
    bool ok = remove_tree(f->dir, &err);
    arena_free(&f->arena);
    mem_free(f);
    return ok ? 0 : -1;
}

static void write_stats(const Fixture *f, const char *text) {
    Arena a = {0};
    Error err;
    const char *path = at(&a, f->tiny, "meta/stats.json");
    if (text)
        OK(file_write(path, text, strlen(text), &err));
    else
        remove(path);
    arena_free(&a);
}

// The policy as policy_from_dataset would have it.
static PolicyConfig policy(int horizon) {
    return (PolicyConfig){.obs_state_horizon = horizon,
                          .obs_down_sample_steps = 1,
                          .chunk_size = 8,
                          .action_down_sample_steps = 1,
                          .state_dim = 2,
                          .action_dim = 1};
}

// Statistics with only the first rows selected: which rows are selected or held out must not
// matter.
static PolicyStats statistics(const Fixture *f, const PolicyConfig *p, const int64_t *episodes,
                              int64_t n) {
    Error err;
    Dataset *ds;
    PolicyStats stats = {0};
    static const int64_t rows[] = {0, 1};
    OK(dataset_open(&(DatasetOptions){.root = f->tiny, .episodes = episodes, .n_episodes = n}, &ds,
                    &err));
    OK(policy_vector_stats(p, ds, (StatsRows){rows, 2, 0, 1}, &stats, &err));
    dataset_close(ds);
    return stats;
}

#define RECORDED_STATE                                                                             \
    "\"observation.state\": {\"min\": [-1, -2], \"max\": [3, 4], \"mean\": [0.5, 0.1], "           \
    "\"std\": [0.25, 1e-6], \"count\": [77]}"

// Statistics come from the file and not from the selected rows, and are LeRobot's numbers
// unchanged.
static void plain_act_has_the_datasets_own(void **state) {
    const Fixture *f = *state;
    const PolicyConfig plain = policy(1);
    write_stats(f, "{" RECORDED_STATE ", \"action\": {\"min\": [[-9]], \"max\": [[1]], \"mean\": "
                   "[[-4]], \"std\": [[2]]}}");
    PolicyStats all = statistics(f, &plain, NULL, 0);
    PolicyStats one = statistics(f, &plain, (const int64_t[]){1}, 1);
    const PolicyStats *both[] = {&all, &one};
    for (int i = 0; i < 2; i++) {
        const Stats *s = &both[i]->state, *a = &both[i]->action;
        assert_int_equal(s->count, 77);
        assert_within(s->min[1], -2, 0);
        assert_within(s->max[0], 3, 0);
        assert_within(s->mean[1], (double)0.1f, 0);
        assert_within(s->std[0], 0.25, 0);
        assert_within(s->std[1], (double)1e-6f, 0); // no floor
        assert_within(a->mean[0], -4, 0);
        assert_within(a->std[0], 2, 0);
    }
    policy_stats_free(&all);
    policy_stats_free(&one);
}

// Computed over frames, each counted once: windows would count the middle of an episode more often
// than its ends.
static void without_them_frames_count(void **state) {
    const Fixture *f = *state;
    const PolicyConfig plain = policy(1);
    static const char *const texts[] = {
        NULL,
        "{}",
        "not JSON",
        "{\"action\": {\"min\": [-9], \"max\": [1], \"mean\": [NaN], \"std\": [2]}}",
        "{\"action\": {\"min\": [-9], \"max\": [1], \"mean\": [\"x\"], \"std\": [2]}}",
        "{\"action\": {\"min\": [-9], \"max\": [1], \"mean\": [0], \"std\": [-2]}}",
        "{\"action\": {\"min\": [-9], \"max\": [1], \"mean\": [0, 0], \"std\": [2]}}",
        "{\"action\": {\"min\": [-9], \"max\": [1], \"std\": [2]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_stats(f, texts[i]);
        PolicyStats s = statistics(f, &plain, NULL, 0);
        assert_int_equal(s.action.count, TINY_ROWS);
        assert_within(s.action.mean[0], -7, 1e-6);
        assert_within(s.action.std[0], sqrt(1015.0 / 15 - 49), 1e-6);
        assert_within(s.action.min[0], -14, 0);
        assert_within(s.state.mean[1], 7.125, 1e-6);
        policy_stats_free(&s);
    }
}

// A count that is none, not one number or beyond all numbers is not known; the rest counts.
static void odd_counts_are_no_counts(void **state) {
    const Fixture *f = *state;
    const PolicyConfig plain = policy(1);
    static const char *const counts[] = {"[0]", "[-5]", "[5, 6]", "[]", "[1e16]", "[\"x\"]", "[8]"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"action\": {\"min\": [-9], \"max\": [1], \"mean\": [-4], \"std\": [2], "
                 "\"count\": %s}}",
                 counts[i]);
        write_stats(f, text);
        PolicyStats s = statistics(f, &plain, NULL, 0);
        assert_int_equal(s.action.count, strcmp(counts[i], "[8]") == 0 ? 8 : 0);
        assert_within(s.action.mean[0], -4, 0);
        policy_stats_free(&s);
    }
}

// A vector whose own statistics are good keeps them beside one that has none.
static void each_vector_for_itself(void **state) {
    const Fixture *f = *state;
    const PolicyConfig plain = policy(1);
    write_stats(f, "{" RECORDED_STATE "}");
    PolicyStats s = statistics(f, &plain, NULL, 0);
    assert_int_equal(s.state.count, 77);
    assert_int_equal(s.action.count, TINY_ROWS);
    policy_stats_free(&s);
}

// With more than one observation and unknown units the least range is a thousandth of the largest
// in the vector.
static void a_temporal_policy_has_a_floor(void **state) {
    const Fixture *f = *state;
    const PolicyConfig temporal = policy(2);
    write_stats(f, "{" RECORDED_STATE "}");
    PolicyStats s = statistics(f, &temporal, NULL, 0);
    assert_within(s.state.std[0], 0.25, 0);
    assert_within(s.state.std[1], (double)0.00025f, 0);
    assert_within(s.state.min[1], -2, 0); // its range is wide enough
    policy_stats_free(&s);
}

// ---- the idle arm -----------------------------------------------------------------------------

enum { ARMS = 2, DIM = POSE_POLICY_ROW * ARMS };

typedef struct Bounds {
    double min[DIM], max[DIM], mean[DIM], std[DIM];
} Bounds;

static Stats bounds(Bounds *b) {
    for (int i = 0; i < DIM; i++) {
        bool turn = i % POSE_POLICY_ROW >= 3 && i % POSE_POLICY_ROW < 9;
        b->min[i] = turn ? -1 : -0.02;
        b->max[i] = turn ? 1 : 0.02;
        b->mean[i] = 0;
        b->std[i] = turn ? 1 : 0.01;
    }
    return (Stats){.dim = DIM, .min = b->min, .max = b->max, .mean = b->mean, .std = b->std};
}

static void set(Bounds *b, int i, double low, double high) {
    b->min[i] = low;
    b->max[i] = high;
    b->std[i] = (high - low) / 4;
}

// One arm works and moves 40 mm between observations; the other stands still but for a micrometre.
static void an_idle_arm_is_not_blown_up(void **state) {
    (void)state;
    Bounds b, beside;
    Stats s = bounds(&b), other = bounds(&beside);
    set(&b, 0, -0.02, 0.02);
    for (int i = 10; i < 13; i++) set(&b, i, 0.5 - 5e-7, 0.5 + 5e-7);
    set(&b, 2, 0, 0); // does not vary at all
    set(&b, 9, 0, 0.04);
    set(&b, 19, 0.3, 0.300001); // the idle gripper
    assert_int_equal(stats_floor(&s, &other, ARMS), 4);
    for (int i = 10; i < 13; i++) { // a tenth of 40 mm around the middle
        assert_within(s.min[i], 0.498, 1e-12);
        assert_within(s.max[i], 0.502, 1e-12);
        assert_within(s.std[i], 0.001, 1e-12);
    }
    assert_within(s.max[0] - s.min[0], 0.04, 1e-12);
    assert_within(s.max[2] - s.min[2], 0, 0);
    assert_within(s.std[2], 0, 0);
    assert_within(s.max[19] - s.min[19], 0.004, 1e-12);
    assert_within(s.min[3], -1, 0); // rotations are as they are
    // What a millimetre of the idle arm does to the input: less than the moves of the working arm.
    Normalizer n;
    Error err;
    double x[DIM] = {0};
    float y[DIM];
    for (int i = 10; i < 13; i++) x[i] = 0.501;
    OK(normalizer_init(&n, "state", NORM_MIN_MAX, &s, DIM, &err));
    normalizer_apply(&n, x, y, 1);
    for (int i = 10; i < 13; i++) assert_within((double)y[i], 0.5, 1e-6);
    normalizer_free(&n);
}

// Where all arms stand still there is none to measure by: the least range is a tenth of a
// millimetre, and for a gripper a hundredth of its value.
static void all_arms_idle(void **state) {
    (void)state;
    Bounds b, beside;
    Stats s = bounds(&b), other = bounds(&beside);
    for (int i = 0; i < DIM; i++)
        if (s.max[i] != 1) set(&b, i, 0.5 - 5e-7, 0.5 + 5e-7), set(&beside, i, 0.5, 0.5);
    assert_int_equal(stats_floor(&s, &other, ARMS), 8);
    assert_within(s.max[0] - s.min[0], 1e-4, 1e-12);
    assert_within(s.std[0], 1e-4 / sqrt(12), 1e-12);
    assert_within(s.max[9] - s.min[9], 0.00500000 + 5e-9, 1e-12);
}

// The gripper of the state that never moved is measured by the action's.
static void grippers_are_measured_by_both_vectors(void **state) {
    (void)state;
    Bounds b, beside;
    Stats s = bounds(&b), other = bounds(&beside);
    set(&b, 9, 40, 40.0001);
    set(&b, 19, 40, 40.0001);
    set(&beside, 9, 0, 100);
    assert_int_equal(stats_floor(&s, &other, ARMS), 2);
    assert_within(s.max[9] - s.min[9], 10, 1e-9);
}

// Joints beside wheel ticks keep their own range, however large that of the ticks is; noise around
// 0 stays noise.
static void another_unit_is_no_measure(void **state) {
    (void)state;
    double min[] = {0, -1, -1e-6, 0.5 - 1e-6}, max[] = {20000, 1, 1e-6, 0.5 + 1e-6};
    double mean[4] = {0}, std[] = {6000, 0.5, 5e-7, 5e-7};
    Stats s = {.dim = 4, .min = min, .max = max, .mean = mean, .std = std};
    assert_int_equal(stats_floor(&s, NULL, 0), 2);
    assert_within(max[1] - min[1], 2, 0);
    assert_within(std[1], 0.5, 0);
    assert_within(max[2] - min[2], 0.2, 1e-12);
    assert_within(max[3] - min[3], 0.2, 1e-12);
    assert_within(std[2], 0.2 / sqrt(12), 1e-12);
}

// Range and deviation are widened each for itself; a value with both counts once, and one that has
// exactly the least does not count.
static void range_and_deviation_are_widened_apart(void **state) {
    (void)state;
    double min[] = {0, 499.5, 499.75, 499.5, 499.75}, max[] = {1000, 500.5, 500.25, 500.5, 500.25};
    double mean[5] = {0}, std[] = {250, 0.25, 0.25, 0.2, 0.2};
    Stats s = {.dim = 5, .min = min, .max = max, .mean = mean, .std = std};
    assert_int_equal(stats_floor(&s, NULL, 0), 3);
    for (int i = 1; i < 5; i++) { // a thousandth of 1000 and of 250
        assert_within(min[i], 499.5, 1e-12);
        assert_within(max[i], 500.5, 1e-12);
        assert_within(std[i], 0.25, 1e-12);
    }
    assert_within(max[0], 1000, 0);
    assert_int_equal(stats_floor(&s, NULL, 0), 0); // nothing is left to do
}

// LeRobot's deviation of a value that is always the same, in float32.
static void a_constant_has_no_deviation(void **state) {
    (void)state;
    double min[] = {0, 100, 0.1}, max[] = {1, 100, 0.1}, mean[] = {0.5, 100.05, 0.1000001},
           std[] = {0.25, 0.1, 8e-5};
    Stats s = {.dim = 3, .min = min, .max = max, .mean = mean, .std = std};
    assert_int_equal(stats_floor(&s, NULL, 0), 0);
    assert_true(mean[0] == 0.5 && std[0] == 0.25);
    assert_true(mean[1] == 100 && std[1] == 0 && mean[2] == 0.1 && std[2] == 0);
}

// Values that vary as arms do are left alone.
static void what_moves_is_left_alone(void **state) {
    (void)state;
    Bounds b, as_it_was;
    Stats s = bounds(&b);
    set(&b, 2, -0.003, 0.003);
    as_it_was = b;
    assert_int_equal(stats_floor(&s, NULL, ARMS), 0);
    assert_memory_equal(&b, &as_it_was, sizeof b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_act_has_the_datasets_own),
        cmocka_unit_test(without_them_frames_count),
        cmocka_unit_test(each_vector_for_itself),
        cmocka_unit_test(a_temporal_policy_has_a_floor),
        cmocka_unit_test(another_unit_is_no_measure),
        cmocka_unit_test(an_idle_arm_is_not_blown_up),
        cmocka_unit_test(all_arms_idle),
        cmocka_unit_test(grippers_are_measured_by_both_vectors),
        cmocka_unit_test(range_and_deviation_are_widened_apart),
        cmocka_unit_test(odd_counts_are_no_counts),
        cmocka_unit_test(a_constant_has_no_deviation),
        cmocka_unit_test(what_moves_is_left_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
