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

// The mean l1 loss of the held-out rows. A stop signal ends it early, with a loss of NaN.
CHECKED static bool held_out_loss(Run *r, double *loss, Error *err) {
    const int64_t B = r->config->batch_size, S = r->config->policy.chunk_size;
    Loader *loader = NULL;
    int64_t wanted, padded;
    int64_t *rows = rows_to_evaluate(r, &wanted, &padded);
    uint8_t *pad = NEW(uint8_t, B * S);
    double sum = 0, valid = 0;
    LoaderOptions options = run_batches_in_order(&r->batches, rows, padded);
    bool ok = loader_open(&options, &loader, err);
    for (int64_t at = 0; ok && at < padded && !hooks_stopping(r->hooks); at += B) {
        const Batch *batch;
        ActLosses l;
        ok = loader_next(loader, &batch, err);
        if (!ok) break;
        // Samples beyond the last count as padding, and so do not count.
        memcpy(pad, batch->action_is_pad, (size_t)(B * S));
        for (int64_t i = wanted - at; i < B; i++) memset(pad + i * S, 1, (size_t)S);
        ActInput in = run_batches_input(batch);
        in.action_is_pad = pad;
        ok = act_predict(r->model.act, &in, NULL, &l, err);
        double entries = 0;
        for (int64_t i = 0; i < B * S; i++) entries += !pad[i];
        sum += ok ? l.l1 * entries : 0;
        valid += entries;
    }
    *loss = hooks_stopping(r->hooks) ? (double)NAN : valid > 0 ? sum / valid : 0;
    loader_close(loader);
    mem_free(rows);
    mem_free(pad);
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
    double loss;
    TrainRollouts rollouts;
    double seconds; // that the rollouts took
} WeightsFound;

CHECKED static bool evaluate_losses(Run *r, WeightsFound found[2], bool average, Error *err) {
    if (!held_out_loss(r, &found[0].loss, err)) return false;
    if (!average) return true;
    ema_swap_in(&r->model.ema, r->model.act);
    bool ok = held_out_loss(r, &found[1].loss, err);
    ema_swap_out(&r->model.ema, r->model.act);
    return ok;
}

CHECKED static bool evaluate_rollouts(Run *r, int64_t step, const Params *params,
                                      const char *suffix, WeightsFound *f, Error *err) {
    double start = clock_seconds();
    if (hooks_stopping(r->hooks)) return true;
    bool ok = run_rollouts(r, step, params, suffix, &f->rollouts, err);
    f->seconds = clock_seconds() - start;
    return ok;
}

static void report_loss(Run *r, int64_t step, bool average, double loss) {
    const char *name = average ? "ema_eval_loss" : "eval_loss";
    Error err;
    if (!isfinite(loss)) {
        log_warn("step %lld: %s, the loss on the held-out episodes, is not finite", (long long)step,
                 name);
        return;
    }
    log_info("step %lld: %s=%.4f", (long long)step, name, loss);
    if (!metrics_write_eval(&r->output.metrics, step, name, loss, &err)) log_warn("%s", err.text);
}

static void report_rollouts(Run *r, int64_t step, bool average, const WeightsFound *f) {
    const TrainRollouts *t = &f->rollouts;
    Error err;
    log_info(
        "step %lld: %spc_success=%.1f (%lld of %lld, 95 %% interval %.0f to %.0f %%) eval_s=%.1f",
        (long long)step, average ? "ema_" : "", 100.0 * (double)t->succeeded / (double)t->episodes,
        (long long)t->succeeded, (long long)t->episodes, 100 * t->low, 100 * t->high, f->seconds);
    if (!metrics_write_rollouts(&r->output.metrics, step, average, t, &err))
        log_warn("%s", err.text);
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
    if (hooks_stopping(r->hooks)) return true;
    r->eval_due = false;
    hooks_clear_progress(r->hooks);
    for (int i = 0; i <= average; i++) {
        if (what.held_out) report_loss(r, step, i, found[i].loss);
        if (what.rollouts) report_rollouts(r, step, i, &found[i]);
    }
    return true;
}
