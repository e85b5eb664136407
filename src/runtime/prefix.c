// SPDX-License-Identifier: Apache-2.0
#include "runtime/prefix.h"

#include "base/memory.h"
#include "runtime/actions.h"
#include "runtime/handle.h"
#include <math.h>
#include <string.h>

bool prefix_init(tact_policy *p, Error *err) {
    const PolicyConfig *c = p->config;
    Prefix *x = &p->prefix;
    const size_t A = p->action_size, N = (size_t)policy_chunk_steps(c);
    const size_t P = (size_t)c->max_action_prefix;
    if (x->most == 0) return true;
    x->actions = TRY_NEW(double, (size_t)x->most *A);
    x->rows = TRY_NEW(float, P *(size_t)c->action_dim);
    x->given = TRY_NEW(double, N *A);
    x->times = TRY_NEW(double, N);
    x->walk = TRY_NEW(double, 2 * A);
    return (x->actions && x->rows && x->given && x->times && x->walk) ||
           fail_memory(err, "%d actions that are given", x->most);
}

void prefix_free(Prefix *x) {
    void *owned[] = {x->actions, x->rows, x->given, x->times, x->walk};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) mem_free(owned[i]);
    *x = (Prefix){0};
}

// ---- what was ---------------------------------------------------------------------------------

void prefix_reset(tact_policy *p) {
    p->prefix.n_given = 0;
}

void prefix_note_action(tact_policy *p) {
    Prefix *x = &p->prefix;
    const size_t A = p->action_size;
    if (!x->most) return;
    const size_t place = (size_t)(x->n_given++ % policy_chunk_steps(p->config));
    memcpy(x->given + place * A, p->last, A * sizeof *p->last);
    x->times[place] = p->schedule.given;
}

void prefix_note_delay(tact_policy *p, int late) {
    Prefix *x = &p->prefix;
    x->delays[x->n_delays++ % PREFIX_DELAYS] = late;
}

static int delay_expected(const tact_policy *p) {
    const Prefix *x = &p->prefix;
    int longest = 0;
    if (p->worker.simulated_delay >= 0) return p->worker.simulated_delay;
    if (x->n_delays == 0) return x->most;
    for (int i = 0; i < PREFIX_DELAYS && i < x->n_delays; i++)
        if (x->delays[i] > longest) longest = x->delays[i];
    return longest;
}

// What was commanded at a time of this episode: the last action of those whose time had come, by
// half a step. NULL: there was none yet, or it is forgotten.
static const double *commanded_at(const tact_policy *p, double time) {
    const Prefix *x = &p->prefix;
    const int64_t N = policy_chunk_steps(p->config), oldest = x->n_given - N;
    for (int64_t i = x->n_given - 1; i >= 0 && i >= oldest; i--)
        if (x->times[i % N] <= time + schedule_step(p) / 2)
            return x->given + (size_t)(i % N) * p->action_size;
    return NULL;
}

// ---- what will be -----------------------------------------------------------------------------

// Which action of the new chunk is for the time of the one that is given out next. Counting, its
// first; by the clock, those for the time since its frames were captured come before. False: that
// is not known.
static bool row_of_next(const tact_policy *p, int *row) {
    const Schedule *s = &p->schedule;
    const double step = schedule_step(p), most = policy_chunk_steps(p->config);
    *row = 0;
    if (!s->asked_by_clock) return true;
    if (!(step > 0) || (!s->chunk_by_clock && !s->has_due)) return false;
    double next = s->chunk_by_clock ? s->chunk_captured + p->queue_at * step : s->due;
    *row = (int)fmax(-most, fmin(most, rint((next - s->asked_captured) / step)));
    return true;
}

// The chunk's actions before number `end` that were given out: false where one is not known.
static bool take_past(tact_policy *p, int end) {
    Prefix *x = &p->prefix;
    const size_t A = p->action_size;
    for (int i = 0; i < end; i++) {
        const double *action = commanded_at(p, p->schedule.asked_captured + i * schedule_step(p));
        if (!action) return false;
        memcpy(x->actions + (size_t)i * A, action, A * sizeof *action);
    }
    return true;
}

// Those up to number `end` that the played chunk will give, the next of it being number `row`,
// limited as they will be.
static void take_coming(tact_policy *p, int row, int end) {
    Prefix *x = &p->prefix;
    const size_t A = p->action_size;
    const int arms = p->config->arms;
    Limits limits = p->limits; // what is only foreseen is not counted
    const double *before = p->has_last ? p->last : history_newest(&p->history);
    for (int k = 0; row + k < end; k++) {
        double *action = x->walk + (size_t)(k % 2) * A;
        memcpy(action, p->queue + (size_t)(p->queue_at + k) * A, A * sizeof *action);
        limits_apply(&limits, before, arms, action);
        actions_continue(action, before, arms);
        if (row + k >= 0) memcpy(x->actions + (size_t)(row + k) * A, action, A * sizeof *action);
        before = action;
    }
}

void prefix_take(tact_policy *p) {
    Prefix *x = &p->prefix;
    int row, steps = x->most;
    x->steps = 0;
    if (!x->most || !p->worker.playing || !row_of_next(p, &row)) return;
    const int expected = delay_expected(p), there = row + p->queue_left;
    steps = expected < steps ? expected : steps;
    steps = there < steps ? there : steps;
    if (steps <= 0 || !take_past(p, row < steps ? row : steps)) return;
    take_coming(p, row, steps);
    x->steps = steps;
}

void prefix_take_none(tact_policy *p) {
    p->prefix.steps = 0;
}

// ---- in the chunk -----------------------------------------------------------------------------

// An action of a chunk stands for `every` steps, the first of which is its own time.
static int rows_given(const tact_policy *p) {
    const int every = p->config->action_down_sample_steps;
    return (p->prefix.steps + every - 1) / every;
}

static const double *row_given(const tact_policy *p, int i) {
    const int every = p->config->action_down_sample_steps;
    return p->prefix.actions + (size_t)i * (size_t)every * p->action_size;
}

const int *prefix_rows(tact_policy *p, int *n) {
    const PolicyConfig *c = p->config;
    Prefix *x = &p->prefix;
    if (!x->most) return NULL;
    *n = rows_given(p);
    for (int i = 0; i < *n; i++)
        action_to_policy(&p->action_norm, row_given(p, i), p->snapshot.base, c->arms,
                         c->pipeline.relative, p->row, x->rows + (size_t)i * (size_t)c->action_dim);
    return n;
}

void prefix_put_rows(const tact_policy *p, double *out) {
    const size_t A = p->action_size;
    const int n = rows_given(p);
    for (int i = 0; i < n; i++) memcpy(out + (size_t)i * A, row_given(p, i), A * sizeof *out);
    for (int i = n; n && i < p->config->chunk_size; i++)
        actions_continue(out + (size_t)i * A, out + (size_t)(i - 1) * A, p->config->arms);
}

void prefix_put_steps(const tact_policy *p, double *out) {
    const Prefix *x = &p->prefix;
    if (x->steps) memcpy(out, x->actions, (size_t)x->steps * p->action_size * sizeof *out);
}
