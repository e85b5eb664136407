// SPDX-License-Identifier: Apache-2.0
#include "check/series.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Quantiles go by so many rows, evenly spread: more would not change them by what matters.
enum { SAMPLED = 50000 };
// What is slower than this share of the fastest usual movement stands still.
static const double STILL_SHARE = 0.04;

double middle_of(double *values, int64_t n) {
    if (n == 0) return 0;
    sort_doubles(values, n);
    return quantile(values, n, 0.5);
}

static void name_dim(const Vector *v, int d) {
    const Feature *f = v->feature;
    const char *name = d < f->n_names ? f->names[d] : NULL;
    char number[32];
    snprintf(number, sizeof number, "%d", d);
    bool plain = !name || strcmp(name, number) == 0;
    snprintf(v->dims[d].name, sizeof v->dims[d].name, "%.40s[%d]%s%.24s", f->name, d,
             plain ? "" : " ", plain ? "" : name);
}

static bool says_gripper(const char *name) {
    char lower[80];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof lower; n++) lower[n] = (char)tolower((unsigned char)name[n]);
    lower[n] = '\0';
    return strstr(lower, "gripper") || strstr(lower, "jaw") || strstr(lower, "finger");
}

static int count_distinct(const double *sorted, int64_t n) {
    int count = 0;
    for (int64_t i = 0; i < n && count < DISTINCT_MOST; i++)
        if (i == 0 || sorted[i] != sorted[i - 1]) count++;
    return count;
}

// Exact over all rows: extremes, mean and spread (Welford's recurrence), the largest change.
static void sum_up(const Dataset *ds, const Vector *v, int d, Dim *dim) {
    double mean = 0, squares = 0, largest = 0;
    dim->min = INFINITY, dim->max = -INFINITY;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        for (int64_t i = 0; i < episode->length; i++) {
            int64_t row = episode->first_row + i;
            double x = value_at(v, row, d), off = x - mean;
            mean += off / (double)(row + 1);
            squares += off * (x - mean);
            if (x < dim->min) dim->min = x;
            if (x > dim->max) dim->max = x;
            double step = i > 0 ? fabs(x - value_at(v, row - 1, d)) : 0;
            if (step > largest) largest = step;
        }
    }
    dim->mean = mean;
    dim->std = sqrt(squares / (double)ds->rows);
    dim->step_largest = largest;
}

static void take_quantiles(const Dataset *ds, const Vector *v, int d, double *sample, Dim *dim) {
    int64_t n = ds->rows < SAMPLED ? ds->rows : SAMPLED;
    for (int64_t i = 0; i < n; i++) sample[i] = value_at(v, i * ds->rows / n, d);
    sort_doubles(sample, n);
    dim->low = quantile(sample, n, 0.01);
    dim->middle = quantile(sample, n, 0.5);
    dim->high = quantile(sample, n, 0.99);
    dim->distinct = count_distinct(sample, n);
    int64_t steps = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = i * ds->rows / n;
        bool first = row == dataset_episode_of(ds, row)->first_row;
        if (!first) sample[steps++] = fabs(value_at(v, row, d) - value_at(v, row - 1, d));
    }
    if (steps > 0) {
        sort_doubles(sample, steps);
        dim->step = quantile(sample, steps, 0.99);
    }
    // A value that hardly ever moves, as a gripper that closes once: whatever it does is movement.
    dim->still = STILL_SHARE * (dim->step > 0 ? dim->step : dim->step_largest);
}

static void gather_vector(Check *c, Vector *v, const Feature *f, const float *data,
                          double *sample) {
    *v = (Vector){.feature = f, .data = data, .n = f ? (int)f->size : 0};
    if (!f) return;
    v->dims = arena_alloc(&c->arena, sizeof *v->dims * (size_t)v->n);
    for (int d = 0; d < v->n; d++) {
        name_dim(v, d);
        v->dims[d].gripper = says_gripper(v->dims[d].name);
        sum_up(c->ds, v, d, &v->dims[d]);
        take_quantiles(c->ds, v, d, sample, &v->dims[d]);
    }
}

static bool vector_moves(const Vector *v, int64_t row) {
    for (int d = 0; d < v->n; d++)
        if (fabs(value_at(v, row, d) - value_at(v, row - 1, d)) > v->dims[d].still) return true;
    return false;
}

void series_gather(Check *c) {
    const Dataset *ds = c->ds;
    double *sample = NEW(double, SAMPLED);
    gather_vector(c, &c->state, ds->state, ds->state_data, sample);
    gather_vector(c, &c->action, ds->action, ds->action_data, sample);
    mem_free(sample);
    c->moves = arena_alloc(&c->arena, sizeof *c->moves * (size_t)ds->rows);
    c->state_moves = ds->state ? arena_alloc(&c->arena, (size_t)ds->rows) : c->moves;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        for (int64_t i = 1; i < episode->length; i++) {
            int64_t row = episode->first_row + i;
            bool state = vector_moves(&c->state, row);
            c->moves[row] = state || vector_moves(&c->action, row);
            if (ds->state) c->state_moves[row] = state;
        }
    }
}
