// SPDX-License-Identifier: Apache-2.0
// Random numbers: the paper's known answer, that taking many at once gives the numbers of one by
// one, and that normal numbers are Box and Muller's and normal.
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void known_answers(void **state) {
    (void)state;
    uint32_t w[4];
    philox4x32(w, 0, 0, 0, 0, 0);
    assert_int_equal(w[0], 0x6627e8d5);
    assert_int_equal(w[1], 0xe169c58d);
    assert_int_equal(w[2], 0xbc57ac4c);
    assert_int_equal(w[3], 0x9b00dbd8);
}

static void many_at_once_are_the_same(void **state) {
    (void)state;
    enum { MOST = 150 };
    const uint64_t starts[] = {0, 2, 6, 64, 4 * 0xffffffffu - 8, (uint64_t)1 << 40};
    for (int k = 0; k < 6; k++)
        for (int n = 0; n <= MOST; n++) {
            const RngStream start = {.key = {.seed = 0x123456789abcdef, .step = 7, .site = 9},
                                     .next = starts[k]};
            RngStream one = start, many = start;
            double out[MOST + 1];
            out[n] = -1;
            rng_doubles(&many, out, n);
            for (int i = 0; i < n; i++) assert_true(out[i] == rng_double(&one));
            assert_true(out[n] == -1 && many.next == one.next);
        }
}

// Against the C library's logarithm and cosine. A number is a few times the rounding of its factors
// away, and near a zero of the cosine what 2 pi v is rounded to.
static void normals_are_box_and_mullers(void **state) {
    (void)state;
    enum { N = 100003 };
    RngStream uniforms = {.key = {.seed = 5, .step = 2}}, normals = uniforms;
    double *x = NEW(double, N + 1);
    x[N] = 7;
    rng_normals(&normals, x, N);
    for (int i = 0; i < N; i++) {
        double u = rng_double(&uniforms), v = rng_double(&uniforms);
        double radius = sqrt(-2 * log(1 - u)), wanted = radius * cos(2 * M_PI * v);
        if (!(fabs(x[i] - wanted) <= 1e-15 * radius + 1e-15 * fabs(wanted)))
            fail_msg("number %d: %.17g, not %.17g", i, x[i], wanted);
    }
    assert_true(x[N] == 7 && normals.next == uniforms.next);
    mem_free(x);
}

// The part of the standard normal distribution above x.
static double above(double x) {
    return erfc(x / sqrt(2)) / 2;
}

// Moments, both tails and the covariance of neighbours, each to five deviations of its estimate.
static void normals_are_normal(void **state) {
    (void)state;
    enum { N = 1 << 20, TAILS = 4 };
    RngStream s = {.key = {.seed = 11, .site = 3}};
    double *x = NEW(double, N), moments[5] = {0}, near[3] = {0};
    int64_t high[TAILS + 1] = {0}, low[TAILS + 1] = {0};
    rng_normals(&s, x, N);
    for (int i = 0; i < N; i++) {
        double power = 1;
        for (int k = 0; k < 5; k++, power *= x[i]) moments[k] += power / N;
        for (int lag = 1; lag <= 2; lag++) near[lag] += i >= lag ? x[i] * x[i - lag] / N : 0;
        for (int k = 0; k <= TAILS; k++) {
            high[k] += x[i] > k;
            low[k] += x[i] < -k;
        }
    }
    double unit = 5 / sqrt(N); // the deviations are those of x, x^2, x^3 and x^4
    assert_true(fabs(moments[1]) < unit && fabs(moments[2] - 1) < unit * sqrt(2));
    assert_true(fabs(moments[3]) < unit * sqrt(15) && fabs(moments[4] - 3) < unit * sqrt(96));
    assert_true(fabs(near[1]) < unit && fabs(near[2]) < unit);
    for (int k = 0; k <= TAILS; k++) {
        double wanted = N * above(k), deviation = 5 * sqrt(wanted);
        if (!(fabs((double)high[k] - wanted) < deviation &&
              fabs((double)low[k] - wanted) < deviation))
            fail_msg("beyond %d: %lld and %lld, not %.1f", k, (long long)high[k], (long long)low[k],
                     wanted);
    }
    mem_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(many_at_once_are_the_same),
        cmocka_unit_test(normals_are_box_and_mullers),
        cmocka_unit_test(normals_are_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
