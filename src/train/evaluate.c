// SPDX-License-Identifier: Apache-2.0
// Nothing here changes what the next step does.
#include "train/evaluate.h"

#include "base/log.h"
#include <math.h>
#include <string.h>

// The rows to evaluate, filled up to whole batches with copies of the last one. The caller frees.
static int64_t *rows_to_evaluate(const Run *r, int64_t *wanted, int64_t *padded) {
    int64_t most = r->config->max_eval_samples, B = r->config->batch_size;
    int64_t n = most > 0 && most < r->data.n_eval ? most : r->data.n_eval;
    int64_t *rows = NEW(int64_t, n + B);
    for (int64_t i = 0; i < n; i++) rows[i] = r->data.eval_rows[i * r->data.n_eval / n];
    for (int64_t i = n; i < n + B; i++) rows[i] = rows[n - 1];
    *wanted = n;
    *padded = (n + B - 1) / B * B;
    return rows;
}

// Means over the actions of the chunk and over those of the past, so that policies with and without
// past actions can be compared by the first.
enum { CHUNK, PAST, MEANS };

// What a batch of held-out rows adds to the means.
typedef struct BatchLoss {
    double sum[MEANS], entries[MEANS];
} BatchLoss;

// Marks as padding what counts for nothing: padded actions, samples from number `samples` on, and
// the actions that the mean leaves out. Returns how many are left.
static int64_t mark_padding(const PolicyConfig *p, const Batch *batch, int64_t samples, int mean,
                            uint8_t *pad) {
    const int64_t S = p->chunk_size, Q = policy_action_rows(p);
    int64_t left = 0;
    for (int64_t i = 0; i < batch->size * Q; i++) {
        bool past = i % Q >= S;
        pad[i] = batch->action_is_pad[i] || i / Q >= samples || past != (mean == PAST);
        left += !pad[i];
    }
    return left;
}

// The losses of a batch, of which `samples` count. pad: scratch (B, Q).
CHECKED static bool batch_loss(Run *r, const Batch *batch, int64_t samples, uint8_t *pad,
                               BatchLoss *loss, Error *err) {
    const PolicyConfig *p = &r->config->policy;
    ActInput in = run_batches_input(batch);
    ActLosses l;
    in.action_is_pad = pad;
    // The batch is no piece of a step: its own pad counts.
    in.step_samples = in.first_sample = 0;
    in.step_actions = 0;
    loss->entries[CHUNK] = (double)mark_padding(p, batch, samples, CHUNK, pad);
    if (!act_predict(r->model.act, &in, NULL, &l, err)) return false;
    loss->sum[CHUNK] = l.l1 * loss->entries[CHUNK];
    if (p->n_past_actions == 0) return true;
    loss->entries[PAST] = (double)mark_padding(p, batch, samples, PAST, pad);
    if (!act_predict_losses(r->model.act, &in, &l, err)) return false;
    loss->sum[PAST] = l.l1 * loss->entries[PAST];
    return true;
}

// The l1 losses of batches [first, end) of `rows`, of which `wanted` count. A stop signal ends it
// early.
CHECKED static bool batch_losses(Run *r, const int64_t *rows, int64_t wanted, int64_t first,
                                 int64_t end, BatchLoss *losses, Error *err) {
    const int64_t B = r->config->batch_size;
    Loader *loader = NULL;
    if (first == end) return true;
    uint8_t *pad = NEW(uint8_t, B * policy_action_rows(&r->config->policy));
    LoaderOptions options = run_batches_in_order(&r->batches, rows + first * B, (end - first) * B);
    bool ok = loader_open(&options, &loader, err);
    for (int64_t b = first; ok && b < end && !hooks_stopping(r->hooks); b++) {
        const Batch *batch;
        ok = loader_next(loader, &batch, err) &&
             batch_loss(r, batch, wanted - b * B, pad, &losses[b - first], err) &&
             !ranks_lost(r->ranks, err);
    }
    loader_close(loader);
    mem_free(pad);
    return ok;
}

// The first of the n batches that are a process's.
static int64_t first_batch_of(const Run *r, int rank, int64_t n) {
    return n * rank / ranks_count(r->ranks);
}

// The mean l1 losses of the held-out rows, which the processes share out. They are added up in the
// order of the batches, so that they are the same whatever their number. After a stop signal: NaN.
CHECKED static bool held_out_loss(Run *r, double loss[MEANS], Error *err) {
    const int own = ranks_rank(r->ranks), count = ranks_count(r->ranks);
    int64_t wanted, padded;
    int64_t *rows = rows_to_evaluate(r, &wanted, &padded);
    const int64_t n = padded / r->config->batch_size, most = n / count + 1; // of one process
    BatchLoss *mine = NEW(BatchLoss, most), *all = NEW(BatchLoss, most * count), total = {0};
    bool ok = batch_losses(r, rows, wanted, first_batch_of(r, own, n),
                           first_batch_of(r, own + 1, n), mine, err) &&
              ranks_gather(r->ranks, mine, (size_t)most * sizeof *mine, all, err) &&
              run_agree_to_stop(r, err);
    for (int rank = 0; ok && rank < count; rank++)
        for (int64_t i = 0; i < first_batch_of(r, rank + 1, n) - first_batch_of(r, rank, n); i++)
            for (int k = 0; k < MEANS; k++) {
                total.sum[k] += all[rank * most + i].sum[k];
                total.entries[k] += all[rank * most + i].entries[k];
            }
    for (int k = 0; k < MEANS; k++)
        loss[k] = r->stopping            ? (double)NAN
                  : total.entries[k] > 0 ? total.sum[k] / total.entries[k]
                                         : 0;
    mem_free(rows);
    mem_free(mine);
    mem_free(all);
    return ok;
}

