// SPDX-License-Identifier: Apache-2.0
// Rules about when rows were recorded.
#include "check/series.h"

#include <math.h>

// ---- the times of rows --------------------------------------------------------------------------

typedef struct Worst {
    double value;
    int64_t frame;
} Worst;

// The usual step between rows, in steps of 1/fps, of which a single gap makes no other: the middle
// over pairs of rows that are an eighth of an episode apart.
static double usual_step(const double *t, int64_t length, double fps) {
    enum { PAIRS = 31, SHORTEST = 20 };
    double steps[PAIRS];
    int64_t apart = length / 8 > 5 ? length / 8 : 5, starts = length - apart;
    if (length < SHORTEST) return 1;
    for (int64_t i = 0; i < PAIRS; i++) {
        int64_t at = i * (starts - 1) / (PAIRS - 1);
        steps[i] = (t[at + apart] - t[at]) * fps / (double)apart;
    }
    return middle_of(steps, PAIRS);
}

static void check_timestamps(Check *c) {
    const Dataset *ds = c->ds;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        const double *t = ds->timestamp + episode->first_row;
        double usual = usual_step(t, episode->length, ds->fps);
        bool drifts = fabs(usual - 1) > check_rules[RULE_timestamp_drift].limit;
        double unit = drifts && usual > 0 ? usual / ds->fps : 1 / ds->fps;
        Worst gap = {0, 0}, repeat = {INFINITY, 0}, grid = {0, 0};
        for (int64_t i = 0; i < episode->length; i++) {
            double steps = i > 0 ? (t[i] - t[i - 1]) / unit : 1;
            double off = fabs(t[i] - t[0] - (double)i / ds->fps);
            if (steps > gap.value) gap = (Worst){steps, i};
            if (steps < repeat.value) repeat = (Worst){steps, i};
            if (off > grid.value) grid = (Worst){off, i};
        }
        if (gap.value > check_rules[RULE_timestamp_gap].limit)
            find(c, RULE_timestamp_gap, e, gap.frame, "timestamp", gap.value,
                 "%.3g s after the row before", gap.value * unit);
        if (repeat.value < check_rules[RULE_timestamp_repeat].limit)
            find(c, RULE_timestamp_repeat, e, repeat.frame, "timestamp", repeat.value,
                 "%.3g s after the row before", repeat.value * unit);
        // A gap moves everything behind it off the grid, and so does another rate: one finding is
        // enough.
        bool told = gap.value > check_rules[RULE_timestamp_gap].limit ||
                    repeat.value < check_rules[RULE_timestamp_repeat].limit || drifts;
        if (!told && grid.value > check_rules[RULE_timestamp_grid].limit)
            find(c, RULE_timestamp_grid, e, grid.frame, "timestamp", grid.value,
                 "%.3g ms off frame / fps", 1e3 * grid.value);
    }
}

// ---- the clock ----------------------------------------------------------------------------------

// How far the steps between rows are from their mean, in steps; one that is missing counts as one.
static double jitter_of(const double *t, int64_t length, double fps) {
    double sum = 0;
    int64_t n = length - 1;
    if (n < 1) return 0;
    double mean = (t[n] - t[0]) * fps / (double)n;
    for (int64_t i = 1; i <= n; i++) {
        double off = fabs((t[i] - t[i - 1]) * fps - mean);
        sum += off < 1 ? off : 1;
    }
    return sum / (double)n;
}

static void check_clocks(Check *c) {
    const Dataset *ds = c->ds;
    double *start = NEW(double, ds->n_episodes), *rate = NEW(double, ds->n_episodes),
           *jitter = NEW(double, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        const double *t = ds->timestamp + episode->first_row;
        start[e] = fabs(t[0]) * ds->fps;
        rate[e] = fabs(usual_step(t, episode->length, ds->fps) - 1);
        jitter[e] = jitter_of(t, episode->length, ds->fps);
    }
    find_episodes(c, RULE_timestamp_start, "timestamp", start, "it begins ", " steps from 0");
    find_episodes(c, RULE_timestamp_drift, "timestamp", rate,
                  "rows come at another rate than fps: ", " of a step off in each");
    find_episodes(c, RULE_timestamp_jitter, "timestamp", jitter, "", " of a step");
    mem_free(jitter);
    mem_free(rate);
    mem_free(start);
}

void check_time(Check *c) {
    check_timestamps(c);
    check_clocks(c);
}
