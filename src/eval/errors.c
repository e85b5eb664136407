// SPDX-License-Identifier: Apache-2.0
#include "eval/errors.h"

#include "pose/pose.h"
#include <math.h>
#include <string.h>

// ---- statistics ---------------------------------------------------------------------------------

Summary summarize(double *values, int64_t n) {
    Summary s = {0, NAN, NAN, NAN, NAN, NAN};
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(values[i])) continue;
        sum += values[i];
        values[s.count++] = values[i];
    }
    if (s.count == 0) return s;
    sort_doubles(values, s.count);
    s.mean = sum / (double)s.count;
    s.median = quantile(values, s.count, 0.5);
    s.p95 = quantile(values, s.count, 0.95);
    s.p99 = quantile(values, s.count, 0.99);
    s.max = values[s.count - 1];
    return s;
}

// ---- measures -----------------------------------------------------------------------------------

static void add_arm(Arena *arena, Measures *m, int arm, int arms) {
    static const struct {
        MeasureKind kind;
        const char *name, *unit;
        int at;
    } parts[] = {{MEASURE_POSITION, "position", "mm", 0},
                 {MEASURE_ROTATION, "rotation", "deg", 3},
                 {MEASURE_GRIPPER, "gripper", "", 6}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *name =
            arms == 1 ? parts[i].name : arena_printf(arena, "%s of arm %d", parts[i].name, arm + 1);
        m->of[m->count++] =
            (Measure){parts[i].kind, name, parts[i].unit, POSE_ROW * arm + parts[i].at};
    }
}

Measures measures_new(Arena *arena, int arms, int A, const char *const *names) {
    Measures m = {0};
    m.of = arena_alloc(arena, sizeof(Measure) * (size_t)(3 * arms + A + 1));
    for (int k = 0; k < arms; k++) add_arm(arena, &m, k, arms);
    for (int i = 0; i < A && arms == 0; i++)
        m.of[m.count++] = (Measure){MEASURE_VALUE, names[i], "", i};
    m.headline = arms > 0 ? 0 : m.count;
    m.of[m.count++] = (Measure){MEASURE_NORMALIZED, "normalised L1", "", 0};
    return m;
}

double rotation_between(const double a[3], const double b[3]) {
    const double va[6] = {0, 0, 0, a[0], a[1], a[2]}, vb[6] = {0, 0, 0, b[0], b[1], b[2]};
    double v[6];
    Pose p = pose_from_vector(va), q = pose_from_vector(vb), between = pose_relative(&p, &q);
    pose_to_vector(&between, v);
    return sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5]);
}

void measures_compute(const Measures *m, const double *predicted, const double *recorded,
                      double *out) {
    const double mm = 1000, degrees = 180 / M_PI;
    for (int i = 0; i < m->count - 1; i++) {
        const double *p = predicted + m->of[i].at, *r = recorded + m->of[i].at;
        if (m->of[i].kind == MEASURE_POSITION)
            out[i] = mm * sqrt((p[0] - r[0]) * (p[0] - r[0]) + (p[1] - r[1]) * (p[1] - r[1]) +
                               (p[2] - r[2]) * (p[2] - r[2]));
        else if (m->of[i].kind == MEASURE_ROTATION)
            out[i] = degrees * rotation_between(p, r);
        else
            out[i] = fabs(p[0] - r[0]);
    }
}

void rotation_nearest(const double v[3], const double reference[3], double out[3]) {
    double angle = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    double turns = 0;
    memmove(out, v, 3 * sizeof *out);
    // The vectors of a rotation lie on the line through v, a turn apart; near angle 0 any axis is
    // as good, and v itself is kept.
    if (!(angle > 1e-9)) return;
    double along = (reference[0] * out[0] + reference[1] * out[1] + reference[2] * out[2]) / angle;
    turns = round((along - angle) / (2 * M_PI));
    double scale = (angle + 2 * M_PI * turns) / angle;
    for (int i = 0; i < 3; i++) out[i] *= scale;
}

void action_nearest(const double *action, const double *reference, int A, int arms, double *out) {
    memmove(out, action, (size_t)A * sizeof *out);
    for (int k = 0; k < arms; k++) {
        int at = POSE_ROW * k + 3;
        rotation_nearest(action + at, reference + at, out + at);
    }
}