Evaluations run_evaluations_due(const Run *r, int64_t step, bool end) {
    const TrainConfig *c = r->config;
    int64_t held_out_every = c->eval_steps > 0 ? c->eval_steps : c->eval_freq;
    return (Evaluations){.held_out = r->data.n_eval && (end || run_due(step, held_out_every)),
                         .rollouts = c->env_type && (end || run_due(step, c->eval_freq))};
}

// What an evaluation finds of one set of weights.
typedef struct WeightsFound {
    double loss[MEANS];
    TrainRollouts rollouts;
    double seconds; // that the rollouts took
} WeightsFound;

CHECKED static bool evaluate_losses(Run *r, WeightsFound found[2], bool average, Error *err) {
    if (!held_out_loss(r, found[0].loss, err)) return false;
    if (!average) return true;
    ema_swap_in(&r->model.ema, r->model.act);
    bool ok = held_out_loss(r, found[1].loss, err);
    ema_swap_out(&r->model.ema, r->model.act);
    return ok;
}

CHECKED static bool evaluate_rollouts(Run *r, int64_t step, const Params *params,
                                      const char *suffix, WeightsFound *f, Error *err) {
    double start = clock_seconds();
    if (!run_agree_to_stop(r, err)) return false;
    if (r->stopping) return true;
    bool ok = run_rollouts(r, step, params, suffix, &f->rollouts, err);
    f->seconds = clock_seconds() - start;
    return ok;
}

static void report_loss(Run *r, int64_t step, bool average, int mean, double loss) {
    static const char *const names[] = {"ema_eval_loss", "ema_eval_past_loss"};
    const char *name = names[mean] + (average ? 0 : strlen("ema_"));
    Error err;
    if (!isfinite(loss)) {
        log_warn("step %lld: %s, the loss on the held-out episodes, is not finite", (long long)step,
                 name);
        return;
    }
    log_info("step %lld: %s=%.4f", (long long)step, name, loss);
    Metrics *m = &r->output.metrics;
    metrics_tell(m, metrics_write_eval(m, step, name, loss, &err), &err);
}

static void report_rollouts(Run *r, int64_t step, bool average, const WeightsFound *f) {
    const TrainRollouts *t = &f->rollouts;
    Error err;
    log_info(
        "step %lld: %spc_success=%.1f (%lld of %lld, 95 %% interval %.0f to %.0f %%) eval_s=%.1f",
        (long long)step, average ? "ema_" : "", 100.0 * (double)t->succeeded / (double)t->episodes,
        (long long)t->succeeded, (long long)t->episodes, 100 * t->low, 100 * t->high, f->seconds);
    Metrics *m = &r->output.metrics;
    metrics_tell(m, metrics_write_rollouts(m, step, average, t, &err), &err);
    char videos[4096 + 96];
    rollouts_video_dir(r->config, step, average ? "_ema" : "", videos, sizeof videos);
    if (r->config->eval_max_videos > 0 &&
        !run_curves_videos(&r->output.curves, step, average ? "ema_" : "", videos, &err))
        log_warn("%s", err.text);
}

bool run_evaluate(Run *r, int64_t step, Evaluations what, Error *err) {
    bool average = r->model.ema.params && r->config->ema.use_for_eval;
    WeightsFound found[2] = {0};
    r->eval_due = true;
    if (what.held_out && !evaluate_losses(r, found, average, err)) return false;
    if (what.rollouts) {
        Params averaged = average ? ema_params(&r->model.ema) : (Params){0};
        if (!evaluate_rollouts(r, step, &r->model.params, "", &found[0], err) ||
            (average && !evaluate_rollouts(r, step, &averaged, "_ema", &found[1], err)))
            return false;
    }
    if (!run_agree_to_stop(r, err)) return false;
    if (r->stopping) return true;
    r->eval_due = false;
    if (ranks_rank(r->ranks)) return true; // process 0 tells
    hooks_clear_progress(r->hooks);
    for (int i = 0; i <= average; i++) {
        for (int k = 0; what.held_out && k <= (r->config->policy.n_past_actions > 0); k++)
            report_loss(r, step, i, k, found[i].loss[k]);
        if (what.rollouts) report_rollouts(r, step, i, &found[i]);
    }
    return true;
}
