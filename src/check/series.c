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

// ---- episode by episode -------------------------------------------------------------------------

// Exact over an episode's rows: extremes, mean and spread (Welford's recurrence), bends.
static void sum_up_episode(const Vector *v, const Episode *episode, DimOfEpisode *sums) {
    for (int d = 0; d < v->n; d++) sums[d] = (DimOfEpisode){.min = INFINITY, .max = -INFINITY};
    for (int64_t i = 0; i < episode->length; i++) {
        const float *now = v->data + (episode->first_row + i) * v->n;
        const float *before = i > 0 ? now - v->n : now, *earlier = i > 1 ? before - v->n : before;
        for (int d = 0; d < v->n; d++) {
            DimOfEpisode *s = &sums[d];
            double x = (double)now[d], off = x - s->mean;
            s->mean += off / (double)(i + 1);
            s->std += off * (x - s->mean);
            if (x < s->min) s->min = x;
            if (x > s->max) s->max = x;
            if (i < 2) continue;
            double bend = fabs(x - 2 * (double)before[d] + (double)earlier[d]);
            s->bend += bend < v->dims[d].step ? bend : v->dims[d].step;
        }
    }
    for (int d = 0; d < v->n; d++) {
        sums[d].std = sqrt(sums[d].std / (double)episode->length);
        if (episode->length > 2) sums[d].bend /= (double)(episode->length - 2);
    }
}

// A value over all episodes, from what it is in each.
static void sum_up(const Dataset *ds, const Vector *v, int d, Dim *dim) {
    double mean = 0, squares = 0, rows = 0;
    dim->min = INFINITY, dim->max = -INFINITY;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const DimOfEpisode *s = dim_of(v, e, d);
        double n = (double)ds->episodes[e].length, off = s->mean - mean;
        mean += off * n / (rows + n);
        squares += s->std * s->std * n + off * off * rows * n / (rows + n);
        rows += n;
        if (s->min < dim->min) dim->min = s->min;
        if (s->max > dim->max) dim->max = s->max;
    }
    dim->mean = mean;
    dim->std = sqrt(squares / rows);
}

static void find_largest_steps(const Dataset *ds, const Vector *v) {
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        for (int64_t i = 1; i < episode->length; i++) {
            const float *now = v->data + (episode->first_row + i) * v->n;
            for (int d = 0; d < v->n; d++) {
                double step = fabs((double)now[d] - (double)now[d - v->n]);
                if (step > v->dims[d].step_largest) v->dims[d].step_largest = step;
            }
        }
    }
}

static void gather_vector(Check *c, Vector *v, const Feature *f, const float *data,
                          double *sample) {
    *v = (Vector){.feature = f, .data = data, .n = f ? (int)f->size : 0};
    if (!f) return;
    v->dims = arena_alloc(&c->arena, sizeof *v->dims * (size_t)v->n);
    v->episodes = arena_alloc(&c->arena, sizeof *v->episodes * (size_t)(c->ds->n_episodes * v->n));
    find_largest_steps(c->ds, v);
    for (int d = 0; d < v->n; d++) {
        name_dim(v, d);
        v->dims[d].gripper = says_gripper(v->dims[d].name);
        take_quantiles(c->ds, v, d, sample, &v->dims[d]);
    }
    for (int64_t e = 0; e < c->ds->n_episodes; e++)
        sum_up_episode(v, &c->ds->episodes[e], v->episodes + e * v->n);
    for (int d = 0; d < v->n; d++) sum_up(c->ds, v, d, &v->dims[d]);
}

static bool vector_moves(const Vector *v, int64_t row) {
    for (int d = 0; d < v->n; d++)
        if (fabs(value_at(v, row, d) - value_at(v, row - 1, d)) > v->dims[d].still) return true;
    return false;
}

static void gather(Check *c, const float *states, const float *actions) {
    const Dataset *ds = c->ds;
    double *sample = NEW(double, SAMPLED);
    gather_vector(c, &c->state, ds->state, states, sample);
    gather_vector(c, &c->action, ds->action, actions, sample);
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

void series_gather(Check *c) {
    gather(c, c->ds->state_data, c->ds->action_data);
}

// ---- rotation vectors that go on ----------------------------------------------------------------

enum { POSE = 7, ROTATION = 3 };

// A rotation vector r is, with whole turns about its axis, many: the one that is nearest to `to`.
static bool take_nearest(float r[ROTATION], const float to[ROTATION]) {
    const double turn = 2 * 3.14159265358979323846;
    double squares = 0, along = 0;
    for (int i = 0; i < ROTATION; i++) {
        squares += (double)r[i] * (double)r[i];
        along += (double)r[i] * (double)to[i];
    }
    const double length = sqrt(squares);
    if (length < 1e-6) return false; // has no axis
    const double turns = round((along / length - length) / turn);
    if (turns == 0) return false;
    for (int i = 0; i < ROTATION; i++)
        r[i] = (float)((double)r[i] * (length + turns * turn) / length);
    return true;
}

// Rows (rows, n) in a copy where they change, in themselves where they do not. An episode begins
// beside `from`, the row that the dataset begins with.
static const float *continued_rows(Check *c, const Feature *f, const float *data,
                                   const float *from) {
    const Dataset *ds = c->ds;
    const int64_t n = f ? f->size : 0;
    bool changed = false;
    if (n == 0) return data;
    float *rows = arena_alloc(&c->arena, sizeof *rows * (size_t)(ds->rows * n));
    memcpy(rows, data, sizeof *rows * (size_t)(ds->rows * n));
    for (int64_t e = 0; e < ds->n_episodes; e++)
        for (int64_t i = 0; i < ds->episodes[e].length; i++) {
            float *now = rows + (ds->episodes[e].first_row + i) * n;
            for (int at = ROTATION; at < c->arms * POSE; at += POSE)
                changed |= take_nearest(now + at, (i ? now - n : from) + at);
        }
    return changed ? rows : data;
}

bool series_continue(Check *c) {
    const Dataset *ds = c->ds;
    if (c->arms == 0 || ds->rows == 0) return false;
    const float *from = ds->state ? ds->state_data : ds->action_data; // poses of both
    const float *states = continued_rows(c, ds->state, ds->state_data, from),
                *actions = continued_rows(c, ds->action, ds->action_data, from);
    if (states == ds->state_data && actions == ds->action_data) return false;
    gather(c, states, actions);
    return true;
}
