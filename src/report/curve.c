// SPDX-License-Identifier: Apache-2.0
#include "report/curve.h"

#include "report/describe.h"
#include <math.h>

// One list of steps and one of values.
typedef struct Points {
    json_t *steps, *values;
} Points;

static Points points_new(void) {
    return (Points){json_array(), json_array()};
}

static void points_add(Points *p, json_t *step, double value) {
    json_array_append_new(p->steps, step);
    json_array_append_new(p->values, describe_number(value));
}

static void points_add_one(Points *p, const LogPoint *point) {
    points_add(p, json_integer(point->step), point->value);
}

// Where the points end that share a column with point `from`. Columns have one width, but at the
// beginning of a curve a fiftieth of the steps before them: as many as that are a pixel of a
// logarithmic axis.
static int64_t column_end(const LogSeries *s, int64_t from, int columns) {
    const double first = (double)s->points[0].step, start = (double)s->points[from].step;
    const double all = (double)s->points[s->count - 1].step - first;
    const double width = fmin(all / columns, fmax(1, (start - first) / 50));
    int64_t end = from + 1;
    while (end < s->count && (double)s->points[end].step < start + width) end++;
    return end;
}

// The points of one column that stand out, in the order of the series.
static void add_extremes(Points *p, const LogSeries *s, int64_t from, int64_t end) {
    enum { LEAST, LARGEST, STRANGE, FIRST, LAST, KEPT };
    int64_t keep[KEPT] = {-1, -1, -1, from == 0 ? 0 : -1, end == s->count ? end - 1 : -1};
    for (int64_t i = from; i < end; i++) {
        const double value = s->points[i].value;
        if (!isfinite(value)) {
            if (keep[STRANGE] < 0) keep[STRANGE] = i;
            continue;
        }
        if (keep[LEAST] < 0 || value < s->points[keep[LEAST]].value) keep[LEAST] = i;
        if (keep[LARGEST] < 0 || value > s->points[keep[LARGEST]].value) keep[LARGEST] = i;
    }
    for (int64_t done = -1;;) {
        int64_t next = end;
        for (int k = 0; k < KEPT; k++)
            if (keep[k] > done && keep[k] < next) next = keep[k];
        if (next == end) return;
        points_add_one(p, &s->points[next]);
        done = next;
    }
}

static void add_mean(Points *p, const LogSeries *s, int64_t from, int64_t end) {
    double step = 0, value = 0;
    int64_t n = 0;
    for (int64_t i = from; i < end; i++) {
        if (!isfinite(s->points[i].value)) continue;
        step += (double)(s->points[i].step - s->points[from].step);
        value += s->points[i].value;
        n++;
    }
    if (n == 0) return;
    // Whole steps are near enough, and shorter to write.
    const double middle = round(step / (double)n);
    points_add(p, json_integer(s->points[from].step + (int64_t)middle), value / (double)n);
}

json_t *curve_json(const LogSeries *s, int columns) {
    Points all = points_new(), means = points_new();
    const bool whole = s->count <= 2 * (int64_t)columns;
    for (int64_t i = 0; whole && i < s->count; i++) points_add_one(&all, &s->points[i]);
    for (int64_t from = 0, end; !whole && from < s->count; from = end) {
        end = column_end(s, from, columns);
        add_extremes(&all, s, from, end);
        add_mean(&means, s, from, end);
    }
    json_t *out = json_pack("{s:I, s:o, s:o}", "count", (json_int_t)s->count, "steps", all.steps,
                            "values", all.values);
    json_t *mean = json_pack("{s:o, s:o}", "steps", means.steps, "values", means.values);
    if (!whole) json_object_set(out, "mean", mean);
    json_decref(mean);
    return out;
}

json_t *curve_ends_json(const LogSeries *s, const double *values, int columns) {
    Points p = points_new();
    const bool whole = s->count <= columns;
    for (int64_t from = 0, end; from < s->count; from = end) {
        end = whole ? from + 1 : column_end(s, from, columns);
        points_add(&p, json_integer(s->points[end - 1].step), values[end - 1]);
    }
    return json_pack("{s:o, s:o}", "steps", p.steps, "values", p.values);
}
