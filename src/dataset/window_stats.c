// SPDX-License-Identifier: Apache-2.0
// Statistics of what training sees.
#include "dataset/window.h"

#include "base/rng.h"
#include "pose/pose.h"
#include <math.h>
#include <string.h>

enum { SITE_STATS = 0x57a7 };

static void stats_init(Stats *s, int dim) {
    *s = (Stats){.dim = dim,
                 .min = NEW(double, dim),
                 .max = NEW(double, dim),
                 .mean = NEW(double, dim),
                 .std = NEW(double, dim)};
    for (int i = 0; i < dim; i++) {
        s->min[i] = INFINITY;
        s->max[i] = -INFINITY;
    }
}

// One vector. mean is the running mean and std the running sum of squared distances from it
// (Welford, "Note on a method for calculating corrected sums of squares and products", 1962).
static void stats_add(Stats *s, const double *x) {
    s->count++;
    for (int i = 0; i < s->dim; i++) {
        double before = x[i] - s->mean[i];
        s->mean[i] += before / (double)s->count;
        s->std[i] += before * (x[i] - s->mean[i]);
        if (x[i] < s->min[i]) s->min[i] = x[i];
        if (x[i] > s->max[i]) s->max[i] = x[i];
    }
}

static void stats_finish(Stats *s) {
    for (int i = 0; i < s->dim; i++) s->std[i] = sqrt(s->std[i] / (double)s->count);
}

// Rotation values are already in [-1, 1]: their statistics make every mode the identity on them.
static void override_rotations(Stats *s, int arms) {
    for (int k = 0; k < arms; k++)
        for (int i = 3; i < 9; i++) {
            int at = POSE_POLICY_ROW * k + i;
            s->min[at] = -1;
            s->max[at] = 1;
            s->mean[at] = 0;
            s->std[at] = 1;
        }
}

// The rows that go in: all, or `samples` of them without replacement. The caller frees.
static int64_t *choose_rows(const Dataset *ds, const int64_t *rows, int64_t *n, int64_t samples,
                            uint64_t seed) {
    int64_t all = rows ? *n : ds->rows;
    int64_t *chosen = NEW(int64_t, all > 0 ? all : 1);
    for (int64_t i = 0; i < all; i++) chosen[i] = rows ? rows[i] : i;
    *n = samples > 0 && samples < all ? samples : all;
    if (*n == all) return chosen;
    RngStream rng = {.key = {.seed = seed, .site = SITE_STATS}};
    for (int64_t i = 0; i < *n; i++) {
        int64_t j = i + (int64_t)rng_below(&rng, (uint64_t)(all - i)), t = chosen[i];
        chosen[i] = chosen[j];
        chosen[j] = t;
    }
    return chosen;
}

bool window_stats(const Dataset *ds, const WindowSpec *w, const int64_t *rows, int64_t n_rows,
                  int64_t samples, uint64_t seed, Stats *state, Stats *action, Error *err) {
    int64_t n = n_rows;
    int64_t *chosen = choose_rows(ds, rows, &n, samples, seed);
    if (n == 0) {
        mem_free(chosen);
        return fail(err, "%s: no frames to compute statistics from", ds->root);
    }
    int ds_dim = window_state_dim(ds, w), da = window_action_dim(ds, w);
    if (state) stats_init(state, ds_dim);
    if (action) stats_init(action, da);
    double *s = NEW(double, (int64_t)w->horizon *ds_dim + 1);
    // Past actions do not count: the chunk is to be normalised alike with and without them.
    WindowSpec chunk = *w;
    chunk.past = 0;
    const int most = window_action_rows(&chunk);
    double *a = NEW(double, (int64_t)most *da + 1);
    uint8_t *pad = NEW(uint8_t, most);
    for (int64_t i = 0; i < n; i++) {
        if (state && ds_dim) {
            window_state(ds, w, chosen[i], s);
            for (int t = 0; t < w->horizon; t++) stats_add(state, s + (int64_t)t * ds_dim);
        }
        if (!action) continue;
        window_action(ds, &chunk, chosen[i], a, pad);
        for (int h = 0; h < most; h++)
            if (!pad[h]) stats_add(action, a + (int64_t)h * da);
    }
    mem_free(s);
    mem_free(a);
    mem_free(pad);
    mem_free(chosen);
    Stats *both[] = {state, action};
    for (int i = 0; i < 2; i++) {
        if (!both[i] || !both[i]->dim) continue;
        stats_finish(both[i]);
        if (w->relative) override_rotations(both[i], w->arms);
    }
    return true;
}

// ---- a column's own -----------------------------------------------------------------------------

// The numbers of a list, lists in it included, into out (at most `room`). How many there are; a
// value that is no number counts as NaN.
static int64_t recorded_numbers(const json_t *list, double *out, int64_t room) {
    int64_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        int64_t left = n < room ? room - n : 0;
        if (json_is_array(v)) {
            n += recorded_numbers(v, out + room - left, left);
        } else {
            if (left) out[n] = json_is_number(v) ? json_number_value(v) : (double)NAN;
            n++;
        }
    }
    return n;
}

// Statistics of meta/stats.json that can be: all four there, of the right length, finite.
static bool read_recorded(const json_t *stats, const Feature *f, Stats *out) {
    static const char *const kinds[] = {"min", "max", "mean", "std"};
    const json_t *recorded = json_object_get(stats, f->name);
    stats_init(out, (int)f->size);
    double *columns[] = {out->min, out->max, out->mean, out->std};
    bool usable = true;
    for (int k = 0; k < 4; k++) {
        const json_t *values = json_object_get(recorded, kinds[k]);
        usable = usable && recorded_numbers(values, columns[k], f->size) == f->size;
    }
    for (int64_t i = 0; usable && i < f->size; i++) {
        usable = isfinite(out->min[i]) && isfinite(out->max[i]) && isfinite(out->mean[i]) &&
                 isfinite(out->std[i]) && out->min[i] <= out->max[i] && out->std[i] >= 0;
    }
    double count = 0;
    if (recorded_numbers(json_object_get(recorded, "count"), &count, 1) == 1 && count > 0 &&
        count < 9e15)
        out->count = (int64_t)count;
    if (!usable) stats_free(out);
    return usable;
}

void dataset_stats(const Dataset *ds, const Feature *f, const float *data, Stats *out,
                   bool *computed) {
    *computed = !read_recorded(ds->stats, f, out);
    if (!*computed) return;
    double *x = NEW(double, f->size);
    stats_init(out, (int)f->size);
    for (int64_t r = 0; r < ds->rows; r++) {
        for (int64_t i = 0; i < f->size; i++) x[i] = data[r * f->size + i];
        stats_add(out, x);
    }
    mem_free(x);
    stats_finish(out);
}
