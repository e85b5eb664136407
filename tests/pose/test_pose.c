// SPDX-License-Identifier: Apache-2.0
// What the reference vectors do not cover: rows that belong to no rotation, and two arms.
#include "pose/pose.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_rotation(const Pose *p) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double dot = 0;
            for (int k = 0; k < 3; k++) dot += p->rotation[i][k] * p->rotation[j][k];
            assert_true(fabs(dot - (i == j)) <= 1e-12); // false for NaN
        }
    const double(*R)[3] = p->rotation;
    double det = R[0][0] * (R[1][1] * R[2][2] - R[1][2] * R[2][1]) -
                 R[0][1] * (R[1][0] * R[2][2] - R[1][2] * R[2][0]) +
                 R[0][2] * (R[1][0] * R[2][1] - R[1][1] * R[2][0]);
    assert_true(fabs(det - 1) <= 1e-12);
}

static void any_rows_give_a_rotation(void **state) {
    (void)state;
    static const double rows[][6] = {{0, 0, 0, 0, 0, 0},           {1, 2, 3, 2, 4, 6},
                                     {1, 0, 0, -5, 0, 0},          {NAN, 0, 0, 0, 1, 0},
                                     {0, 1, 0, NAN, 0, 0},         {INFINITY, 0, 0, 0, 1, 0},
                                     {1e-200, 0, 0, 0, 1e-200, 0}, {1e200, 1e200, 0, 0, 0, 1e200},
                                     {0.9, 0.1, 0, 0.2, 1.1, -0.1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v[9] = {0.1, 0.2, 0.3};
        memcpy(v + 3, rows[i], sizeof rows[i]);
        Pose p = pose_from_9d(v);
        assert_rotation(&p);
        assert_true(p.position[1] == 0.2);
    }
}

// A second row that gives no direction beside the first: of all rotations with this first row the
// smallest, whose trace is the greatest. That of a turn by t is 1 + 2 cos t, and x has to turn by
// the angle to the first row, so the trace is 1 + 2 a[0].
static void parallel_rows_give_the_least_turn(void **state) {
    (void)state;
    static const double firsts[][3] = {
        {1, 2, 3},     {3, 1, 2},    {-1, 2, 3},     {1, -2, 3},       {1, 2, -3},
        {-3, -2, 1},   {1, 0, 0},    {0, 1, 0},      {0, 0, 1},        {0, -1, 0},
        {0, 0, -1},    {0, 2, 1},    {2, 0, 1},      {-2, 1, 0},       {-1, 0, 0},
        {-1, 1e-9, 0}, {1, 0, 1e-9}, {-1, 0, -1e-9}, {-1, 3e-5, 4e-5}, {-1, 3e-161, 4e-161}};
    static const double seconds[] = {-2, 0, NAN, INFINITY};
    for (size_t n = 0; n < 4 * sizeof firsts / sizeof *firsts; n++) {
        const double *first = firsts[n / 4];
        double v[9] = {NAN, 0.2, 0.3}, length = 0;
        for (int i = 0; i < 3; i++) length += first[i] * first[i];
        length = sqrt(length);
        for (int i = 0; i < 3; i++) v[3 + i] = first[i], v[6 + i] = seconds[n % 4] * first[i];
        Pose p = pose_from_9d(v);
        for (int i = 0; i < 3; i++)
            assert_true(fabs(p.rotation[0][i] - first[i] / length) <= 1e-15);
        assert_rotation(&p);
        double trace = p.rotation[0][0] + p.rotation[1][1] + p.rotation[2][2];
        assert_true(fabs(trace - (1 + 2 * first[0] / length)) <= 1e-14);
        assert_true(p.position[0] == 0 && p.position[1] == 0.2 && p.position[2] == 0.3);
    }
    // A quarter turn about z brings x to y and y to -x; where x is turned back, y stays.
    Pose quarter = pose_from_9d((const double[9]){0, 0, 0, 0, 5, 0, 0, -1, 0});
    assert_true(quarter.rotation[1][0] == -1 && quarter.rotation[2][2] == 1);
    Pose back = pose_from_9d((const double[9]){0, 0, 0, -5, 0, 0, 1, 0, 0});
    assert_true(back.rotation[1][1] == 1 && back.rotation[2][2] == -1);
    // Without a first row either, nothing is turned.
    Pose none = pose_from_9d((const double[9]){1, 2, 3});
    for (int i = 0; i < 9; i++) assert_true(none.rotation[i / 3][i % 3] == (i % 4 == 0));
}

// cos I + sin K + (1 - cos) a a', K the cross-product matrix of the unit vector a.
static Pose turned(const double a[3], double angle) {
    const double c = cos(angle), s = sin(angle);
    const double k[3][3] = {{0, -a[2], a[1]}, {a[2], 0, -a[0]}, {-a[1], a[0], 0}};
    Pose p = {.position = {0}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            p.rotation[i][j] = c * (i == j) + s * k[i][j] + (1 - c) * a[i] * a[j];
    return p;
}

// From the smallest turn to half of one the vector of a rotation is exact, whatever its axis: along
// one of the coordinates, at right angles to one, or at right angles to one but for a millionth.
static void vectors_are_exact_up_to_pi(void **state) {
    (void)state;
    static const double axes[][3] = {{1, 0, 0},     {9, 3, -2}, {1e-6, 1, 1},
                                     {1e-6, 1, -1}, {1, 1, 1},  {0, -3, 4}};
    const double half = acos(-1);
    const double angles[] = {1e-13, 1e-9,        1,           2.0943951023931953,
                             2.5,   half - 1e-3, half - 1e-6, half - 1e-9};
    for (int n = 0; n < 6 * 3 * 2; n++) {
        double a[3], v[6] = {0};
        const double *axis = axes[n / 6];
        double sign = n % 2 ? -1 : 1,
               length = sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]);
        for (int i = 0; i < 3; i++) a[i] = sign * axis[(i + n / 2) % 3] / length;
        for (size_t k = 0; k < sizeof angles / sizeof *angles; k++) {
            Pose p = turned(a, angles[k]);
            pose_to_vector(&p, v);
            for (int i = 0; i < 3; i++)
                assert_true(fabs(v[3 + i] - angles[k] * a[i]) <= 1e-12 * fmin(1, angles[k]));
        }
        // A half turn, 2 a a' - I, is that about -a too; the first number that is not 0 is
        // positive.
        Pose p = {.position = {0}};
        for (int i = 0; i < 9; i++)
            p.rotation[i / 3][i % 3] = 2 * a[i / 3] * a[i % 3] - (i % 4 == 0);
        pose_to_vector(&p, v);
        double first = a[0] != 0 ? a[0] : a[1] != 0 ? a[1] : a[2];
        for (int i = 0; i < 3; i++)
            assert_true(fabs(v[3 + i] - copysign(half, first) * a[i]) <= 1e-12);
    }
}

