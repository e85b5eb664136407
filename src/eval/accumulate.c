// SPDX-License-Identifier: Apache-2.0
#include "eval/accumulate.h"

#include "pose/pose.h"
#include <math.h>
#include <string.h>

static void alloc_scratch(Accumulator *a) {
    EvalResult *r = a->result;
    int M = r->measures.count, D = a->action_norm->dim;
    double **of_action[] = {&a->recorded, &a->held, &a->nearest, &a->base};
    double **of_measures[] = {&a->one, &a->other, &a->sum, &a->stay_sum};
    for (size_t i = 0; i < 4; i++) {
        *of_action[i] = eval_doubles(&r->arena, r->A);
        *of_measures[i] = eval_doubles(&r->arena, M);
    }
    a->row = eval_doubles(&r->arena, D);
    a->other_row = eval_doubles(&r->arena, D);
    a->seen = arena_alloc(&r->arena, sizeof(float) * (size_t)D);
    a->wanted = arena_alloc(&r->arena, sizeof(float) * (size_t)D);
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
                                       eval_windows_of(e->length, r->stride),
                                       eval_seen(&r->training, e->index),
                                       eval_doubles(&r->arena, r->measures.count),
                                       eval_doubles(&r->arena, r->measures.count)};
    }
}

bool accumulator_init(Accumulator *a, EvalResult *r, const char *const *names,
                      const Normalizer *action_norm, Error *err) {
    const Dataset *ds = r->dataset;
    *a = (Accumulator){.result = r, .action_norm = action_norm};
    for (int64_t i = 0; i < ds->n_episodes; i++)
        a->room += eval_windows_of(ds->episodes[i].length, r->stride);
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
    kept_init(a);
    return true;
}

void accumulator_free(Accumulator *a) {
    mem_free(a->error);
    mem_free(a->stay);
    mem_free(a->latencies);
    *a = (Accumulator){0};
}

// ---- one prediction -----------------------------------------------------------------------------

static void copy_action(const float *data, int64_t row, int A, double *out) {
    for (int i = 0; i < A; i++) out[i] = data[row * A + i];
}

// Sets the action that the baseline repeats: the observed state, or, where a state is something
// else than an action, the action before (at an episode's first frame: its first).
static void set_held_action(Accumulator *a, const Episode *e, int64_t row) {
    const EvalResult *r = a->result;
    bool observed = strcmp(r->stays, "observed state") == 0;
    int64_t before = row > e->first_row ? row - 1 : row;
    if (observed)
        copy_action(r->dataset->state_data, row, r->A, a->held);
    else
        copy_action(r->dataset->action_data, before, r->A, a->held);
    if (r->arms > 0) memcpy(a->base, a->held, (size_t)r->A * sizeof(double));
}

// The mean |difference| of two actions, normalised as the loss sees them.
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

static void measure_action(Accumulator *a, const double *action, double *out) {
    const Measures *m = &a->result->measures;
    measures_compute(m, action, a->recorded, out);
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
    measure_action(a, predicted, a->one);
    measure_action(a, a->held, a->other);
    for (int m = 0; m < r->measures.count; m++) {
        int64_t at = ((int64_t)m * r->S + step) * a->room + r->windows;
        a->error[at] = (float)a->one[m];
        a->stay[at] = (float)a->other[m];
        a->window.error[m] += a->one[m];
        a->window.stay[m] += a->other[m];
    }
    add_dimensions(a, predicted);
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
    left = (left - 1) / r->K + 1; // actions
    w->valid = (int)(left < r->S ? left : r->S);
    memset(w->error, 0, (size_t)M * sizeof(double));
    memset(w->stay, 0, (size_t)M * sizeof(double));
    set_held_action(a, e, row);
    for (int s = 0; s < w->valid; s++) {
        copy_action(r->dataset->action_data, row + (int64_t)s * r->K, r->A, a->recorded);
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
    kept_add_chunk(a, &r->episodes[episode], frame, predicted);
    kept_add_window(a);
}

void accumulator_end_episode(Accumulator *a, int64_t episode) {
    EvalResult *r = a->result;
    EvalEpisode *e = &r->episodes[episode];
    for (int m = 0; m < r->measures.count; m++) {
        e->error[m] = a->sum[m] / (double)a->episode_steps;
        e->stay[m] = a->stay_sum[m] / (double)a->episode_steps;
        a->sum[m] = a->stay_sum[m] = 0;
    }
    a->steps += a->episode_steps;
    a->episode_steps = 0;
    kept_end_episode(a, episode);
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
    r->latencies = eval_doubles(&r->arena, n + 1);
    memcpy(r->latencies, a->latencies + 1, (size_t)n * sizeof(double));
    r->latency = summarize(r->latencies, n);
}
