// SPDX-License-Identifier: Apache-2.0
// Rules about the statistics in meta/: whether they are there, can be, and are those of the rows.
#include "check/series.h"

#include "dataset/episode_stats.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- those of the whole dataset -----------------------------------------------------------------

static const json_t *array_of(const json_t *stats, const char *what) {
    return json_object_get(stats, what);
}

// The first number at place i of an array, whatever its nesting below; NaN: none.
static double number_at(const json_t *array, size_t i) {
    const json_t *value = json_array_get(array, i);
    while (json_is_array(value)) value = json_array_get(value, 0);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

// What cannot be in the statistics of one value, or NULL. Quantiles of several episodes are put
// together by extremes, and those of a histogram lie within a bin of it.
static const char *odd_value(const json_t *stats, size_t i) {
    static const char *const order[] = {"min", "q01", "q10", "q50", "q90", "q99", "max"};
    double min = number_at(array_of(stats, "min"), i), max = number_at(array_of(stats, "max"), i);
    double mean = number_at(array_of(stats, "mean"), i), std = number_at(array_of(stats, "std"), i);
    double slack = 1e-3 * (max - min) + 1e-6 * fmax(fabs(min), fabs(max)) + 1e-9, last = -INFINITY;
    if (!isfinite(min) || !isfinite(max) || !isfinite(mean) || !isfinite(std))
        return "min, max, mean or std is missing or no number";
    if (min > max) return "min is above max";
    if (std < 0) return "std is below 0";
    if (std == 0 && max > min + slack) return "std is 0, and min is below max";
    if (std > max - min + slack) return "std is larger than the range";
    if (mean < min - slack || mean > max + slack) return "the mean is not between min and max";
    for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
        if (!array_of(stats, order[k])) continue;
        double x = number_at(array_of(stats, order[k]), i);
        if (!(x >= last - slack)) return "quantiles are not in their order between min and max";
        last = x;
    }
    return NULL;
}

static void check_vector(Check *c, const Feature *f, const json_t *stats) {
    const Dataset *ds = c->ds;
    double count = number_at(array_of(stats, "count"), 0);
    int64_t odd = 0;
    char text[160] = "";
    if (json_array_size(array_of(stats, "mean")) != (size_t)f->size) {
        find(c, RULE_stats_impossible, -1, -1, f->name, 1, "of %lld values, the feature has %lld",
             (long long)json_array_size(array_of(stats, "mean")), (long long)f->size);
        return;
    }
    for (int64_t d = 0; d < f->size; d++) {
        const char *why = odd_value(stats, (size_t)d);
        if (why && odd++ == 0) snprintf(text, sizeof text, "value %lld: %s", (long long)d, why);
    }
    if (isfinite(count) && count != (double)ds->total_frames && odd++ == 0)
        snprintf(text, sizeof text, "of %.0f rows, the dataset has %lld", count,
                 (long long)ds->total_frames);
    if (odd > 0)
        find(c, RULE_stats_impossible, -1, -1, f->name, (double)odd, "%s%s", text,
             odd > 1 ? ", and more of that kind" : "");
}

static void check_image(Check *c, const Feature *f, const json_t *stats) {
    for (size_t i = 0; i < json_array_size(array_of(stats, "mean")); i++) {
        double min = number_at(array_of(stats, "min"), i);
        double max = number_at(array_of(stats, "max"), i);
        double std = number_at(array_of(stats, "std"), i);
        if (min < -1e-6 || max > 1 + 1e-6)
            find(c, RULE_stats_image, -1, -1, f->name, max, "channel %d: from %.4g to %.4g", (int)i,
                 min, max);
        else if (!(std > 0))
            find(c, RULE_stats_image, -1, -1, f->name, 0, "channel %d: a std of %.4g", (int)i, std);
        else
            continue;
        return;
    }
}

static bool is_used(const Feature *f) {
    return f->kind != FEATURE_OTHER && !f->depth;
}