static void rows_go_there_and_back(void **state) {
    (void)state;
    const double base[14] = {0.3, -0.2, 0.5, 0.4, -1.1, 2.0, 0.7, 1, 2, 3, 0, 0, 0, 0.1};
    const double row[14] = {0.1, 0.4, 0.2, -0.3, 0.9, 1.5, 0.2, -1, 0, 1, 3.1, 0, 0.1, 0.9};
    double policy[20], back[14];
    pose_row_to_policy(row, base, 2, policy);
    assert_true(policy[9] == row[6] && policy[19] == row[13]);
    // The second base is not turned: its position is a plain difference.
    for (int i = 0; i < 3; i++)
        assert_true(fabs(policy[10 + i] - (row[7 + i] - base[7 + i])) <= 1e-12);
    pose_row_from_policy(policy, base, 2, back);
    for (int i = 0; i < 14; i++) assert_true(fabs(back[i] - row[i]) <= 1e-12);
}

static void compose_undoes_relative(void **state) {
    (void)state;
    const double a[6] = {1, 2, 3, 0.5, -0.4, 0.3}, b[6] = {-1, 0, 2, -2.9, 0.1, 0.2};
    Pose base = pose_from_vector(a), pose = pose_from_vector(b);
    Pose relative = pose_relative(&base, &pose), again = pose_compose(&base, &relative);
    double v[6];
    pose_to_vector(&again, v);
    for (int i = 0; i < 6; i++) assert_true(fabs(v[i] - b[i]) <= 1e-12);
}

static void rotation(const double *v, double m[3][3]) {
    const double pose[6] = {0, 0, 0, v[0], v[1], v[2]};
    Pose p = pose_from_vector(pose);
    memcpy(m, p.rotation, sizeof p.rotation);
}

static void assert_nearest(double m[3][3], const double *v) {
    double want[3][3];
    pose_nearest_rotation(m);
    rotation(v, want);
    for (int i = 0; i < 9; i++) assert_true(fabs(m[i / 3][i % 3] - want[i / 3][i % 3]) <= 1e-12);
}

