// SPDX-License-Identifier: Apache-2.0
// Rules about the values of state and action over the whole dataset.
#include "check/series.h"

#include <math.h>

static void check_constant(Check *c, const Vector *v) {
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        if (dim->min == dim->max)
            find(c, RULE_dim_constant, -1, -1, dim->name, 0, "always %.6g", dim->min);
    }
}

// ---- jumps --------------------------------------------------------------------------------------

// The largest change of a value in an episode, and the row after it.
static double largest_step(const Vector *v, const Episode *episode, int d, int64_t *frame) {
    double largest = 0;
    *frame = 0;
    for (int64_t i = 1; i < episode->length; i++) {
        int64_t row = episode->first_row + i;
        double step = fabs(value_at(v, row, d) - value_at(v, row - 1, d));
        if (step > largest) largest = step, *frame = i;
    }
    return largest;
}

// A value that takes few different ones switches, and a jump in many episodes is how this value
// moves (a gripper that snaps shut): only what is rare is a fault.
static void check_jumps(Check *c, const Vector *v) {
    const Dataset *ds = c->ds;
    double limit = check_rules[RULE_value_jump].limit;
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        double usual = fmax(dim->step, 0.01 * (dim->high - dim->low));
        int64_t frame, many = 0;
        if (dim->distinct < DISTINCT_MOST || !(usual > 0) || dim->step_largest <= limit * usual)
            continue;
        for (int64_t e = 0; e < ds->n_episodes; e++)
            many += largest_step(v, &ds->episodes[e], d, &frame) > limit * usual;
        if (many > 1 && many * 5 > ds->n_episodes) continue;
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            double step = largest_step(v, &ds->episodes[e], d, &frame);
            if (step > limit * usual)
                find(c, RULE_value_jump, e, frame, dim->name, step / usual,
                     "%.3g in one row, where %.3g is a fast change", step, usual);
        }
    }
}

// ---- limits -------------------------------------------------------------------------------------

static void check_saturation(Check *c, const Vector *v) {
    const Dataset *ds = c->ds;
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        // A gripper that is open rests at the end of its range, as does what only switches.
        if (dim->gripper || dim->distinct < DISTINCT_MOST) continue;
        double near = 1e-6 * (dim->max - dim->min);
        int64_t low = 0, high = 0, moved_low = 0, moved_high = 0;
        for (int64_t row = 0; row < ds->rows; row++) {
            double x = value_at(v, row, d);
            bool at_low = x <= dim->min + near, at_high = x >= dim->max - near;
            low += at_low, high += at_high;
            moved_low += at_low && c->moves[row], moved_high += at_high && c->moves[row];
        }
        int64_t most = low > high ? low : high, moved = low > high ? moved_low : moved_high;
        double share = (double)most / (double)ds->rows;
        if (share > check_rules[RULE_saturated].limit && moved * 2 > most)
            find(c, RULE_saturated, -1, -1, dim->name, share, "%.0f %% of the rows are at %.6g",
                 100 * share, low > high ? dim->min : dim->max);
    }
}

// ---- action and state ---------------------------------------------------------------------------

static bool same_row(const Check *c, int64_t row) {
    for (int d = 0; d < c->state.n; d++)
        if (value_at(&c->state, row, d) != value_at(&c->action, row, d)) return false;
    return true;
}

static void check_action_is_state(Check *c) {
    const Dataset *ds = c->ds;
    int64_t same = 0, moving = 0;
    if (c->state.n == 0 || c->state.n != c->action.n) return;
    for (int64_t row = 0; row < ds->rows; row++) {
        moving += c->moves[row];
        same += c->moves[row] && same_row(c, row);
    }
    double share = moving > 0 ? (double)same / (double)moving : 0;
    if (share > check_rules[RULE_action_is_state].limit)
        find(c, RULE_action_is_state, -1, -1, "action", share,
             "%.0f %% of the actions are the state of the same row", 100 * share);
}

// While nothing has moved for so many rows, what is left between the two is an offset.
enum { RESTING = 5 };

// Fills offsets (rows) with those between action and state; returns how many.
static int64_t offsets_at_rest(const Check *c, int d, double *offsets) {
    int64_t n = 0;
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        const Episode *episode = &c->ds->episodes[e];
        int64_t resting = 0;
        for (int64_t row = episode->first_row + 1; row < episode->first_row + episode->length;
             row++) {
            resting = c->moves[row] ? 0 : resting + 1;
            if (resting >= RESTING)
                offsets[n++] = value_at(&c->action, row, d) - value_at(&c->state, row, d);
        }
    }
    return n;
}

static void check_rest_offset(Check *c) {
    const Dataset *ds = c->ds;
    if (c->state.n == 0 || c->state.n != c->action.n) return;
    double *offsets = NEW(double, ds->rows);
    for (int d = 0; d < c->state.n; d++) {
        const Dim *s = &c->state.dims[d], *a = &c->action.dims[d];
        double range = fmax(s->high, a->high) - fmin(s->low, a->low);
        int64_t n = offsets_at_rest(c, d, offsets);
        if (!(range > 0) || n < 10 * RESTING || s->distinct < DISTINCT_MOST) continue;
        double offset = middle_of(offsets, n);
        if (fabs(offset) > check_rules[RULE_rest_offset].limit * range)
            find(c, RULE_rest_offset, -1, -1, a->name, fabs(offset) / range,
                 "%.3g from the state while nothing moves, of a range of %.3g", offset, range);
    }
    mem_free(offsets);
}

void check_values(Check *c) {
    const Vector *both[] = {&c->state, &c->action};
    for (int i = 0; i < 2; i++) {
        check_constant(c, both[i]);
        check_jumps(c, both[i]);
        check_saturation(c, both[i]);
    }
    check_action_is_state(c);
    check_rest_offset(c);
}
