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
    check_chunks(c);
    check_far(c, &c->state);
    check_far(c, &c->action);
}
