// SPDX-License-Identifier: Apache-2.0
// Rules about values whose names say that they are poses: whether they can be what is said.
#include "check/series.h"

#include <math.h>

// Values of an arm's pose: x y z, a rotation vector, the gripper.
enum { POSE = 7, ROTATION = 3 };

static double rotation_length(const Vector *v, int64_t row, int at) {
    double x = value_at(v, row, at), y = value_at(v, row, at + 1), z = value_at(v, row, at + 2);
    return sqrt(x * x + y * y + z * z);
}

static void check_pose_units(Check *c, const Vector *v) {
    for (int arm = 0; arm < c->arms; arm++) {
        for (int d = arm * POSE; d < arm * POSE + ROTATION; d++) {
            double largest = fmax(fabs(v->dims[d].min), fabs(v->dims[d].max));
            if (largest > check_rules[RULE_unit_position].limit)
                find(c, RULE_unit_position, -1, -1, v->dims[d].name, largest,
                     "up to %.4g: millimetres?", largest);
        }
        int at = arm * POSE + ROTATION;
        double longest = 0;
        for (int64_t row = 0; row < c->ds->rows; row++)
            longest = fmax(longest, rotation_length(v, row, at));
        if (longest > check_rules[RULE_unit_rotation].limit)
            find(c, RULE_unit_rotation, -1, -1, v->dims[at].name, longest,
                 "up to %.4g long: degrees?", longest);
    }
}

static void check_rotation_flips(Check *c, const Vector *v) {
    const Dataset *ds = c->ds;
    for (int arm = 0; arm < c->arms; arm++) {
        int at = arm * POSE + ROTATION;
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            int64_t flips = 0, frame = -1;
            for (int64_t i = 1; i < ds->episodes[e].length; i++) {
                int64_t row = ds->episodes[e].first_row + i;
                double dot = 0;
                for (int d = at; d < at + ROTATION; d++)
                    dot += value_at(v, row, d) * value_at(v, row - 1, d);
                bool far =
                    rotation_length(v, row, at) > 2.5 && rotation_length(v, row - 1, at) > 2.5;
                if (dot < 0 && far && flips++ == 0) frame = i;
            }
            if (flips > 0)
                find(c, RULE_rotation_flip, e, frame, v->dims[at].name, (double)flips, "%lld times",
                     (long long)flips);
        }
    }
}

// ---- rotations in another form ------------------------------------------------------------------

// Whether the three values of a rotation and the one behind them have length 1, as a quaternion's.
static bool like_quaternion(const Vector *v, int64_t row, int at) {
    double squares = 0;
    for (int d = at; d <= at + ROTATION; d++) squares += value_at(v, row, d) * value_at(v, row, d);
    return fabs(sqrt(squares) - 1) < 1e-3;
}

static void check_quaternions(Check *c, const Vector *v) {
    const double limit = check_rules[RULE_rotation_form].limit;
    for (int arm = 0; arm < c->arms; arm++) {
        int at = arm * POSE + ROTATION;
        int64_t like = 0;
        bool moves = false;
        for (int d = at; d <= at + ROTATION; d++) moves |= v->dims[d].max > v->dims[d].min;
        for (int64_t row = 0; row < c->ds->rows; row++) like += like_quaternion(v, row, at);
        double share = (double)like / (double)c->ds->rows;
        if (moves && share > limit)
            find(c, RULE_rotation_form, -1, -1, v->dims[at].name, share,
                 "a quaternion: with the value behind it, it has length 1 in %.0f %% of the rows",
                 100 * share);
    }
}

// A rotation vector that passes half a turn comes out on the opposite side, with all three values
// turned over. Euler angles jump by a whole turn one at a time, and the other two stay.
static bool wraps_alone(const Vector *v, int64_t row, int at) {
    const double turn = 6.283185307179586, near = 0.5;
    int wraps = 0, stay = 0;
    double dot = 0;
    for (int d = at; d < at + ROTATION; d++) {
        double x = value_at(v, row, d), before = value_at(v, row - 1, d), step = fabs(x - before);
        wraps += fabs(step - turn) < near;
        stay += step < near;
        dot += x * before;
    }
    double lengths = rotation_length(v, row, at) * rotation_length(v, row - 1, at);
    return wraps == 1 && stay == 2 && dot > -0.95 * lengths;
}

static void check_euler_angles(Check *c, const Vector *v) {
    const Dataset *ds = c->ds;
    for (int arm = 0; arm < c->arms; arm++) {
        int at = arm * POSE + ROTATION;
        int64_t wraps = 0, first = -1, frame = -1;
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            for (int64_t i = 1; i < ds->episodes[e].length; i++)
                if (wraps_alone(v, ds->episodes[e].first_row + i, at) && wraps++ == 0)
                    first = e, frame = i;
        }
        if (wraps > 0)
            find(c, RULE_rotation_form, first, frame, v->dims[at].name, (double)wraps,
                 "Euler angles: one value jumps by a whole turn while the others stay, %lld times",
                 (long long)wraps);
    }
}

void check_rotations(Check *c) {
    const Vector *both[] = {&c->state, &c->action};
    for (int i = 0; i < 2; i++) {
        check_pose_units(c, both[i]);
        check_rotation_flips(c, both[i]);
        check_quaternions(c, both[i]);
        check_euler_angles(c, both[i]);
    }
}
