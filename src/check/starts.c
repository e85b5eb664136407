// SPDX-License-Identifier: Apache-2.0
// Where episodes begin: groups apart from the others, and whether the training's begins cover those
// of the held-out part.
#include "check/series.h"

#include <math.h>

// As many of each are held beside each other at most; of more, evenly spread ones.
enum { MOST_STARTS = 1000 };

static const Vector *vector_of_starts(const Check *c) {
    return c->state.n > 0 ? &c->state : &c->action;
}

static double start_of(const Check *c, const Vector *v, int64_t e, int d) {
    return value_at(v, c->ds->episodes[e].first_row, d);
}

// ---- groups -------------------------------------------------------------------------------------

// A gap between begins, in one value.
typedef struct Gap {
    double share; // of the value's range
    double below; // the value beneath it
    int64_t few;  // episodes on the smaller side
    bool upper;   // which is above
} Gap;

static Gap widest_gap(const double *sorted, int64_t n, const Dim *dim) {
    Gap gap = {0};
    for (int64_t i = 1; i < n; i++) {
        double share = (sorted[i] - sorted[i - 1]) / (dim->high - dim->low);
        if (share <= gap.share) continue;
        gap = (Gap){share, sorted[i - 1], i < n - i ? i : n - i, i >= n - i};
    }
    return gap;
}

// A single one far off is start_outlier's.
static void check_groups(Check *c) {
    const int64_t n = c->ds->n_episodes;
    const Vector *v = vector_of_starts(c);
    const double limit = check_rules[RULE_starts_apart].limit;
    if (n < 2 * FEWEST_EPISODES) return;
    double *starts = NEW(double, n);
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        if (!(dim->high > dim->low) || dim->gripper || dim->distinct < DISTINCT_MOST) continue;
        for (int64_t e = 0; e < n; e++) starts[e] = start_of(c, v, e, d);
        sort_doubles(starts, n);
        double quarters = quantile(starts, n, 0.75) - quantile(starts, n, 0.25);
        Gap gap = widest_gap(starts, n, dim);
        bool wide = gap.share > limit && gap.share * (dim->high - dim->low) > 2 * quarters;
        if (wide && gap.few > 1 && gap.few * 5 <= n)
            find(c, RULE_starts_apart, -1, -1, dim->name, gap.share,
                 "%lld of %lld episodes begin %s %.4g, the others %.3g away", (long long)gap.few,
                 (long long)n, gap.upper ? "above" : "at or below", gap.below,
                 gap.share * (dim->high - dim->low));
    }
    mem_free(starts);
}

// ---- before and after ---------------------------------------------------------------------------

// Two groups of episodes that follow each other.
typedef struct Cut {
    int64_t at; // first of the second group
    double before, after, spread;
} Cut;

// Where the mean of begins changes most, and how much begins spread about the two.
static Cut best_cut(const double *starts, int64_t n) {
    double sum = 0, squares = 0, left = 0, most = -1;
    Cut cut = {0};
    for (int64_t e = 0; e < n; e++) sum += starts[e], squares += starts[e] * starts[e];
    for (int64_t k = 1; k < n; k++) {
        left += starts[k - 1];
        double many = (double)k, rest = (double)(n - k), right = sum - left;
        double between = left * left / many + right * right / rest;
        if (k < 3 || n - k < 3 || between <= most) continue;
        most = between;
        double within = squares - between;
        cut = (Cut){k, left / many, right / rest, sqrt(fmax(within, 0) / (double)n)};
    }
    return cut;
}

// Two groups that are well apart: the setup changed between them.
static void check_shift(Check *c) {
    const int64_t n = c->ds->n_episodes;
    const Vector *v = vector_of_starts(c);
    if (n < 2 * FEWEST_EPISODES) return;
    double *starts = NEW(double, n);
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        double range = dim->high - dim->low;
        if (!(range > 0) || dim->gripper || dim->distinct < DISTINCT_MOST) continue;
        for (int64_t e = 0; e < n; e++) starts[e] = start_of(c, v, e, d);
        Cut cut = best_cut(starts, n);
        double apart = fabs(cut.after - cut.before);
        if (apart > check_rules[RULE_setup_moved].limit * range && apart > 5 * cut.spread)
            find(c, RULE_setup_moved, cut.at, 0, dim->name, apart / range,
                 "from this episode on episodes begin at %.4g, before at %.4g", cut.after,
                 cut.before);
    }
    mem_free(starts);
}

// ---- variety ------------------------------------------------------------------------------------

enum { MOMENTS = 8 };

