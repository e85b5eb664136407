// SPDX-License-Identifier: Apache-2.0
// The next action, from the queue of a chunk, from the means of chunks, or from the worker.
#include "runtime/calls.h"

#include "runtime/actions.h"
#include "runtime/blend.h"
#include "runtime/handle.h"
#include <string.h>

tact_status predict_now(tact_policy *p, double *out) {
    snapshot_take(p);
    const Computing before = compute_begin(p);
    tact_status status = snapshot_predict(p, out, &p->error);
    compute_end(&before);
    if (status != TACT_OK) history_forget_tokens(&p->history);
    return status;
}

// What was played, from action `at` of its chunk on.
static Played played_from(const tact_policy *p, int at) {
    const int steps = policy_chunk_steps(p->config), width = (int)p->action_size;
    const double *next = p->queue + at * width;
    const int ahead = at - p->queue_at; // actions that are not given out, but were due before
    Played old = {.rest = next,
                  .n_rest = steps - at,
                  .last = ahead ? next - width : p->last,
                  .before = p->has_before ? p->before : NULL};
    if (ahead) old.before = ahead > 1 ? next - 2 * width : p->last;
    return old;
}

double *play_chunk(tact_policy *p, double *chunk, int from, int given) {
    const int steps = policy_chunk_steps(p->config), width = (int)p->action_size;
    double *played = p->queue;
    if (p->blend_steps && p->has_last) {
        const int due = schedule_played(p, from);
        int same = given > from ? given - from : 0;
        if (same > steps - due) same = steps - due;
        Played old = played_from(p, due + same);
        from += same;
        blend_chunks(&old, chunk + from * width, steps - from, p->blend_steps, width,
                     p->config->arms, p->blended);
        from -= same;
    }
    p->queue = chunk;
    p->queue_at = from;
    p->chunks++;
    schedule_took_over(p);
    return played;
}

void skip_past(tact_policy *p) {
    int past = schedule_past(p);
    p->queue_at += past;
    p->queue_left -= past;
}

static tact_status next_of_queue(tact_policy *p, double *out) {
    if (p->queue_left == 0) {
        double *chunk = p->spare ? p->spare : p->queue;
        tact_status status = predict_now(p, chunk);
        if (status != TACT_OK) return status;
        int first = schedule_first(p, 0), left = policy_chunk_steps(p->config) - first;
        double *played = play_chunk(p, chunk, first, 0);
        if (p->spare) p->spare = played;
        p->queue_left = left < p->n_action_steps ? left : p->n_action_steps;
    }
    skip_past(p);
    memcpy(out, p->queue + (size_t)p->queue_at * p->action_size, p->action_size * sizeof *out);
    p->queue_at++;
    p->queue_left--;
    return TACT_OK;
}

static tact_status next_of_ensemble(tact_policy *p, double *out) {
    const int width = (int)p->action_size, arms = p->config->arms;
    Ensemble *e = &p->ensemble;
    if (p->fresh || e->left == 0) {
        tact_status status = predict_now(p, p->queue);
        if (status != TACT_OK) return status;
        for (int i = 0; i < e->chunk; i++)
            action_to_linear(p->queue + i * width, width, arms, p->linear + i * e->width);
        ensemble_add(e, p->linear);
        p->fresh = false;
    }
    ensemble_take(e, p->linear);
    action_from_linear(p->linear, width, arms, out);
    return TACT_OK;
}

tact_status next_action(tact_policy *p, double *action) {
    const int64_t stalls = p->worker.stalls;
    tact_status status = p->worker.started ? async_next(p, p->action)
                         : p->ensembles    ? next_of_ensemble(p, p->action)
                                           : next_of_queue(p, p->action);
    // Before the limits, which would make a corner of the box of a NaN, and after them.
    if (status == TACT_OK) status = actions_check(p->action, p->action_size, &p->error);
    if (status != TACT_OK) return status;
    const double *before = p->has_last ? p->last : history_newest(&p->history);
    limits_apply(&p->limits, before, p->config->arms, p->action);
    actions_continue(p->action, before, p->config->arms);
    status = actions_check(p->action, p->action_size, &p->error);
    if (status != TACT_OK) return status;
    memcpy(p->before, p->last, p->action_size * sizeof *action);
    p->has_before = p->has_last;
    memcpy(p->last, p->action, p->action_size * sizeof *action);
    memcpy(action, p->action, p->action_size * sizeof *action);
    p->has_last = true;
    if (p->worker.stalls != stalls) return TACT_OK; // the plan stays
    schedule_given(p);
    prefix_note_action(p);
    return TACT_OK;
}
