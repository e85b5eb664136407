// SPDX-License-Identifier: Apache-2.0
// What an evaluation prints: the columns and rows of its table; and steps across the borders of
// chunks against those within.
#include "eval/open_loop.h"
#include "eval/seam.h"
#include "pose/pose.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void columns_are(int S, double rate, const int *wanted, int n) {
    int steps[EVAL_COLUMNS + 1] = {0};
    steps[EVAL_COLUMNS] = 77;
    int got = eval_columns(S, rate, steps);
    for (int i = 0; i < n; i++)
        if (steps[i] != wanted[i]) fail_msg("%d steps: %d, not %d", S, steps[i], wanted[i]);
    assert_int_equal(got, n);
    assert_int_equal(steps[EVAL_COLUMNS], 77);
}

// 0.1, 0.2, 0.5, ... seconds ahead, as far as the horizon goes; the last step always, and none
// right before it or twice.
static void columns_of_the_table(void **state) {
    (void)state;
    columns_are(100, 10, (const int[]){1, 2, 5, 10, 20, 99}, 6);
    columns_are(100, 50, (const int[]){5, 10, 25, 50, 99}, 5);
    columns_are(17, 30, (const int[]){3, 6, 16}, 3);
    columns_are(19, 30, (const int[]){3, 6, 15, 18}, 4); // 15 is at most 0.85 of 18
    columns_are(18, 30, (const int[]){3, 6, 17}, 3);
    columns_are(8, 3, (const int[]){1, 2, 3, 7}, 4); // 0.3 and 0.6 of a step, 1.5, 3
    columns_are(3, 1, (const int[]){1, 2}, 2);
    columns_are(2, 10, (const int[]){1}, 1);
    columns_are(1, 10, (const int[]){0}, 1);
    columns_are(101, 0.1, (const int[]){1, 2, 5, 10, 100}, 5);
}

// Prints a result of two steps whose means are 10 m + s, staying a thousand more.
static char *printed(int values, bool latency) {
    const char *names[40];
    static char text[40][8];
    Arena arena = {0};
    Dataset ds = {.fps = 20, .n_episodes = 3};
    EvalResult r = {
        .dataset = &ds, .S = 2, .A = values, .K = 2, .stride = 5, .windows = 41, .frames = 200};
    for (int i = 0; i < values; i++) {
        snprintf(text[i], sizeof text[i], "j%d", i);
        names[i] = text[i];
    }
    r.measures = measures_new(&arena, 0, values, names);
    int M = r.measures.count;
    Summary *error = arena_alloc(&arena, sizeof(Summary) * (size_t)(6 * M));
    r.error = error, r.stay = error + 2 * M, r.error_all = error + 4 * M,
    r.stay_all = error + 5 * M;
    for (int m = 0; m < M; m++) {
        for (int s = 0; s < 2; s++) {
            r.error[2 * m + s].mean = 10 * m + s;
            r.stay[2 * m + s].mean = 1000 + 10 * m + s;
        }
        r.error_all[m].mean = 10 * m + 7;
        r.stay_all[m].mean = 1000 + 10 * m + 7;
    }
    r.error[1].mean = NAN;
    if (latency) r.latency = (Summary){.count = 1, .median = 1.25, .p95 = 2.5, .p99 = 3.75};
    char *out;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    eval_print(&r, f);
    fclose(f);
    arena_free(&arena);
    return out;
}

static bool has(const char *text, const char *line) {
    return strstr(text, line) != NULL;
}

static void rows_of_the_table(void **state) {
    (void)state;
    char *text = printed(2, true);
    assert_true(has(text, "41 predictions in 3 episodes, one every 5 frames;"));
    assert_true(has(text, "    0.1 s      all\n")); // step 1 at 10 actions a second
    assert_true(has(text, "  j0                                 -        7\n"));
    assert_true(has(text, "    staying                       1001     1007\n"));
    assert_true(has(text, "  j1                                11       17\n"));
    assert_true(has(text, "  normalised L1                     21       27\n"));
    assert_true(has(text, "    staying                       1021     1027\n"));
    assert_true(has(text, "predicting: 1.2 ms (median), 2.5 (p95), 3.8 (p99)"));
    assert_false(has(text, "more in eval.json"));
    free(text);
    // Fifteen values and the normalised one all have a row; of more, the first fifteen.
    text = printed(15, false);
    assert_true(has(text, "  j14 ") && has(text, "  normalised L1 ") && !has(text, "more in"));
    assert_false(has(text, "latency"));
    free(text);
    text = printed(16, false);
    assert_true(has(text, "  j14 ") && has(text, "  normalised L1 ") && !has(text, "  j15 "));
    assert_true(has(text, "  ... 1 more in eval.json\n"));
    free(text);
}

