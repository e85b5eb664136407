// SPDX-License-Identifier: Apache-2.0
#include "pose/pose.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static double dot3(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross3(const double *a, const double *b, double *out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

// R = I + (sin t / t) K + ((1 - cos t) / t^2) K^2, K the cross-product matrix of the vector.
// (1 - cos t) / t^2 is written 2 sin^2(t/2) / t^2, which loses nothing near 0.
Pose pose_from_vector(const double v[6]) {
    Pose p;
    memcpy(p.position, v, sizeof p.position);
    const double *r = v + 3;
    double t2 = dot3(r, r), t = sqrt(t2), half = sin(t / 2);
    double a = t > 1e-4 ? sin(t) / t : 1 - t2 / 6 + t2 * t2 / 120;
    double b = t > 1e-4 ? 2 * half * half / t2 : 0.5 - t2 / 24 + t2 * t2 / 720;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) p.rotation[i][j] = b * (r[i] * r[j] - (i == j) * t2) + (i == j);
    double k[3][3] = {{0, -r[2], r[1]}, {r[2], 0, -r[0]}, {-r[1], r[0], 0}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) p.rotation[i][j] += a * k[i][j];
    return p;
}

// Unit quaternion (w, x, y, z) with w >= 0, by the largest of its four squares (Shepperd, 1978):
// no division by a small number, so angles at 0 and pi are as good as others.
static void to_quaternion(const double R[3][3], double q[4]) {
    double trace = R[0][0] + R[1][1] + R[2][2];
    double squares[4] = {trace, R[0][0], R[1][1], R[2][2]};
    int top = 0;
    for (int i = 1; i < 4; i++)
        if (squares[i] > squares[top]) top = i;
    if (top == 0) {
        double s = 2 * sqrt(1 + trace);
        q[0] = s / 4;
        q[1] = (R[2][1] - R[1][2]) / s;
        q[2] = (R[0][2] - R[2][0]) / s;
        q[3] = (R[1][0] - R[0][1]) / s;
    } else {
        int i = top - 1, j = (i + 1) % 3, k = (i + 2) % 3;
        double s = 2 * sqrt(1 + R[i][i] - R[j][j] - R[k][k]);
        q[0] = (R[k][j] - R[j][k]) / s;
        q[1 + i] = s / 4;
        q[1 + j] = (R[j][i] + R[i][j]) / s;
        q[1 + k] = (R[k][i] + R[i][k]) / s;
    }
    double norm = sqrt(q[0] * q[0] + dot3(q + 1, q + 1));
    if (q[0] < 0) norm = -norm;
    for (int i = 0; i < 4; i++) q[i] /= norm;
}

void pose_to_vector(const Pose *p, double v[6]) {
    double q[4];
    to_quaternion(p->rotation, q);
    double s = sqrt(dot3(q + 1, q + 1)), angle = 2 * atan2(s, q[0]);
    double scale = s > 1e-12 ? angle / s : 2; // angle / sin(angle/2) -> 2
    if (q[0] == 0)                            // exactly pi: both signs are this rotation
        for (int i = 1; i < 4; i++)
            if (q[i] != 0) {
                if (q[i] < 0) scale = -scale;
                break;
            }
    memcpy(v, p->position, sizeof p->position);
    for (int i = 0; i < 3; i++) v[3 + i] = scale * q[1 + i];
}

void pose_vector_near(double v[3], const double before[3]) {
    const double turn = 2 * M_PI;
    double angle = sqrt(dot3(v, v)), other[3], here = 0, there = 0;
    if (angle == 0) return; // the other one has no axis
    for (int i = 0; i < 3; i++) {
        other[i] = v[i] * (1 - turn / angle);
        here += (v[i] - before[i]) * (v[i] - before[i]);
        there += (other[i] - before[i]) * (other[i] - before[i]);
    }
    if (there < here) memcpy(v, other, sizeof other);
}

Pose pose_relative(const Pose *base, const Pose *p) {
    Pose out;
    double d[3];
    for (int i = 0; i < 3; i++) d[i] = p->position[i] - base->position[i];
    for (int i = 0; i < 3; i++) {
        out.position[i] = 0;
        for (int k = 0; k < 3; k++) out.position[i] += base->rotation[k][i] * d[k];
        for (int j = 0; j < 3; j++) {
            out.rotation[i][j] = 0;
            for (int k = 0; k < 3; k++)
                out.rotation[i][j] += base->rotation[k][i] * p->rotation[k][j];
        }
    }
    return out;
}

Pose pose_compose(const Pose *base, const Pose *p) {
    Pose out;
    for (int i = 0; i < 3; i++) {
        out.position[i] = base->position[i] + dot3(base->rotation[i], p->position);
        for (int j = 0; j < 3; j++) {
            out.rotation[i][j] = 0;
            for (int k = 0; k < 3; k++)
                out.rotation[i][j] += base->rotation[i][k] * p->rotation[k][j];
        }
    }
    return out;
}