// How far episodes are from their middle at as many moments of each, in shares of the ranges.
static void check_variety(Check *c) {
    const Dataset *ds = c->ds;
    const int64_t n = ds->n_episodes;
    const Vector *v = vector_of_starts(c);
    double *values = NEW(double, n), sum = 0;
    int64_t count = 0;
    for (int d = 0; d < v->n && n >= FEWEST_EPISODES; d++) {
        double range = v->dims[d].high - v->dims[d].low;
        if (!(range > 0) || v->dims[d].distinct < DISTINCT_MOST) continue;
        for (int i = 0; i < MOMENTS; i++) {
            for (int64_t e = 0; e < n; e++) {
                const Episode *episode = &ds->episodes[e];
                int64_t row = episode->first_row + i * (episode->length - 1) / (MOMENTS - 1);
                values[e] = value_at(v, row, d);
            }
            double middle = middle_of(values, n);
            for (int64_t e = 0; e < n; e++) values[e] = fabs(values[e] - middle);
            sum += middle_of(values, n) / range;
            count++;
        }
    }
    double spread = count > 0 ? sum / (double)count : 1;
    if (spread < check_rules[RULE_no_variety].limit)
        find(c, RULE_no_variety, -1, -1, v->feature->name, spread,
             "%.2g %% of the range apart at the same moment, on average", 100 * spread);
    mem_free(values);
}

// ---- the held-out part --------------------------------------------------------------------------

// Positions of episodes of one part, at most MOST_STARTS of them. The caller frees.
static int64_t *list_part(const Check *c, const uint8_t *held_out, uint8_t which, int64_t *count) {
    const int64_t n = c->ds->n_episodes;
    int64_t all = 0, seen = 0;
    for (int64_t e = 0; e < n; e++) all += held_out[e] == which;
    int64_t *part = NEW(int64_t, all), most = all < MOST_STARTS ? all : MOST_STARTS;
    *count = 0;
    for (int64_t e = 0; e < n; e++) {
        if (held_out[e] != which) continue;
        if (*count < most && seen * most >= *count * all) part[(*count)++] = e;
        seen++;
    }
    return part;
}

// How far two begins are apart, in shares of the values' ranges, in the value where it is most.
static double apart(const Check *c, const Vector *v, int64_t a, int64_t b, int *where) {
    double most = 0;
    for (int d = 0; d < v->n; d++) {
        double range = v->dims[d].high - v->dims[d].low;
        if (!(range > 0) || v->dims[d].gripper) continue;
        double off = fabs(start_of(c, v, a, d) - start_of(c, v, b, d)) / range;
        if (off > most) most = off, *where = d;
    }
    return most;
}

// The distance of an episode's begin to the nearest of others.
static double nearest(const Check *c, const Vector *v, int64_t e, const int64_t *others, int64_t n,
                      int *where) {
    double least = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        int d = 0;
        if (others[i] == e) continue;
        double off = apart(c, v, e, others[i], &d);
        if (off < least) least = off, *where = d;
    }
    return least;
}

// What lies as far from the others among the training's own is usual.
static void check_held_out(Check *c) {
    const Dataset *ds = c->ds;
    const Vector *v = vector_of_starts(c);
    const double limit = check_rules[RULE_held_out_start].limit;
    uint8_t *held_out = NEW(uint8_t, ds->n_episodes);
    dataset_split(ds, c->options->eval_split, held_out);
    int64_t n_train, n_held, *train = list_part(c, held_out, 0, &n_train),
                             *held = list_part(c, held_out, 1, &n_held);
    double *usual = NEW(double, n_train);
    int where = 0;
    for (int64_t i = 0; i < n_train; i++)
        usual[i] = nearest(c, v, train[i], train, n_train, &where);
    if (n_train >= FEWEST_EPISODES) {
        sort_doubles(usual, n_train);
        double far = fmax(limit, 4 * quantile(usual, n_train, 0.9));
        for (int64_t i = 0; i < n_held; i++) {
            double off = nearest(c, v, held[i], train, n_train, &where);
            if (off > far)
                find(c, RULE_held_out_start, held[i], 0, v->dims[where].name, off,
                     "%.4g: %.0f %% of the value's range from the nearest of the training",
                     start_of(c, v, held[i], where), 100 * off);
        }
    }
    mem_free(usual);
    mem_free(held);
    mem_free(train);
    mem_free(held_out);
}

void check_starts(Check *c) {
    if (vector_of_starts(c)->n == 0) return;
    check_groups(c);
    check_shift(c);
    check_variety(c);
    if (c->options->eval_split > 0) check_held_out(c);
}