// ---- borders of chunks --------------------------------------------------------------------------

// The arm that goes farthest counts, each measure for itself: the first moves 5 mm and turns 0.3,
// the second moves 13 mm and turns 0.1 about its own axis.
static void a_step_is_the_farthest_arms(void **state) {
    (void)state;
    const double from[15] = {1, 2, 3, 0, 0, 0.5, 9, 4, 5, 6, 0.2, 0, 0, 1, 1e6};
    const double to[15] = {1.003, 2.004, 3, 0, 0, 0.8, 0, 4.003, 5.004, 6.012, 0.3, 0, 0, 2, -1e6};
    SeamStep both = seam_step(from, to, 2, 4), first = seam_step(from, to, 1, -1);
    assert_true(fabs(both.translation - 0.013) <= 1e-12);
    assert_true(fabs(both.rotation - 0.3) <= 1e-12);
    assert_true(fabs(first.translation - 0.005) <= 1e-12);
    assert_int_equal(both.place, 4);
    assert_int_equal(first.place, -1);
}

static void sizes_are(const SeamSizes *s, int64_t count, double median, double max) {
    assert_int_equal(s->count, count);
    assert_true(fabs(s->median - median) <= 1e-12);
    assert_true(fabs(s->max - max) <= 1e-12);
}

static void borders_against_the_inside(void **state) {
    (void)state;
    // Places -1 and beyond the blend are inside; turns are a tenth of the ways, backwards.
    static const SeamStep steps[] = {{1, 0.8, -1}, {2, 0.7, -1}, {6, 0.6, 0}, {3, 0.5, 1},
                                     {9, 0.4, 2},  {4, 0.3, 3},  {8, 0.2, 0}, {5, 0.1, 4}};
    Seam s = seam_measure(steps, 8, 2);
    assert_int_equal(s.borders, 2);
    assert_int_equal(s.blend_steps, 2);
    sizes_are(&s.translation.border, 2, 7, 8);
    sizes_are(&s.translation.blend, 2, 6, 9);
    sizes_are(&s.translation.interior, 4, 3, 5);
    assert_true(fabs(s.translation.over_median - 3) <= 1e-12); // 9 of the blend over 3
    assert_true(fabs(s.translation.over_max - 1.8) <= 1e-12);
    sizes_are(&s.rotation.border, 2, 0.4, 0.6);
    sizes_are(&s.rotation.interior, 4, 0.5, 0.8);
    assert_true(fabs(s.rotation.over_median - 1.2) <= 1e-12);
    assert_true(fabs(s.rotation.over_max - 0.75) <= 1e-12);
    s = seam_measure(steps, 8, 0); // nothing is blended
    sizes_are(&s.translation.blend, 0, 0, 0);
    sizes_are(&s.translation.interior, 6, 3.5, 9);
    assert_true(fabs(s.translation.over_median - 8 / 3.5) <= 1e-12);
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    seam_print(&s, f);
    fclose(f);
    assert_true(has(text, "at 2 borders of chunks is 2.29 (rotation "));
    free(text);
}

// Without borders, or without a step inside that is more than none, there is nothing to compare.
static void no_number_is_made_up(void **state) {
    (void)state;
    static const SeamStep inside[] = {{1, 1, -1}, {2, 2, 3}}, border[] = {{1, 1, 0}},
                          still[] = {{0, 0, -1}, {1, 1, 0}};
    const struct {
        const SeamStep *steps;
        int64_t n;
    } cases[] = {{inside, 2}, {border, 1}, {still, 2}, {inside, 0}};
    for (int i = 0; i < 4; i++) {
        Seam s = seam_measure(cases[i].steps, cases[i].n, 1);
        assert_true(isnan(s.translation.over_median) && isnan(s.rotation.over_max));
        json_t *json = seam_to_json(&s), *way = json_object_get(json, "translation_m");
        assert_true(json_is_null(json_object_get(way, "over_median")));
        assert_int_equal(json_integer_value(json_object_get(json, "borders")), i == 1 || i == 2);
        json_decref(json);
        char *text;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        seam_print(&s, f);
        fclose(f);
        assert_string_equal(text, "");
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_the_table),        cmocka_unit_test(rows_of_the_table),
        cmocka_unit_test(a_step_is_the_farthest_arms), cmocka_unit_test(borders_against_the_inside),
        cmocka_unit_test(no_number_is_made_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