Pose pose_between(const Pose *from, const Pose *to, double share) {
    double v[6];
    Pose whole = pose_relative(from, to);
    pose_to_vector(&whole, v);
    for (int i = 0; i < 6; i++) v[i] *= share;
    Pose part = pose_from_vector(v);
    return pose_compose(from, &part);
}

void pose_to_9d(const Pose *p, double v[9]) {
    memcpy(v, p->position, sizeof p->position);
    memcpy(v + 3, p->rotation[0], sizeof p->rotation[0]);
    memcpy(v + 6, p->rotation[1], sizeof p->rotation[1]);
}

// Normalises a; false when it has no direction.
static bool normalize3(double *a) {
    double n = sqrt(dot3(a, a));
    if (!(n > 1e-12) || !isfinite(n)) return false;
    for (int i = 0; i < 3; i++) a[i] /= n;
    return true;
}

// The second row of the smallest turn whose first row is the unit vector a: x is turned to a in the
// plane of both. Where a is -x that plane is free, and y stays.
static void least_turn(const double a[3], double b[3]) {
    double across = a[1] * a[1] + a[2] * a[2];
    double share = across > 0 ? a[1] * (1 - a[0]) / across : 0;
    b[0] = -a[1];
    b[1] = 1 - share * a[1];
    b[2] = -share * a[2];
    normalize3(b);
}

Pose pose_from_9d(const double v[9]) {
    Pose p;
    for (int i = 0; i < 3; i++) p.position[i] = isfinite(v[i]) ? v[i] : 0;
    double *a = p.rotation[0], *b = p.rotation[1];
    memcpy(a, v + 3, 3 * sizeof *a);
    memcpy(b, v + 6, 3 * sizeof *b);
    if (!normalize3(a)) memcpy(a, (const double[]){1, 0, 0}, 3 * sizeof *a);
    double along = dot3(a, b);
    for (int i = 0; i < 3; i++) b[i] -= along * a[i];
    if (!normalize3(b)) least_turn(a, b);
    cross3(a, b, p.rotation[2]);
    return p;
}

// One Jacobi rotation in the plane (p, q): makes k[p][q] zero, and keeps the eigenvectors in e's
// columns.
static void jacobi_rotate(double k[4][4], double e[4][4], int p, int q) {
    if (k[p][q] == 0) return;
    double apart = k[q][q] - k[p][p];
    double angle = 0.5 * atan2(copysign(2, apart) * k[p][q], fabs(apart)); // at most pi/4
    double c = cos(angle), s = sin(angle);
    for (int i = 0; i < 4; i++) {
        double a = k[i][p], b = k[i][q], f = e[i][p], g = e[i][q];
        k[i][p] = c * a - s * b, k[i][q] = s * a + c * b;
        e[i][p] = c * f - s * g, e[i][q] = s * f + c * g;
    }
    for (int i = 0; i < 4; i++) {
        double a = k[p][i], b = k[q][i];
        k[p][i] = c * a - s * b, k[q][i] = s * a + c * b;
    }
}

// The quaternion is the first eigenvector of a symmetric matrix (Davenport's q-method).
void pose_nearest_rotation(double m[3][3]) {
    enum { SWEEPS = 12 }; // a 4x4 matrix is diagonal to the last bit after about five
    double k[4][4] = {
        {m[0][0] + m[1][1] + m[2][2], m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]},
        {0, m[0][0] - m[1][1] - m[2][2], m[0][1] + m[1][0], m[0][2] + m[2][0]},
        {0, 0, m[1][1] - m[0][0] - m[2][2], m[1][2] + m[2][1]},
        {0, 0, 0, m[2][2] - m[0][0] - m[1][1]}};
    double e[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) k[i][j] = k[j][i];
    for (int n = 0; n < SWEEPS; n++)
        for (int p = 0; p < 3; p++)
            for (int q = p + 1; q < 4; q++) jacobi_rotate(k, e, p, q);
    int top = 0;
    for (int i = 1; i < 4; i++)
        if (k[i][i] > k[top][top]) top = i;
    double w = e[0][top], x = e[1][top], y = e[2][top], z = e[3][top];
    const double R[3][3] = {{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
                            {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
                            {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}};
    memcpy(m, R, sizeof R);
}

void pose_row_to_policy(const double *row, const double *base, int arms, double *out) {
    for (int k = 0; k < arms; k++) {
        Pose b = pose_from_vector(base + POSE_ROW * k), p = pose_from_vector(row + POSE_ROW * k);
        Pose relative = pose_relative(&b, &p);
        pose_to_9d(&relative, out + POSE_POLICY_ROW * k);
        out[POSE_POLICY_ROW * k + 9] = row[POSE_ROW * k + 6];
    }
}

void pose_row_from_policy(const double *policy_row, const double *base, int arms, double *out) {
    for (int k = 0; k < arms; k++) {
        Pose b = pose_from_vector(base + POSE_ROW * k);
        Pose relative = pose_from_9d(policy_row + POSE_POLICY_ROW * k);
        Pose p = pose_compose(&b, &relative);
        pose_to_vector(&p, out + POSE_ROW * k);
        out[POSE_ROW * k + 6] = policy_row[POSE_POLICY_ROW * k + 9];
    }
}
