// SPDX-License-Identifier: Apache-2.0
#include "eval/seam.h"

#include "base/memory.h"
#include "base/stats.h"
#include "pose/pose.h"
#include <math.h>

static double length3(const double *v) {
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

SeamStep seam_step(const double *from, const double *to, int arms, int place) {
    SeamStep s = {.place = place};
    for (int k = 0; k < arms; k++, from += POSE_ROW, to += POSE_ROW) {
        Pose a = pose_from_vector(from), b = pose_from_vector(to), way = pose_relative(&a, &b);
        double v[6];
        pose_to_vector(&way, v);
        s.translation = fmax(s.translation, length3(v));
        s.rotation = fmax(s.rotation, length3(v + 3));
    }
    return s;
}

typedef enum SeamKind { BORDER, BLEND, INTERIOR } SeamKind;

static SeamKind kind_of(const SeamStep *s, int blend_steps) {
    return s->place < 0              ? INTERIOR
           : s->place == 0           ? BORDER
           : s->place <= blend_steps ? BLEND
                                     : INTERIOR;
}

static SeamSizes sizes_of(const SeamStep *steps, int64_t n, int blend_steps, SeamKind kind,
                          bool rotation, double *scratch) {
    SeamSizes out = {0};
    for (int64_t i = 0; i < n; i++)
        if (kind_of(&steps[i], blend_steps) == kind)
            scratch[out.count++] = rotation ? steps[i].rotation : steps[i].translation;
    if (!out.count) return out;
    sort_doubles(scratch, out.count);
    out.median = quantile(scratch, out.count, 0.5);
    out.max = scratch[out.count - 1];
    return out;
}

static SeamMeasure measure(const SeamStep *steps, int64_t n, int blend_steps, bool rotation,
                           double *scratch) {
    SeamMeasure m = {
        .border = sizes_of(steps, n, blend_steps, BORDER, rotation, scratch),
        .blend = sizes_of(steps, n, blend_steps, BLEND, rotation, scratch),
        .interior = sizes_of(steps, n, blend_steps, INTERIOR, rotation, scratch),
    };
    double largest = fmax(m.border.max, m.blend.max);
    bool known = m.border.count > 0 && m.interior.median > 0;
    m.over_median = known ? largest / m.interior.median : NAN;
    m.over_max = known ? largest / m.interior.max : NAN;
    return m;
}

Seam seam_measure(const SeamStep *steps, int64_t n, int blend_steps) {
    double *scratch = NEW(double, n);
    Seam s = {.blend_steps = blend_steps,
              .translation = measure(steps, n, blend_steps, false, scratch),
              .rotation = measure(steps, n, blend_steps, true, scratch)};
    s.borders = s.translation.border.count;
    mem_free(scratch);
    return s;
}

static json_t *number_or_null(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *sizes_to_json(const SeamSizes *s) {
    return json_pack("{s:I, s:f, s:f}", "count", (json_int_t)s->count, "median", s->median, "max",
                     s->max);
}

static json_t *measure_to_json(const SeamMeasure *m) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "border", sizes_to_json(&m->border), "blend",
                     sizes_to_json(&m->blend), "interior", sizes_to_json(&m->interior),
                     "over_median", number_or_null(m->over_median), "over_max",
                     number_or_null(m->over_max));
}

json_t *seam_to_json(const Seam *s) {
    return json_pack("{s:I, s:i, s:o, s:o}", "borders", (json_int_t)s->borders, "blend_steps",
                     s->blend_steps, "translation_m", measure_to_json(&s->translation),
                     "rotation_rad", measure_to_json(&s->rotation));
}

void seam_print(const Seam *s, FILE *out) {
    if (!isfinite(s->translation.over_median) || !isfinite(s->rotation.over_median)) return;
    fprintf(out,
            "seam: the largest step at %lld borders of chunks is %.2f (rotation %.2f) times the "
            "median step within chunks, %.2f (%.2f) times their largest\n",
            (long long)s->borders, s->translation.over_median, s->rotation.over_median,
            s->translation.over_max, s->rotation.over_max);
}
