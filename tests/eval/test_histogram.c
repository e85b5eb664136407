// SPDX-License-Identifier: Apache-2.0
// Ranges for int8 from numbers whose best range is known.
#include "eval/histogram.h"

#include "base/memory.h"
#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static float uniform(RngStream *r) {
    return (float)(rng_next(r) >> 8) / (1 << 24);
}

static Histogram *filled(int64_t n, float low, float high, int pieces) {
    Histogram *h = NEW(Histogram, 1);
    RngStream r = {.key = {.seed = 5, .site = 1}};
    float *x = NEW(float, n);
    for (int64_t i = 0; i < n; i++) x[i] = low + (high - low) * uniform(&r);
    for (int p = 0; p < pieces; p++)
        histogram_add(h, x + n * p / pieces, n * (p + 1) / pieces - n * p / pieces);
    mem_free(x);
    return h;
}

static double range_of(Rounding r) {
    return (double)r.step * (r.positive ? 255 : 127);
}

static void test_even_numbers_keep_all(void **state) {
    (void)state;
    Histogram *h = filled(20000, -3, 3, 7);
    for (int i = 0; i < CLIPS; i++) {
        Rounding r = histogram_rounding(h, (Clip)i);
        assert_false(r.positive);
        assert_true(fabs(range_of(r) - 3) < 0.03);
    }
    mem_free(h);
}

static void test_never_negative_takes_all_steps(void **state) {
    (void)state;
    Histogram *h = filled(20000, 0, 2, 3);
    Rounding r = histogram_rounding(h, CLIP_MAX);
    assert_true(r.positive);
    assert_true(fabs(range_of(r) - 2) < 1e-3);
    const float below = -1e-3f;
    histogram_add(h, &below, 1);
    assert_false(histogram_rounding(h, CLIP_MAX).positive);
    mem_free(h);
}

// One number far away: a range to it would leave 4 steps for all others.
static void test_one_far_away(void **state) {
    (void)state;
    Histogram *h = filled(1000000, -1, 1, 1);
    const float far = 32;
    histogram_add(h, &far, 1);
    assert_true(fabs(range_of(histogram_rounding(h, CLIP_MAX)) - 32) < 1e-3);
    assert_true(range_of(histogram_rounding(h, CLIP_PERCENTILE)) < 1.1);
    double best = range_of(histogram_rounding(h, CLIP_MSE));
    assert_true(best >= 1 && best < 8);
    mem_free(h);
}

// The squared error of the chosen range, on the numbers themselves, is not above that of others.
static void test_least_error(void **state) {
    (void)state;
    enum { N = 100000 };
    Histogram *h = NEW(Histogram, 1);
    RngStream r = {.key = {.seed = 6, .site = 1}};
    float *x = NEW(float, N);
    for (int i = 0; i < N; i++) {
        float sum = -6;
        for (int k = 0; k < 12; k++) sum += uniform(&r);
        x[i] = i % (N / 2) ? sum : 20; // two are far away: the best range is 0.8 of that
    }
    histogram_add(h, x, N);
    const double chosen = range_of(histogram_rounding(h, CLIP_MSE));
    double best = INFINITY, at = 0, there = 0;
    for (int i = 1; i <= 200; i++) {
        double range = i == 200 ? chosen : (double)h->largest * i / 200, sum = 0,
               step = range / 127;
        for (int k = 0; k < N; k++) {
            double v = fmax(-range, fmin(range, rint(x[k] / step) * step)), e = v - x[k];
            sum += e * e;
        }
        if (sum < best) best = sum, at = range;
        if (i == 200) there = sum;
    }
    assert_true(there <= 1.01 * best);
    assert_true(at < 0.9 * h->largest); // so that clipping is what is tested
    mem_free(x);
    mem_free(h);
}

static void test_nothing_but_zeros(void **state) {
    (void)state;
    Histogram *h = NEW(Histogram, 1);
    const float zeros[9] = {0};
    histogram_add(h, zeros, 9);
    for (int i = 0; i < CLIPS; i++) assert_true(histogram_rounding(h, (Clip)i).step == 0);
    mem_free(h);
}

static void test_not_finite_is_told(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        Histogram *h = filled(100, -1, 1, 1);
        assert_false(h->lost);
        histogram_add(h, bad + i, 1);
        assert_true(h->lost);
        mem_free(h);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_numbers_keep_all),
        cmocka_unit_test(test_never_negative_takes_all_steps),
        cmocka_unit_test(test_one_far_away),
        cmocka_unit_test(test_least_error),
        cmocka_unit_test(test_nothing_but_zeros),
        cmocka_unit_test(test_not_finite_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
