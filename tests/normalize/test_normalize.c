// SPDX-License-Identifier: Apache-2.0
// Normalisation: the formulas, and that no statistic is ever missed in silence.
#include "base/memory.h"
#include "normalize/normalize.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 3 };

// The last value does not vary.
static double min[] = {-2, 0, 5}, max[] = {2, 10, 5}, mean[] = {1, -1, 5}, std[] = {0.5, 4, 0};

static Stats good(void) {
    return (Stats){.dim = DIM, .min = min, .max = max, .mean = mean, .std = std, .count = 10};
}

static void assert_close(double got, double want) {
    if (!(fabs(got - want) <= 1e-6)) fail_msg("%.9g is not %.9g", got, want);
}

static void assert_maps(NormMode mode, const double x[2][DIM], const double want[2][DIM],
                        const double back[2][DIM]) {
    Normalizer n;
    Error err;
    Stats s = good();
    float y[2][DIM];
    double inverse[2][DIM];
    if (!normalizer_init(&n, "action", mode, &s, DIM, &err)) fail_msg("%s", err.text);
    normalizer_apply(&n, x[0], y[0], 2);
    normalizer_invert(&n, y[0], inverse[0], 2);
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < DIM; i++) {
            assert_close((double)y[r][i], want[r][i]);
            assert_close(inverse[r][i], back[r][i]);
        }
    normalizer_free(&n);
}

static const double x[2][DIM] = {{-2, 10, 5}, {0, 4, 6}};

static void min_max_maps_onto_one(void **state) {
    (void)state;
    const double want[2][DIM] = {{-1, 1, -1}, {0, -0.2, 0}},
                 back[2][DIM] = {{-2, 10, 5}, {0, 4, 5}};
    assert_maps(NORM_MIN_MAX, x, want, back);
}

static void mean_std_maps_onto_unit_variance(void **state) {
    (void)state;
    const double want[2][DIM] = {{-6, 2.75, 0}, {-2, 1.25, 1}},
                 back[2][DIM] = {{-2, 10, 5}, {0, 4, 5}};
    assert_maps(NORM_MEAN_STD, x, want, back);
}

// The epsilon makes a difference where a deviation is about as small, and only when a value is
// normalised, not in the inverse. The numbers are LeRobot's.
static void epsilon_is_lerobots(void **state) {
    (void)state;
    static double middle[] = {1}, small[] = {4e-8};
    const Stats s = {.dim = 1, .mean = middle, .std = small};
    const double in = 1 + 1e-7;
    const float out = 1;
    float y;
    double x_back;
    Normalizer n;
    Error err;
    if (!normalizer_init(&n, "action", NORM_MEAN_STD, &s, 1, &err)) fail_msg("%s", err.text);
    normalizer_apply(&n, &in, &y, 1);
    normalizer_invert(&n, &out, &x_back, 1);
    assert_close((double)y, 2); // 1e-7 / 5e-8
    if (!(fabs(x_back - (1 + 4e-8)) <= 1e-12)) fail_msg("%.12g", x_back);
    normalizer_free(&n);
}

static void identity_needs_nothing(void **state) {
    (void)state;
    Normalizer n;
    Error err;
    float y[DIM];
    if (!normalizer_init(&n, "state", NORM_IDENTITY, NULL, DIM, &err)) fail_msg("%s", err.text);
    normalizer_apply(&n, x[1], y, 1);
    for (int i = 0; i < DIM; i++) assert_true((double)y[i] == x[1][i]);
    normalizer_free(&n);
}

static void assert_refused(NormMode mode, const Stats *s, int dim, const char *says) {
    Normalizer n;
    Error err = {""};
    assert_false(normalizer_init(&n, "observation.state", mode, s, dim, &err));
    if (!strstr(err.text, says) || strncmp(err.text, "observation.state: ", 19) != 0)
        fail_msg("\"%s\" lacks \"%s\"", err.text, says);
    normalizer_free(&n);
}

