// SPDX-License-Identifier: Apache-2.0
#include "eval/accumulate.h"

#include "pose/pose.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t windows_of(int64_t frames, int64_t stride) {
    return (frames + stride - 1) / stride;
}

static double *arena_doubles(Arena *a, int64_t n) {
    return arena_alloc(a, sizeof(double) * (size_t)n);
}

static void alloc_scratch(Accumulator *a) {
    EvalResult *r = a->result;
    int M = r->measures.count, D = a->action_norm->dim;
    double **of_action[] = {&a->recorded, &a->held, &a->nearest, &a->base};
    double **of_measures[] = {&a->one, &a->other, &a->sum, &a->stay_sum};
    for (size_t i = 0; i < 4; i++) {
        *of_action[i] = arena_doubles(&r->arena, r->A);
        *of_measures[i] = arena_doubles(&r->arena, M);
    }
    a->row = arena_doubles(&r->arena, D);
    a->other_row = arena_doubles(&r->arena, D);
    a->seen = arena_alloc(&r->arena, sizeof(float) * (size_t)D);
    a->wanted = arena_alloc(&r->arena, sizeof(float) * (size_t)D);
}

static void window_room(Accumulator *a, EvalWindow *w) {
    EvalResult *r = a->result;
    w->error = arena_doubles(&r->arena, r->measures.count);
    w->stay = arena_doubles(&r->arena, r->measures.count);
    w->predicted = arena_alloc(&r->arena, sizeof(float) * (size_t)(r->S * r->A));
}

static void curves_room(Accumulator *a, EvalCurves *c) {
    EvalResult *r = a->result;
    c->frames = arena_alloc(&r->arena, sizeof(int64_t) * EVAL_CURVE_WINDOWS);
    c->chunks = arena_alloc(&r->arena, sizeof(float) * EVAL_CURVE_WINDOWS * (size_t)(r->S * r->A));
}

static void alloc_result(EvalResult *r, const char *const *names) {
    size_t M = (size_t)r->measures.count, S = (size_t)r->S;
    r->error = arena_alloc(&r->arena, sizeof(Summary) * M * S);
    r->stay = arena_alloc(&r->arena, sizeof(Summary) * M * S);
    r->error_all = arena_alloc(&r->arena, sizeof(Summary) * M);
    r->stay_all = arena_alloc(&r->arena, sizeof(Summary) * M);
    r->dimensions = arena_alloc(&r->arena, sizeof(EvalDimension) * (size_t)r->A);
    for (int i = 0; i < r->A; i++) r->dimensions[i].name = names[i];
    r->episodes = arena_alloc(&r->arena, sizeof(EvalEpisode) * (size_t)r->dataset->n_episodes);
    for (int64_t i = 0; i < r->dataset->n_episodes; i++) {
        const Episode *e = &r->dataset->episodes[i];
        r->episodes[i] = (EvalEpisode){e->index,
                                       e->length,
                                       windows_of(e->length, r->stride),
                                       eval_seen(&r->training, e->index),
                                       arena_doubles(&r->arena, r->measures.count),
                                       arena_doubles(&r->arena, r->measures.count)};
    }
}

bool accumulator_init(Accumulator *a, EvalResult *r, const char *const *names,
                      const Normalizer *action_norm, Error *err) {
    const Dataset *ds = r->dataset;
    *a = (Accumulator){.result = r, .action_norm = action_norm};
    for (int64_t i = 0; i < ds->n_episodes; i++)
        a->room += windows_of(ds->episodes[i].length, r->stride);
    size_t bytes = (size_t)r->measures.count * (size_t)r->S * (size_t)a->room * sizeof(float);
    a->error = mem_try(bytes);
    a->stay = mem_try(bytes);
    a->latencies = NEW(double, a->room);
    if (!a->error || !a->stay)
        return fail(err,
                    "no memory for the errors of %lld predictions (2 x %.1f GB); raise "
                    "--eval.stride or choose fewer --dataset.episodes",
                    (long long)a->room, (double)bytes / 1e9);
    for (size_t i = 0; i < bytes / sizeof(float); i++) a->error[i] = a->stay[i] = NAN;
    bool held = r->arms > 0 || (ds->state && ds->state->size == r->A);
    r->stays = held ? "observed state" : "action before";
    alloc_result(r, names);
    alloc_scratch(a);
    window_room(a, &a->window);
    curves_room(a, &a->curves);
    return true;
}

void accumulator_free(Accumulator *a) {
    mem_free(a->error);
    mem_free(a->stay);
    mem_free(a->latencies);
    *a = (Accumulator){0};
}

// ---- one prediction -----------------------------------------------------------------------------

