// SPDX-License-Identifier: Apache-2.0
// Rules about single episodes beside the others.
#include "check/series.h"

#include <math.h>

// ---- standing still -----------------------------------------------------------------------------

static void find_stillness(Check *c, CheckRuleId rule, int64_t e, int64_t frame, int64_t rows) {
    double seconds = (double)rows / c->ds->fps;
    if (seconds > check_rules[rule].limit)
        find(c, rule, e, frame, "", seconds, "%.1f s, %.0f %% of the episode", seconds,
             100.0 * (double)rows / (double)c->ds->episodes[e].length);
}

static void check_stillness(Check *c) {
    if (c->state.n + c->action.n == 0) return;
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        const Episode *episode = &c->ds->episodes[e];
        Stillness s = stillness_of(c, episode);
        find_stillness(c, RULE_idle_head, e, 0, s.head);
        find_stillness(c, RULE_idle_tail, e, episode->length - s.tail, s.tail);
        find_stillness(c, RULE_hesitation, e, s.longest_at, s.longest);
    }
}

// ---- length, begin and end ----------------------------------------------------------------------

static void check_lengths(Check *c) {
    const Dataset *ds = c->ds;
    if (ds->n_episodes < FEWEST_EPISODES) return;
    double *lengths = NEW(double, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) lengths[e] = (double)ds->episodes[e].length;
    double usual = middle_of(lengths, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        double length = (double)ds->episodes[e].length;
        double times = length > usual ? length / usual : usual / length;
        if (times > check_rules[RULE_length_outlier].limit)
            find(c, RULE_length_outlier, e, -1, "", times, "%.1f s, usually %.1f s",
                 length / ds->fps, usual / ds->fps);
    }
    mem_free(lengths);
}

// Where every episode begins or ends, value by value: its distance from the middle, in half of the
// spread between the quarters (which is the standard deviation of a normal distribution by 0.67),
// but at least in hundredths of the value's range.
static void check_ends(Check *c, CheckRuleId rule, bool end) {
    const Dataset *ds = c->ds;
    const Vector *v = c->state.n > 0 ? &c->state : &c->action;
    if (ds->n_episodes < 2 * FEWEST_EPISODES) return; // a spread needs more than a middle
    double *at = NEW(double, ds->n_episodes), *worst = NEW(double, ds->n_episodes);
    int *worst_dim = NEW(int, ds->n_episodes);
    for (int d = 0; d < v->n; d++) {
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            const Episode *episode = &ds->episodes[e];
            at[e] = value_at(v, episode->first_row + (end ? episode->length - 1 : 0), d);
        }
        sort_doubles(at, ds->n_episodes);
        double middle = quantile(at, ds->n_episodes, 0.5);
        double quarters = quantile(at, ds->n_episodes, 0.75) - quantile(at, ds->n_episodes, 0.25);
        double spread = fmax(quarters / 2, 0.02 * (v->dims[d].high - v->dims[d].low));
        for (int64_t e = 0; e < ds->n_episodes && spread > 0; e++) {
            const Episode *episode = &ds->episodes[e];
            double x = value_at(v, episode->first_row + (end ? episode->length - 1 : 0), d);
            double off = fabs(x - middle) / spread;
            if (off > worst[e]) worst[e] = off, worst_dim[e] = d;
        }
    }
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        if (worst[e] <= check_rules[rule].limit) continue;
        int64_t last = ds->episodes[e].length - 1;
        double x = value_at(v, ds->episodes[e].first_row + (end ? last : 0), worst_dim[e]);
        find(c, rule, e, end ? last : 0, v->dims[worst_dim[e]].name, worst[e], "%.4g", x);
    }
    mem_free(worst_dim);
    mem_free(worst);
    mem_free(at);
}

void check_episodes(Check *c) {
    check_stillness(c);
    check_lengths(c);
    check_ends(c, RULE_start_outlier, false);
    check_ends(c, RULE_end_outlier, true);
}