static void check_whole(Check *c) {
    const Dataset *ds = c->ds;
    for (int i = 0; i < ds->n_features; i++) {
        const Feature *f = &ds->features[i];
        const json_t *stats = json_object_get(ds->stats, f->name);
        if (!is_used(f)) continue;
        if (json_object_size(stats) == 0)
            find(c, RULE_stats_missing, -1, -1, f->name, 1, "%s has none", dataset_stats_name(ds));
        else if (f->kind == FEATURE_VISUAL)
            check_image(c, f, stats);
        else
            check_vector(c, f, stats);
    }
}

// ---- those of single episodes -------------------------------------------------------------------

// How far an episode's statistics are from its rows, in spreads of the value. LeRobot sums up in
// float32, and takes the spread from the difference of large sums.
static double off_by(const EpisodeStats *s, int64_t listed, const Vector *v, int64_t e, int d) {
    const DimOfEpisode *rows = dim_of(v, e, d);
    int64_t at = listed * s->dim + d;
    double magnitude = fmax(fabs(rows->min), fabs(rows->max));
    double unit = fmax(fmax(rows->std, 0.1 * v->dims[d].std), 1e-2 * magnitude);
    double off = fmax(fmax(fabs(s->min[at] - rows->min), fabs(s->max[at] - rows->max)),
                      fmax(fabs(s->mean[at] - rows->mean), fabs(s->std[at] - rows->std)));
    return unit > 0 ? off / unit : off > 0 ? INFINITY : 0;
}

static void check_episode_stats(Check *c, const Vector *v, const EpisodeStats *s) {
    const Dataset *ds = c->ds;
    int64_t stale = 0, first = -1;
    int first_dim = -1;
    double most = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        int64_t listed = ds->episodes[e].index;
        double worst = 0;
        int where = -1;
        if (listed >= s->n) continue;
        for (int d = 0; d < v->n; d++) {
            double off = off_by(s, listed, v, e, d);
            if (off > worst) worst = off, where = d;
        }
        double count = s->count[listed];
        if (isfinite(count) && count != (double)ds->episodes[e].length) worst = INFINITY;
        if (!(worst > check_rules[RULE_episode_stats].limit)) continue;
        if (stale++ == 0) first = e, first_dim = where, most = worst;
    }
    if (stale == 0) return;
    int64_t listed = ds->episodes[first].index;
    if (first_dim < 0 || !isfinite(most))
        find(c, RULE_episode_stats, first, -1, v->feature->name, (double)stale,
             "of %.0f rows in %s, the episode has %lld; %lld episodes differ, this one first",
             s->count[listed], episode_stats_place(ds), (long long)ds->episodes[first].length,
             (long long)stale);
    else
        find(c, RULE_episode_stats, first, -1, v->dims[first_dim].name, most,
             "mean %.4g and std %.4g in %s; the rows have %.4g and %.4g; %lld episodes differ, "
             "this one first",
             s->mean[listed * s->dim + first_dim], s->std[listed * s->dim + first_dim],
             episode_stats_place(ds), dim_of(v, first, first_dim)->mean,
             dim_of(v, first, first_dim)->std, (long long)stale);
}

void check_statistics(Check *c) {
    const Vector *vectors[2];
    const Feature *features[2] = {NULL, NULL};
    EpisodeStats stats[2];
    Error ignored; // what cannot be read says nothing
    int n = 0;
    if (c->state.n > 0) vectors[n++] = &c->state;
    if (c->action.n > 0) vectors[n++] = &c->action;
    for (int i = 0; i < n; i++) features[i] = vectors[i]->feature;
    check_whole(c);
    bool ok = episode_stats_read(c->ds, features, n, stats, &ignored);
    for (int i = 0; i < n; i++) {
        if (ok) check_episode_stats(c, vectors[i], &stats[i]);
        episode_stats_free(&stats[i]);
    }
}