static void load(const float *data, int64_t row, int A, double *out) {
    for (int i = 0; i < A; i++) out[i] = data[row * A + i];
}

// The action that the baseline repeats: what was observed, or, where a state is something else than
// an action, the action before (at an episode's first frame: its first).
static void hold(Accumulator *a, const Episode *e, int64_t row) {
    const EvalResult *r = a->result;
    bool observed = strcmp(r->stays, "observed state") == 0;
    int64_t before = row > e->first_row ? row - 1 : row;
    if (observed)
        load(r->dataset->state_data, row, r->A, a->held);
    else
        load(r->dataset->action_data, before, r->A, a->held);
    if (r->arms > 0) memcpy(a->base, a->held, (size_t)r->A * sizeof(double));
}

// Mean |difference| of two actions as the loss sees them.
static double normalized_l1(Accumulator *a, const double *action, const double *recorded) {
    const EvalResult *r = a->result;
    const int D = a->action_norm->dim;
    double sum = 0;
    if (r->arms > 0) {
        pose_row_to_policy(action, a->base, r->arms, a->row);
        pose_row_to_policy(recorded, a->base, r->arms, a->other_row);
        action = a->row;
        recorded = a->other_row;
    }
    // Where the policy's actions are differences to the state, the state cancels out here.
    normalizer_apply(a->action_norm, action, a->seen, 1);
    normalizer_apply(a->action_norm, recorded, a->wanted, 1);
    for (int i = 0; i < D; i++) sum += fabs((double)a->seen[i] - (double)a->wanted[i]);
    return sum / D;
}

static void take(Accumulator *a, const double *action, double *out) {
    const Measures *m = &a->result->measures;
    measures_take(m, action, a->recorded, out);
    out[m->count - 1] = normalized_l1(a, action, a->recorded);
}

static void add_dimensions(Accumulator *a, const double *predicted) {
    EvalResult *r = a->result;
    action_nearest(predicted, a->recorded, r->A, r->arms, a->nearest);
    for (int i = 0; i < r->A; i++) {
        double e = a->nearest[i] - a->recorded[i];
        r->dimensions[i].l1 += fabs(e);
        r->dimensions[i].mse += e * e;
    }
    action_nearest(a->held, a->recorded, r->A, r->arms, a->nearest);
    for (int i = 0; i < r->A; i++) {
        double e = a->nearest[i] - a->recorded[i];
        r->dimensions[i].stay_l1 += fabs(e);
        r->dimensions[i].stay_mse += e * e;
    }
}

static void add_step(Accumulator *a, int step, const double *predicted) {
    EvalResult *r = a->result;
    take(a, predicted, a->one);
    take(a, a->held, a->other);
    for (int m = 0; m < r->measures.count; m++) {
        int64_t at = ((int64_t)m * r->S + step) * a->room + r->windows;
        a->error[at] = (float)a->one[m];
        a->stay[at] = (float)a->other[m];
        a->window.error[m] += a->one[m];
        a->window.stay[m] += a->other[m];
    }
    add_dimensions(a, predicted);
}

// ---- what is kept whole -------------------------------------------------------------------------

static void remove_worst(EvalResult *r, int at) {
    EvalWindow gone = r->worst[at];
    for (int i = at; i + 1 < r->n_worst; i++) r->worst[i] = r->worst[i + 1];
    r->worst[--r->n_worst] = gone; // its memory
}

// Of windows within a second of each other only the worst is kept: they show the same.
static void keep_worst(Accumulator *a) {
    EvalResult *r = a->result;
    const int by = r->measures.headline;
    EvalWindow *w = &a->window;
    int64_t near = (int64_t)(r->dataset->fps + 0.5);
    for (int i = r->n_worst - 1; i >= 0; i--) {
        const EvalWindow *other = &r->worst[i];
        if (other->episode != w->episode || llabs(other->frame - w->frame) >= near) continue;
        if (other->error[by] >= w->error[by]) return;
        remove_worst(r, i);
    }
    int at = r->n_worst;
    while (at > 0 && r->worst[at - 1].error[by] < w->error[by]) at--;
    if (at == EVAL_WORST) return;
    bool full = r->n_worst == EVAL_WORST;
    EvalWindow spare = r->worst[full ? EVAL_WORST - 1 : r->n_worst];
    for (int i = full ? EVAL_WORST - 1 : r->n_worst; i > at; i--) r->worst[i] = r->worst[i - 1];
    r->worst[at] = *w;
    r->n_worst += !full;
    *w = spare;
    if (!w->predicted) window_room(a, w);
}