static void bad_statistics_are_refused(void **state) {
    (void)state;
    static const NormMode modes[] = {NORM_MIN_MAX, NORM_MEAN_STD};
    for (int k = 0; k < 2; k++) {
        Stats s = good();
        assert_refused(modes[k], NULL, DIM, "have no");
        assert_refused(modes[k], &s, DIM + 1, "have 3 values, but it has 4");
        s.min = s.mean = NULL;
        assert_refused(modes[k], &s, DIM, "have no");
        s = good();
        s.max = s.std = NULL;
        assert_refused(modes[k], &s, DIM, "have no");
        double *all[] = {min, max, mean, std};
        static const double bad[] = {NAN, INFINITY, -INFINITY};
        for (int i = 0; i < 3; i++) {
            double *hurt = all[2 * k + i % 2], kept = hurt[1];
            s = good();
            hurt[1] = bad[i];
            assert_refused(modes[k], &s, DIM, "value 1 is not finite");
            hurt[1] = kept;
        }
    }
    Stats s = good();
    double kept = min[0];
    min[0] = 3;
    assert_refused(NORM_MIN_MAX, &s, DIM, "cannot be");
    min[0] = kept;
    std[1] = -4;
    assert_refused(NORM_MEAN_STD, &s, DIM, "cannot be");
    std[1] = 4;
}

// A checkpoint may have an eps that is more than a guard against 0. As in LeRobot it is added to a
// deviation and left out of the inverse, and it stands in for a range of 0.
static void a_larger_eps_is_meant(void **state) {
    (void)state;
    const double point[DIM] = {2, 4, 5.02};
    const NormEps eps = {0.01, 0.04};
    const double want[2][DIM] = {{(2 - 1) / 0.51, (4 + 1) / 4.01, 0.02 / 0.01},
                                 {1, -0.2, 2 * 0.02 / 0.01 - 1}};
    const double back[2][DIM] = {{1 / 0.51 * 0.5 + 1, 5 / 4.01 * 4 - 1, 5},
                                 {2, 4, (3 + 1) / 2 * 0.04 + 5}};
    for (int m = 0; m < 2; m++) {
        Normalizer n;
        Error err;
        Stats s = good();
        float y[DIM];
        double inverse[DIM];
        if (!normalizer_init_eps(&n, "action", m ? NORM_MIN_MAX : NORM_MEAN_STD, &s, DIM, eps,
                                 &err))
            fail_msg("%s", err.text);
        normalizer_apply(&n, point, y, 1);
        normalizer_invert(&n, y, inverse, 1);
        for (int i = 0; i < DIM; i++) {
            assert_close((double)y[i], want[m][i]);
            assert_close(inverse[i], back[m][i]);
        }
        normalizer_free(&n);
    }
}

// Below 1e-8 there is no deviation: the value is a constant, and its scale 1.
static void a_deviation_begins_at_1e_8(void **state) {
    (void)state;
    double none[] = {1, 1, 1, 1}, least[] = {0.75e-8, nextafter(1e-8, 0), 1e-8, 1.5e-8};
    const Stats s = {.dim = 4, .mean = none, .std = least};
    const double want[] = {1, 1, 1 / 2e-8, 1 / 2.5e-8};
    Normalizer n;
    Error err;
    if (!normalizer_init(&n, "action", NORM_MEAN_STD, &s, 4, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(n.scale[i] / want[i] - 1) <= 1e-12);
        assert_true(n.inverse_scale[i] == (i < 2 ? 0 : least[i]));
    }
    normalizer_free(&n);
    assert_true(!n.scale && n.dim == 0 && n.mode == NORM_IDENTITY);
    normalizer_free(&n); // a second time is no matter
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deviation_begins_at_1e_8),       cmocka_unit_test(min_max_maps_onto_one),
        cmocka_unit_test(mean_std_maps_onto_unit_variance), cmocka_unit_test(epsilon_is_lerobots),
        cmocka_unit_test(identity_needs_nothing),           cmocka_unit_test(a_larger_eps_is_meant),
        cmocka_unit_test(bad_statistics_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