// A rotation is its own nearest; the mean of two on one axis lies between, by their weights' sine
// rule.
static void the_nearest_rotation_is_the_mean(void **state) {
    (void)state;
    const double some[][3] = {
        {0, 0, 0}, {1e-9, 0, 0}, {0.4, -1.1, 2.0}, {0, 3.141592653589793, 0}, {2.2, 0.1, -2.2}};
    double m[3][3], a[3][3], b[3][3];
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        rotation(some[i], m);
        assert_nearest(m, some[i]);
        rotation(some[i], m);
        for (int k = 0; k < 9; k++) m[k / 3][k % 3] *= 0.3;
        assert_nearest(m, some[i]);
    }
    // tan of the mean's angle = sum of sines / sum of cosines; on either side of pi too.
    const double middles[] = {0.7, 3.0, 3.141592653589793};
    for (int i = 0; i < 3; i++) {
        double from = middles[i] - 0.5, to = middles[i] + 0.5;
        double mean = atan2(sin(from) + 3 * sin(to), cos(from) + 3 * cos(to));
        rotation((const double[]){0, 0.6 * from, 0.8 * from}, a);
        rotation((const double[]){0, 0.6 * to, 0.8 * to}, b);
        for (int k = 0; k < 9; k++) m[k / 3][k % 3] = a[k / 3][k % 3] + 3 * b[k / 3][k % 3];
        assert_nearest(m, (const double[]){0, 0.6 * mean, 0.8 * mean});
    }
}

static void the_nearest_rotation_is_always_proper(void **state) {
    (void)state;
    const double odd[][9] = {{0},
                             {1, 0, 0, 0, -1, 0, 0, 0, 1},
                             {-1, 0, 0, 0, -1, 0, 0, 0, -1},
                             {1, 2, 3, 2, 4, 6, 3, 6, 9},
                             {1e-300, 0, 0, 0, 1e300, 0, 0, 0, 1}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        Pose p = {.position = {0}};
        memcpy(p.rotation, odd[i], sizeof odd[i]);
        pose_nearest_rotation(p.rotation);
        assert_rotation(&p);
    }
}

static double apart(const double *a, const double *b) {
    double sum = 0;
    for (int i = 0; i < 3; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

// A turn about a fixed axis goes through pi and on: no number changes by more in a step than the
// angle does.
static void vectors_go_on_through_pi(void **state) {
    (void)state;
    const double axis[3] = {0.6, 0, -0.8}, step = 0.05, first = 2.6;
    double before[3] = {first * axis[0], 0, first * axis[2]};
    for (int n = 1; first + n * step < 6.2; n++) {
        double angle = first + n * step, v[6] = {0}, want[3];
        for (int i = 0; i < 3; i++) v[3 + i] = want[i] = angle * axis[i];
        Pose p = pose_from_vector(v);
        pose_to_vector(&p, v);
        if (angle > 3.15) assert_true(apart(v + 3, before) > 6); // the shorter one has turned round
        pose_vector_near(v + 3, before);
        assert_true(apart(v + 3, want) <= 1e-9);
        assert_true(fabs(apart(v + 3, before) - step) <= 1e-9);
        memcpy(before, v + 3, sizeof before);
    }
}

static void the_nearer_vector_is_the_same_rotation(void **state) {
    (void)state;
    static const double befores[][3] = {{0, 0, 0}, {3, 0, 0}, {-2, -2, 1}, {0, 0, 6.2}};
    static const double vectors[][3] = {
        {0, 0, 0}, {0, 0, -0.2}, {-3.1, 0.1, 0}, {1.5, 1.5, -1}, {0, 3.14, 0}};
    for (int b = 0; b < 4; b++)
        for (int n = 0; n < 5; n++) {
            double v[6] = {0}, was[6] = {0};
            memcpy(was + 3, vectors[n], sizeof vectors[n]);
            memcpy(v, was, sizeof v);
            pose_vector_near(v + 3, befores[b]);
            Pose p = pose_from_vector(v), q = pose_from_vector(was);
            for (int i = 0; i < 9; i++)
                assert_true(fabs((&p.rotation[0][0])[i] - (&q.rotation[0][0])[i]) <= 1e-12);
            assert_true(apart(v + 3, befores[b]) <= apart(was + 3, befores[b]));
            assert_true(apart(v + 3, (double[3]){0}) <= POSE_LONGEST_VECTOR);
        }
    double far[3] = {0, 0, -0.2};
    pose_vector_near(far, befores[3]);
    assert_true(fabs(far[2] - (2 * acos(-1) - 0.2)) <=
                1e-12); // 6.083 rather than -0.2, seen from 6.2
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_rows_give_a_rotation),
        cmocka_unit_test(parallel_rows_give_the_least_turn),
        cmocka_unit_test(vectors_are_exact_up_to_pi),
        cmocka_unit_test(rows_go_there_and_back),
        cmocka_unit_test(compose_undoes_relative),
        cmocka_unit_test(the_nearest_rotation_is_the_mean),
        cmocka_unit_test(the_nearest_rotation_is_always_proper),
        cmocka_unit_test(vectors_go_on_through_pi),
        cmocka_unit_test(the_nearer_vector_is_the_same_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
