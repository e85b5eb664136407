// SPDX-License-Identifier: Apache-2.0
// Smooth ways between values: where they begin and end, and that their rates are their derivatives.
#include "pose/curve.h"
#include "pose/pose.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static double random_in(double most) {
    static uint64_t n = 5;
    n = n * 6364136223846793005u + 1442695040888963407u;
    return most * ((double)(n >> 11) / 4503599627370496.0 - 1);
}

static void random_vector(double most, double v[3]) {
    for (int i = 0; i < 3; i++) v[i] = random_in(most);
}

static Pose turned(const double r[3]) {
    return pose_from_vector((const double[6]){0, 0, 0, r[0], r[1], r[2]});
}

// The rotation vector from one to the other.
static void turn(const Pose *a, const Pose *b, double r[3]) {
    Pose way = pose_relative(a, b);
    double v[6];
    pose_to_vector(&way, v);
    memcpy(r, v + 3, 3 * sizeof *r);
}

static void is_near(const double *a, const double *b, int n, double tolerance) {
    for (int i = 0; i < n; i++) assert_true(fabs(a[i] - b[i]) <= tolerance);
}

static void numbers_keep_their_ends_and_rates(void **state) {
    (void)state;
    for (int n = 0; n < 100; n++) {
        double a = random_in(1), b = random_in(1), ra = random_in(5), rb = random_in(5), rate;
        double seconds = 0.2 + random_in(0.1), s = 0.5 + random_in(0.49), h = 1e-5, none;
        assert_true(curve_number(a, ra, b, rb, seconds, 0, &rate) == a);
        assert_true(fabs(rate - ra) <= 1e-12);
        assert_true(curve_number(a, ra, b, rb, seconds, 1, &rate) == b);
        assert_true(fabs(rate - rb) <= 1e-12);
        curve_number(a, ra, b, rb, seconds, s, &rate);
        double ahead = curve_number(a, ra, b, rb, seconds, s + h, &none);
        double behind = curve_number(a, ra, b, rb, seconds, s - h, &none);
        assert_true(fabs((ahead - behind) / (2 * h * seconds) - rate) <= 1e-6);
    }
}

// With rates of curve_rate no curve leaves the range of its two ends.
static void numbers_do_not_overshoot(void **state) {
    (void)state;
    for (int n = 0; n < 200; n++) {
        double x[4], t[3], rate;
        for (int i = 0; i < 4; i++) x[i] = n % 5 == 0 && i > 1 ? x[1] : random_in(1);
        for (int i = 0; i < 3; i++) t[i] = 0.11 + random_in(0.1);
        double ra = curve_rate(x[0], x[1], x[2], t[0], t[1]);
        double rb = curve_rate(x[1], x[2], x[3], t[1], t[2]);
        double low = fmin(x[1], x[2]) - 1e-12, high = fmax(x[1], x[2]) + 1e-12;
        for (int i = 0; i <= 50; i++) {
            double y = curve_number(x[1], ra, x[2], rb, t[1], i / 50.0, &rate);
            assert_true(y >= low && y <= high);
        }
    }
    assert_true(fabs(curve_rate(1, 3, 5, 0.5, 0.5) - 4) <= 1e-12); // of a straight line its own
    assert_true(curve_rate(1, 3, 2, 0.5, 0.5) == 0 && curve_rate(1, 1, 2, 1, 1) == 0);
    assert_true(curve_rate(0, 1e-200, 0, 1, 1) == 0); // it turns round, however little it moves
}

static void rotations_keep_their_ends_and_rates(void **state) {
    (void)state;
    for (int n = 0; n < 200; n++) {
        double from[3], way[3], ra[3], rb[3], rate[3], r[3], end[3];
        // Of all sizes, small ones too, for which there are series.
        double size = (const double[]){1e-9, 1e-5, 3e-3, 0.1, 1.5}[n % 5];
        random_vector(2, from), random_vector(size, way), random_vector(3, ra),
            random_vector(3, rb);
        Pose a = turned(from), step = turned(way), b = pose_compose(&a, &step), at = {0},
             near = {0};
        double seconds = 0.2 + random_in(0.1), s = 0.5 + random_in(0.49), h = 1e-5;
        curve_rotation(a.rotation, ra, b.rotation, rb, seconds, 0, at.rotation, rate);
        turn(&a, &at, r);
        is_near(r, (const double[]){0, 0, 0}, 3, 1e-12);
        is_near(rate, ra, 3, 1e-12);
        curve_rotation(a.rotation, ra, b.rotation, rb, seconds, 1, at.rotation, end);
        turn(&b, &at, r);
        is_near(r, (const double[]){0, 0, 0}, 3, 1e-9);
        is_near(end, rb, 3, 1e-9);
        curve_rotation(a.rotation, ra, b.rotation, rb, seconds, s, at.rotation, rate);
        curve_rotation(a.rotation, ra, b.rotation, rb, seconds, s + h, near.rotation, end);
        turn(&at, &near, r);
        for (int i = 0; i < 3; i++) r[i] /= h * seconds;
        is_near(r, rate, 3, 2e-2); // of the difference only: it is one-sided
        curve_rotation(a.rotation, ra, b.rotation, rb, seconds, s + h / 100, near.rotation, end);
        turn(&at, &near, r);
        for (int i = 0; i < 3; i++) r[i] /= h / 100 * seconds;
        is_near(r, rate, 3, 5e-4);
    }
}

// Turning at a steady rate, it goes on so.
static void a_steady_turn_stays_one(void **state) {
    (void)state;
    const double axis[3] = {0.3, -0.5, 0.2};
    Pose at[4];
    double ra[3], rb[3], rate[3], want[3], r[3];
    for (int i = 0; i < 4; i++) {
        double v[3];
        for (int k = 0; k < 3; k++) v[k] = axis[k] * i;
        at[i] = turned(v);
    }
    curve_turn_rate(at[0].rotation, at[1].rotation, at[2].rotation, 0.1, 0.1, ra);
    curve_turn_rate(at[1].rotation, at[2].rotation, at[3].rotation, 0.1, 0.1, rb);
    for (int k = 0; k < 3; k++) want[k] = axis[k] / 0.1;
    is_near(ra, want, 3, 1e-9);
    for (int i = 0; i <= 10; i++) {
        Pose there = {0};
        curve_rotation(at[1].rotation, ra, at[2].rotation, rb, 0.1, i / 10.0, there.rotation, rate);
        is_near(rate, want, 3, 1e-9);
        turn(&at[1], &there, r);
        for (int k = 0; k < 3; k++) assert_true(fabs(r[k] - axis[k] * i / 10) <= 1e-9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_keep_their_ends_and_rates),
        cmocka_unit_test(numbers_do_not_overshoot),
        cmocka_unit_test(rotations_keep_their_ends_and_rates),
        cmocka_unit_test(a_steady_turn_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
