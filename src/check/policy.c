// SPDX-License-Identifier: Apache-2.0
// Rules about the dataset as the policy that will be trained sees it.
#include "check/series.h"

#include <math.h>

static void check_chunks(Check *c) {
    const Dataset *ds = c->ds;
    const WindowSpec *w = c->options->window;
    int64_t reach = (int64_t)w->chunk_size * w->action_down_sample;
    double wanted = 0, padded = 0, apart = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        int64_t length = ds->episodes[e].length;
        if (length < reach)
            find(c, RULE_episode_short, e, -1, "", (double)length / (double)reach,
                 "%lld rows, a chunk reaches over %lld", (long long)length, (long long)reach);
        for (int64_t row = 0; row < length; row++)
            padded += w->chunk_size - window_actions(ds, w, ds->episodes[e].first_row + row);
        wanted += (double)length * w->chunk_size;
        apart += (double)length / (double)reach;
    }
    if (padded > check_rules[RULE_padding].limit * wanted)
        find(c, RULE_padding, -1, -1, "", padded / wanted,
             "%.0f %% of the actions are padding with --policy.chunk_size=%d",
             100 * padded / wanted, w->chunk_size);
    if (apart < check_rules[RULE_few_windows].limit)
        find(c, RULE_few_windows, -1, -1, "", apart, "%.1f chunks of %d actions", apart,
             w->chunk_size);
}

// Observations from before an episode's begin are its first row again.
static void check_history(Check *c) {
    const Dataset *ds = c->ds;
    const WindowSpec *w = c->options->window;
    int64_t reach = (int64_t)(w->horizon - 1) * w->down_sample, short_rows = 0;
    if (reach < 1) return;
    for (int64_t e = 0; e < ds->n_episodes; e++)
        short_rows += reach < ds->episodes[e].length ? reach : ds->episodes[e].length;
    double share = (double)short_rows / (double)ds->rows;
    if (share > check_rules[RULE_history].limit)
        find(c, RULE_history, -1, -1, "", share,
             "%d observations that are %d frames apart reach back over %.1f s, in %.0f %% of the "
             "frames beyond the episode's begin",
             w->horizon, w->down_sample, (double)reach / ds->fps, 100 * share);
}

// The floor of normalize/floor.h for values whose units are not known.
static void check_spreads(Check *c, const Vector *v) {
    double largest = 0;
    for (int d = 0; d < v->n; d++) largest = fmax(largest, v->dims[d].gripper ? 0 : v->dims[d].std);
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        double limit = check_rules[RULE_spread_tiny].limit, share = dim->std / largest;
        double magnitude = fmax(fabs(dim->min), fabs(dim->max));
        bool small = largest > 0 && share < limit && dim->std < 10 * limit * magnitude;
        if (dim->std > 0 && small)
            find(c, RULE_spread_tiny, -1, -1, dim->name, share,
                 "%.6g, give or take %.2g; the others move by %.2g", dim->mean, dim->std, largest);
    }
}

static void check_quantiles(Check *c, const Vector *v) {
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        double range = dim->max - dim->min, share = range > 0 ? (dim->high - dim->low) / range : 1;
        if (share < check_rules[RULE_quantiles_narrow].limit)
            find(c, RULE_quantiles_narrow, -1, -1, dim->name, share,
                 "98 of 100 rows lie between %.4g and %.4g, all between %.4g and %.4g", dim->low,
                 dim->high, dim->min, dim->max);
    }
}

static void check_far(Check *c, const Vector *v) {
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        if (!(dim->std > 0)) continue;
        double far = fmax(dim->max - dim->mean, dim->mean - dim->min) / dim->std;
        if (far > check_rules[RULE_far_outlier].limit)
            find(c, RULE_far_outlier, -1, -1, dim->name, far, "%.4g to %.4g, with a std of %.3g",
                 dim->min, dim->max, dim->std);
    }
}

void check_policy(Check *c) {
    const Vector *both[] = {&c->state, &c->action};
    check_chunks(c);
    check_history(c);
    for (int i = 0; i < 2; i++) {
        check_far(c, both[i]);
        check_spreads(c, both[i]);
        check_quantiles(c, both[i]);
    }
}