static void keep_chunk(Accumulator *a, const EvalEpisode *e, int64_t frame,
                       const double *predicted) {
    EvalResult *r = a->result;
    EvalCurves *c = &a->curves;
    int64_t every = windows_of(e->windows, EVAL_CURVE_WINDOWS);
    if (frame / r->stride % every != 0) return;
    size_t n = (size_t)(r->S * r->A);
    for (size_t i = 0; i < n; i++) c->chunks[(size_t)c->count * n + i] = (float)predicted[i];
    c->frames[c->count++] = frame;
}

void accumulator_add(Accumulator *a, int64_t episode, int64_t frame, const double *predicted,
                     double milliseconds) {
    EvalResult *r = a->result;
    const Episode *e = &r->dataset->episodes[episode];
    const int M = r->measures.count;
    EvalWindow *w = &a->window;
    int64_t row = e->first_row + frame, left = e->length - frame;
    w->episode = episode;
    w->row = row;
    w->frame = frame;
    w->valid = (int)(left < r->S ? left : r->S);
    memset(w->error, 0, (size_t)M * sizeof(double));
    memset(w->stay, 0, (size_t)M * sizeof(double));
    hold(a, e, row);
    for (int s = 0; s < w->valid; s++) {
        load(r->dataset->action_data, row + s, r->A, a->recorded);
        add_step(a, s, predicted + (int64_t)s * r->A);
    }
    for (int m = 0; m < M; m++) {
        a->sum[m] += w->error[m];
        a->stay_sum[m] += w->stay[m];
        w->error[m] /= w->valid;
        w->stay[m] /= w->valid;
    }
    a->episode_steps += w->valid;
    for (int i = 0; i < r->S * r->A; i++) w->predicted[i] = (float)predicted[i];
    a->latencies[r->windows++] = milliseconds;
    keep_chunk(a, &r->episodes[episode], frame, predicted);
    keep_worst(a);
}

void accumulator_end_episode(Accumulator *a, int64_t episode) {
    EvalResult *r = a->result;
    EvalEpisode *e = &r->episodes[episode];
    const int by = r->measures.headline;
    for (int m = 0; m < r->measures.count; m++) {
        e->error[m] = a->sum[m] / (double)a->episode_steps;
        e->stay[m] = a->stay_sum[m] / (double)a->episode_steps;
        a->sum[m] = a->stay_sum[m] = 0;
    }
    a->steps += a->episode_steps;
    a->episode_steps = 0;
    a->curves.episode = episode;
    int at = r->n_curves;
    while (at > 0 && r->episodes[r->curves[at - 1].episode].error[by] < e->error[by]) at--;
    if (at < EVAL_CURVES) {
        bool full = r->n_curves == EVAL_CURVES;
        int last = full ? EVAL_CURVES - 1 : r->n_curves;
        EvalCurves spare = r->curves[last];
        for (int i = last; i > at; i--) r->curves[i] = r->curves[i - 1];
        r->curves[at] = a->curves;
        r->n_curves += !full;
        a->curves = spare;
        if (!a->curves.frames) curves_room(a, &a->curves);
    }
    a->curves.count = 0;
}

// ---- statistics ---------------------------------------------------------------------------------

static void summarize_floats(const float *values, int64_t n, double *scratch, Summary *out) {
    for (int64_t i = 0; i < n; i++) scratch[i] = values[i];
    *out = summarize(scratch, n);
}

void accumulator_finish(Accumulator *a) {
    EvalResult *r = a->result;
    const int64_t W = a->room, S = r->S;
    double *scratch = NEW(double, S *W);
    for (int64_t m = 0; m < r->measures.count; m++) {
        const float *error = a->error + m * S * W, *stay = a->stay + m * S * W;
        for (int64_t s = 0; s < S; s++) {
            summarize_floats(error + s * W, W, scratch, &r->error[m * S + s]);
            summarize_floats(stay + s * W, W, scratch, &r->stay[m * S + s]);
        }
        summarize_floats(error, S * W, scratch, &r->error_all[m]);
        summarize_floats(stay, S * W, scratch, &r->stay_all[m]);
    }
    mem_free(scratch);
    for (int i = 0; i < r->A; i++) {
        EvalDimension *d = &r->dimensions[i];
        double *sums[] = {&d->l1, &d->mse, &d->stay_l1, &d->stay_mse};
        for (size_t k = 0; k < 4; k++) *sums[k] /= (double)a->steps;
    }
    r->first_latency = a->latencies[0];
    int64_t n = r->windows - 1;
    r->latencies = arena_doubles(&r->arena, n + 1);
    memcpy(r->latencies, a->latencies + 1, (size_t)n * sizeof(double));
    r->latency = summarize(r->latencies, n);
}
