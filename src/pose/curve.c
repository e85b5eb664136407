// SPDX-License-Identifier: Apache-2.0
#include "pose/curve.h"

#include "pose/pose.h"
#include <math.h>
#include <string.h>

// ---- numbers ------------------------------------------------------------------------------------

double curve_rate(double before, double here, double after, double back, double ahead) {
    double d0 = (here - before) / back, d1 = (after - here) / ahead;
    if (!(d0 * d1 > 0)) return 0; // it turns round here, or stands
    double w0 = 2 * ahead + back, w1 = ahead + 2 * back;
    return (w0 + w1) / (w0 / d0 + w1 / d1);
}

typedef struct Hermite {
    double a, ra, b, rb;     // weights of the ends and of their rates (times the seconds)
    double da, dra, db, drb; // their derivatives by s
} Hermite;

static Hermite hermite(double s) {
    double s2 = s * s, s3 = s2 * s, b = 3 * s2 - 2 * s3, db = 6 * (s - s2);
    return (Hermite){.a = 1 - b,
                     .ra = s3 - 2 * s2 + s,
                     .b = b,
                     .rb = s3 - s2,
                     .da = -db,
                     .dra = 3 * s2 - 4 * s + 1,
                     .db = db,
                     .drb = 3 * s2 - 2 * s};
}

double curve_number(double a, double ra, double b, double rb, double seconds, double s,
                    double *rate) {
    Hermite h = hermite(s);
    *rate = (h.da * a + h.db * b) / seconds + h.dra * ra + h.drb * rb;
    return h.a * a + h.b * b + seconds * (h.ra * ra + h.rb * rb);
}

// ---- rotations ----------------------------------------------------------------------------------

static void cross3(const double *a, const double *b, double *out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

// out = v + x (r x v) + y (r x (r x v))
static void add_crosses(const double r[3], const double v[3], double x, double y, double out[3]) {
    double once[3], twice[3];
    cross3(r, v, once);
    cross3(r, once, twice);
    for (int i = 0; i < 3; i++) out[i] = v[i] + x * once[i] + y * twice[i];
}

static double angle_of(const double r[3]) {
    return sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
}

// From the derivative of a rotation vector to the rate in the rotation's own frame: the right
// Jacobian.
static void rate_of_vector(const double r[3], const double derivative[3], double rate[3]) {
    double t = angle_of(r), half = sin(t / 2);
    double x = t > 1e-4 ? 2 * half * half / (t * t) : 0.5 - t * t / 24;
    double y = t > 1e-2 ? (t - sin(t)) / (t * t * t) : 1.0 / 6 - t * t / 120 + t * t * t * t / 5040;
    add_crosses(r, derivative, -x, y, rate);
}

// And back; r is at most pi long.
static void vector_of_rate(const double r[3], const double rate[3], double derivative[3]) {
    double t = angle_of(r), t2 = t * t;
    double y = t > 1e-2 ? (1 - t / 2 * cos(t / 2) / sin(t / 2)) / t2
                        : 1.0 / 12 + t2 / 720 + t2 * t2 / 30240;
    add_crosses(r, rate, 0.5, y, derivative);
}

static void rotation_vector(const double from[3][3], const double to[3][3], double r[3]) {
    Pose a = {0}, b = {0};
    memcpy(a.rotation, from, sizeof a.rotation);
    memcpy(b.rotation, to, sizeof b.rotation);
    Pose way = pose_relative(&a, &b);
    double v[6];
    pose_to_vector(&way, v);
    memcpy(r, v + 3, 3 * sizeof *r);
}

void curve_turn_rate(const double before[3][3], const double here[3][3], const double after[3][3],
                     double back, double ahead, double rate[3]) {
    double r0[3], r1[3]; // a rotation leaves its own axis where it is: both are in the frame here
    rotation_vector(before, here, r0);
    rotation_vector(here, after, r1);
    for (int i = 0; i < 3; i++)
        rate[i] = (ahead * (r0[i] / back) + back * (r1[i] / ahead)) / (back + ahead);
}

void curve_rotation(const double a[3][3], const double ra[3], const double b[3][3],
                    const double rb[3], double seconds, double s, double out[3][3],
                    double rate[3]) {
    double whole[3], end[3], v[6] = {0}, derivative[3];
    rotation_vector(a, b, whole);
    vector_of_rate(whole, rb, end);
    Hermite h = hermite(s);
    for (int i = 0; i < 3; i++) {
        v[3 + i] = h.b * whole[i] + seconds * (h.ra * ra[i] + h.rb * end[i]);
        derivative[i] = h.db * whole[i] / seconds + h.dra * ra[i] + h.drb * end[i];
    }
    Pose from = {0}, turn = pose_from_vector(v);
    memcpy(from.rotation, a, sizeof from.rotation);
    Pose there = pose_compose(&from, &turn);
    memcpy(out, there.rotation, sizeof there.rotation);
    rate_of_vector(v + 3, derivative, rate);
}
