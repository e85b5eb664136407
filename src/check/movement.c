// SPDX-License-Identifier: Apache-2.0
// Rules about how an episode moves: values that are stuck in it, and noise.
#include "check/series.h"

#include <math.h>

// ---- values that are stuck ----------------------------------------------------------------------

// How far each value usually moves in an episode; 0 where it is no such value: one that switches,
// or that most episodes leave alone. The caller frees.
static double *usual_ranges(const Check *c, const Vector *v) {
    const int64_t n = c->ds->n_episodes;
    double *usual = NEW(double, v->n), *ranges = NEW(double, n);
    for (int d = 0; d < v->n; d++) {
        for (int64_t e = 0; e < n; e++) ranges[e] = range_in(v, e, d);
        double middle = middle_of(ranges, n);
        bool moves = middle > 0.1 * (v->dims[d].high - v->dims[d].low);
        if (moves && v->dims[d].distinct >= DISTINCT_MOST) usual[d] = middle;
    }
    mem_free(ranges);
    return usual;
}

// Whether what belongs to value d of the one vector moves in the other: the same value, or, where
// the two do not have the same, any.
static bool partner_moves(const Vector *other, const double *usual, int64_t e, int d, bool paired) {
    for (int k = paired ? d : 0; k < (paired ? d + 1 : other->n); k++)
        if (usual[k] > 0 && range_in(other, e, k) > 0.3 * usual[k]) return true;
    return false;
}

static void check_stuck(Check *c, CheckRuleId rule, const Vector *v, const Vector *other) {
    const double limit = check_rules[rule].limit;
    if (v->n == 0 || other->n == 0 || c->ds->n_episodes < FEWEST_EPISODES) return;
    double *usual = usual_ranges(c, v), *usual_other = usual_ranges(c, other);
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        int stuck = 0, first = -1;
        for (int d = 0; d < v->n; d++) {
            if (!(usual[d] > 0) || range_in(v, e, d) >= limit * usual[d] ||
                !partner_moves(other, usual_other, e, d, v->n == other->n))
                continue;
            if (stuck++ == 0) first = d;
        }
        if (stuck > 0)
            find(c, rule, e, -1, v->dims[first].name, range_in(v, e, first) / usual[first],
                 "it stays at %.4g while %s moves%s", dim_of(v, e, first)->min,
                 other->feature->name, stuck > 1 ? ", and so do other values" : "");
    }
    mem_free(usual_other);
    mem_free(usual);
}

// ---- action and state apart in one episode ------------------------------------------------------

// How far the means of action and state are apart, beside what is usual.
static void check_offsets(Check *c) {
    const int64_t n = c->ds->n_episodes;
    const double limit = check_rules[RULE_episode_offset].limit;
    if (c->state.n == 0 || c->state.n != c->action.n || n < FEWEST_EPISODES) return;
    double *offsets = NEW(double, n), *sorted = NEW(double, n);
    for (int d = 0; d < c->state.n; d++) {
        const Dim *s = &c->state.dims[d], *a = &c->action.dims[d];
        double range = fmax(s->high, a->high) - fmin(s->low, a->low);
        for (int64_t e = 0; e < n; e++)
            sorted[e] = offsets[e] = dim_of(&c->action, e, d)->mean - dim_of(&c->state, e, d)->mean;
        double usual = middle_of(sorted, n);
        for (int64_t e = 0; e < n; e++) sorted[e] = fabs(offsets[e] - usual);
        double spread = middle_of(sorted, n);
        for (int64_t e = 0; e < n && range > 0 && s->distinct >= DISTINCT_MOST; e++) {
            double off = fabs(offsets[e] - usual);
            if (off > limit * range && off > 8 * spread)
                find(c, RULE_episode_offset, e, -1, a->name, off / range,
                     "on average %.3g from the state, usually %.3g", offsets[e], usual);
        }
    }
    mem_free(sorted);
    mem_free(offsets);
}

// ---- units --------------------------------------------------------------------------------------

static const char *guess_unit(double times) {
    double up = times > 1 ? times : 1 / times;
    if (up > 45 && up < 70) return ": degrees and radians?";
    return up > 700 && up < 1400 ? ": metres and millimetres?" : "";
}

// An episode all of whose values move as many times more, or less, as they usually do.
static void check_episode_units(Check *c, const Vector *v) {
    const int64_t n = c->ds->n_episodes;
    const double limit = check_rules[RULE_episode_units].limit;
    if (v->n == 0 || n < FEWEST_EPISODES) return;
    double *usual = NEW(double, v->n), *ranges = NEW(double, n), *times = NEW(double, v->n);
    for (int d = 0; d < v->n; d++) {
        for (int64_t e = 0; e < n; e++) ranges[e] = range_in(v, e, d);
        if (v->dims[d].distinct >= DISTINCT_MOST) usual[d] = middle_of(ranges, n);
    }
    for (int64_t e = 0; e < n; e++) {
        int64_t count = 0;
        for (int d = 0; d < v->n; d++)
            if (usual[d] > 0 && !v->dims[d].gripper && range_in(v, e, d) > 0)
                times[count++] = log(range_in(v, e, d) / usual[d]);
        double middle = middle_of(times, count);
        bool alike = count > 1 && times[count - 1] - times[0] < 3;
        if (alike && fabs(middle) > log(limit))
            find(c, RULE_episode_units, e, -1, v->feature->name, exp(fabs(middle)),
                 "its values move %.3g times as far as usual%s", exp(middle),
                 guess_unit(exp(middle)));
    }
    mem_free(times);
    mem_free(ranges);
    mem_free(usual);
}

// ---- noise --------------------------------------------------------------------------------------

// Bends are noise where they are more than a share of the fastest usual movement; a smooth one
// hardly bends from row to row.
static void check_noise(Check *c, const Vector *v) {
    const int64_t n = c->ds->n_episodes;
    const double limit = check_rules[RULE_episode_noise].limit, smooth = 0.05;
    if (v->n == 0 || n < FEWEST_EPISODES) return;
    double *worst = NEW(double, n), *bends = NEW(double, n);
    int *where = NEW(int, n);
    for (int d = 0; d < v->n; d++) {
        if (v->dims[d].distinct < DISTINCT_MOST || v->dims[d].gripper) continue;
        for (int64_t e = 0; e < n; e++) bends[e] = dim_of(v, e, d)->bend;
        double usual = fmax(middle_of(bends, n), smooth * v->dims[d].step);
        for (int64_t e = 0; e < n && usual > 0; e++) {
            double times = dim_of(v, e, d)->bend / usual;
            if (times > worst[e]) worst[e] = times, where[e] = d;
        }
    }
    for (int64_t e = 0; e < n; e++)
        if (worst[e] > limit)
            find(c, RULE_episode_noise, e, -1, v->dims[where[e]].name, worst[e],
                 "it shakes by %.3g from row to row, %.1f times as much as is usual",
                 dim_of(v, e, where[e])->bend, worst[e]);
    mem_free(where);
    mem_free(bends);
    mem_free(worst);
}

void check_movement(Check *c) {
    check_stuck(c, RULE_state_stuck, &c->state, &c->action);
    check_stuck(c, RULE_action_stuck, &c->action, &c->state);
    check_offsets(c);
    check_episode_units(c, &c->state);
    check_episode_units(c, &c->action);
    check_noise(c, &c->state);
    check_noise(c, &c->action);
}
