// SPDX-License-Identifier: Apache-2.0
// Rules about action and state beside each other in time.
#include "check/series.h"

#include <math.h>

enum { LAG_BEFORE = 10, LAG_LARGEST = 100 };

// What two sequences of changes have in common, by how many steps the state's come later, from
// -LAG_BEFORE to `after`.
typedef struct Lags {
    int after;
    double common[LAG_BEFORE + LAG_LARGEST + 1];
    double action, state; // sums of squares
} Lags;

// Changes in units of what is usual, so that all values count alike; a jump counts as no more than
// thrice that.
static double change(const Vector *v, int64_t row, int d) {
    double step = v->dims[d].step;
    if (!(step > 0)) return 0;
    double x = (value_at(v, row, d) - value_at(v, row - 1, d)) / step;
    return x > 3 ? 3 : x < -3 ? -3 : x;
}

// Fills changes[0 .. length-2] of one value; returns the sum of their squares.
static double changes_of(const Vector *v, const Episode *episode, int d, float *changes) {
    double squares = 0;
    for (int64_t i = 1; i < episode->length; i++) {
        double x = change(v, episode->first_row + i, d);
        changes[i - 1] = (float)x;
        squares += x * x;
    }
    return squares;
}

static float product(const float *a, const float *b, int64_t n) {
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_lags(const Check *c, const Episode *episode, float *a, float *s, Lags *lags) {
    int64_t n = episode->length - 1;
    for (int d = 0; d < c->action.n; d++) {
        lags->action += changes_of(&c->action, episode, d, a);
        lags->state += changes_of(&c->state, episode, d, s);
        for (int k = -LAG_BEFORE; k <= lags->after; k++) {
            int64_t from = k < 0 ? -k : 0, to = k > 0 ? n - k : n;
            if (to > from)
                lags->common[k + LAG_BEFORE] += (double)product(a + from, s + from + k, to - from);
        }
    }
}

bool best_lag(const double *common, int n, double norm, double least, double *at) {
    int best = 0;
    for (int k = 1; k < n; k++)
        if (common[k] > common[best]) best = k;
    double peak = common[best];
    if (!(norm > 0) || peak < least * norm || best == 0 || best == n - 1) return false;
    double before = common[best - 1], after = common[best + 1];
    double bend = before - 2 * peak + after;
    *at = best + (bend < 0 ? 0.5 * (before - after) / bend : 0);
    return true;
}

// False where nothing fits.
static bool lag_of(const Lags *lags, double *lag) {
    double norm = sqrt(lags->action * lags->state);
    if (!best_lag(lags->common, LAG_BEFORE + lags->after + 1, norm, 0.5, lag)) return false;
    *lag -= LAG_BEFORE;
    return true;
}

static int64_t longest_episode(const Dataset *ds) {
    int64_t longest = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++)
        if (ds->episodes[e].length > longest) longest = ds->episodes[e].length;
    return longest;
}

static void find_lag(Check *c, double lag) {
    double fps = c->ds->fps;
    if (lag / fps > check_rules[RULE_action_lag].limit)
        find(c, RULE_action_lag, -1, -1, "action", lag / fps,
             "the state follows the action after %.1f steps (%.0f ms)", lag, 1e3 * lag / fps);
    if (-lag > check_rules[RULE_action_behind].limit)
        find(c, RULE_action_behind, -1, -1, "action", -lag,
             "the action follows the state after %.1f steps (%.0f ms)", -lag, -1e3 * lag / fps);
}

// Of actions that are where the state is to go, value by value: elsewhere the two do not fit and
// nothing is found.
void check_lag(Check *c) {
    const Dataset *ds = c->ds;
    if (c->state.n == 0 || c->state.n != c->action.n) return;
    int64_t longest = longest_episode(ds);
    int after = (int)ceil(2 * check_rules[RULE_action_lag].limit * ds->fps) + 2;
    Lags all = {.after = after < LAG_LARGEST ? after : LAG_LARGEST};
    float *a = NEW(float, longest + 1), *s = NEW(float, longest + 1);
    double *by_episode = NEW(double, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        Lags one = {.after = all.after};
        add_lags(c, &ds->episodes[e], a, s, &one);
        by_episode[e] = NAN;
        (void)lag_of(&one, &by_episode[e]);
        for (int k = 0; k <= LAG_BEFORE + all.after; k++) all.common[k] += one.common[k];
        all.action += one.action;
        all.state += one.state;
    }
    double usual;
    if (lag_of(&all, &usual)) {
        find_lag(c, usual);
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            double off = by_episode[e] - usual;
            if (fabs(off) > check_rules[RULE_episode_lag].limit)
                find(c, RULE_episode_lag, e, -1, "action", fabs(off),
                     "the state follows after %.1f steps, usually after %.1f", by_episode[e],
                     usual);
        }
    }
    mem_free(by_episode);
    mem_free(a);
    mem_free(s);
}
