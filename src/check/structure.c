// SPDX-License-Identifier: Apache-2.0
// Rules about what meta/ says of the rows.
#include "check/series.h"

#include <math.h>

static const json_t *numbers_of(const Dataset *ds, const Feature *f, const char *what, int n) {
    const json_t *of = json_object_get(json_object_get(ds->stats, f->name), what);
    return json_array_size(of) == (size_t)n ? of : NULL;
}

// Statistics are over all episodes: a selection says nothing about them.
static void check_stats(Check *c, const Vector *v) {
    const Dataset *ds = c->ds;
    if (v->n == 0 || ds->n_episodes != ds->total_episodes) return;
    const json_t *means = numbers_of(ds, v->feature, "mean", v->n);
    const json_t *stds = numbers_of(ds, v->feature, "std", v->n);
    if (!means || !stds) return;
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        double mean = json_number_value(json_array_get(means, (size_t)d));
        double std = json_number_value(json_array_get(stds, (size_t)d));
        double unit = fmax(dim->std, 1e-6 * fmax(fabs(dim->min), fabs(dim->max)));
        if (!(unit > 0)) unit = 1e-6;
        double off = fmax(fabs(mean - dim->mean), fabs(std - dim->std)) / unit;
        if (!(off <= check_rules[RULE_stats_stale].limit))
            find(c, RULE_stats_stale, -1, -1, dim->name, off,
                 "mean %.4g and std %.4g in %s; the rows have %.4g and %.4g", mean, std,
                 dataset_stats_name(ds), dim->mean, dim->std);
    }
}

static void check_tasks(Check *c) {
    int64_t empty = 0, first = -1;
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        const char *task = c->ds->episodes[e].task;
        if (task && *task) continue;
        if (empty++ == 0) first = e;
    }
    if (empty > 0)
        find(c, RULE_task_empty, first, -1, "task", (double)empty,
             "%lld episodes without a text, this one first", (long long)empty);
}

void check_structure(Check *c) {
    check_stats(c, &c->state);
    check_stats(c, &c->action);
    check_tasks(c);
}
