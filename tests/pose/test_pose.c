// SPDX-License-Identifier: Apache-2.0
// What the reference vectors do not reach: rows no rotation has, and two arms.
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
    const double (*R)[3] = p->rotation;
    double det = R[0][0] * (R[1][1] * R[2][2] - R[1][2] * R[2][1]) -
                 R[0][1] * (R[1][0] * R[2][2] - R[1][2] * R[2][0]) +
                 R[0][2] * (R[1][0] * R[2][1] - R[1][1] * R[2][0]);
    assert_true(fabs(det - 1) <= 1e-12);
}

static void any_rows_give_a_rotation(void **state) {
    (void)state;
    static const double rows[][6] = {
        {0, 0, 0, 0, 0, 0},         {1, 2, 3, 2, 4, 6},    {1, 0, 0, -5, 0, 0},
        {NAN, 0, 0, 0, 1, 0},       {0, 1, 0, NAN, 0, 0},  {INFINITY, 0, 0, 0, 1, 0},
        {1e-200, 0, 0, 0, 1e-200, 0}, {1e200, 1e200, 0, 0, 0, 1e200}, {0.9, 0.1, 0, 0.2, 1.1, -0.1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v[9] = {0.1, 0.2, 0.3};
        memcpy(v + 3, rows[i], sizeof rows[i]);
        Pose p = pose_from_9d(v);
        assert_rotation(&p);
        assert_true(p.position[1] == 0.2);
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
    for (int i = 0; i < 3; i++) assert_true(fabs(policy[10 + i] - (row[7 + i] - base[7 + i])) <= 1e-12);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_rows_give_a_rotation),
        cmocka_unit_test(rows_go_there_and_back),
        cmocka_unit_test(compose_undoes_relative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
