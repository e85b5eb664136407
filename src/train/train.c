// SPDX-License-Identifier: Apache-2.0
// The training loop.
#include "train/train.h"

#include "base/file.h"
#include "base/log.h"
#include "train/evaluate.h"
#include <math.h>
#include <string.h>

// Names the batch, of all processes, that brought NaN or infinity.
static bool fail_not_finite(const Run *r, int64_t step, const char *what, Error *err) {
    char frames[512] = "";
    size_t used = 0;
    int64_t i = 0, n, number = r->resumed.next_step + step - r->first_step;
    Sampler sampler;
    const int64_t *rows = run_batches_step_rows(&r->batches, number, &sampler, &n);
    for (; i < n && used + 32 < sizeof frames; i++)
        used += (size_t)snprintf(frames + used, sizeof frames - used, "%s%lld", i ? "," : "",
                                 (long long)dataset_index_of(r->data.dataset, rows[i]));
    sampler_free(&sampler);
    return fail(err,
                "step %lld: the %s is not finite; frames of its batch: [%s%s]; look at them with "
                "`tact info`, or lower the learning rate",
                (long long)step, what, frames, i < n ? ",..." : "");
}

// Takes the figures of the oldest step under way. If its loss or gradient is not finite that is an
// error, and the weights are those of the step before.
CHECKED static bool finish_step(Run *r, Error *err) {
    StepResult got;
    int64_t step = r->first_step + r->model.step.finished;
    r->sound = step_finish(&r->model.step, &got, err);
    if (!r->sound) return false;
    r->halted = !isfinite(got.losses.total) || !isfinite(got.grad_norm);
    if (!isfinite(got.losses.total)) return fail_not_finite(r, step, "loss", err);
    if (r->halted) return fail_not_finite(r, step, "gradient norm", err);
    double now = clock_seconds();
    metrics_add(&r->output.metrics, got.losses, got.grad_norm,
                r->config->policy.optimizer_lr * run_lr_factor(r, step), r->data_s,
                now - r->mark - r->data_s);
    r->mark = now;
    r->data_s = 0;
    r->taken = step;
    return true;
}

// Issues the pieces of a step.
CHECKED static bool start_step(Run *r, int64_t step, Error *err) {
    Error why;
    for (int piece = 0; piece < r->config->gradient_accumulation_steps; piece++) {
        const Batch *batch;
        double start = clock_seconds();
        if (piece) step_inputs_free(&r->model.step); // the loader takes the batch before back
        if (!loader_next(r->batches.loader, &batch, err)) return false;
        r->data_s += clock_seconds() - start;
        ActInput in = run_batches_input(batch);
        if (!step_piece(&r->model.step, &in, (uint64_t)r->config->seed, &why))
            return fail(err, "step %lld: %.900s", (long long)step, why.text);
    }
    return true;
}

// Starts a step and finishes those before it. With `wait`, and on every device that does not work
// beside the host, the step itself is finished too.
CHECKED static bool train_step(Run *r, int64_t step, bool wait, Error *err) {
    double factor = run_lr_factor(r, step);
    r->model.optimizer.lr = r->config->policy.optimizer_lr * factor;
    r->model.optimizer.lr_backbone = r->config->policy.optimizer_lr_backbone * factor;
    if (!start_step(r, step, err)) return false;
    ema_update(&r->model.ema, r->model.optimizer.halt);
    int64_t left = wait || !r->device->backend->asynchronous ? 0 : 1;
    while (r->model.step.started - r->model.step.finished > left)
        if (!finish_step(r, err)) return false;
    step_inputs_free(&r->model.step);
    return true;
}

// Logs the figures since the last line. show_only: a stop shows them and keeps them, so that
// metrics.jsonl becomes what it would be without the stop.
static void log_step(Run *r, int64_t step, bool show_only, TrainResult *result) {
    char line[512];
    Error err;
    double loss = metrics_mean_loss(&r->output.metrics);
    if (!r->output.metrics.sums.count) return;
    if (ranks_rank(r->ranks)) { // process 0 tells
        if (!show_only) metrics_reset(&r->output.metrics);
        return;
    }
    metrics_line(&r->output.metrics, step, line, sizeof line);
    hooks_clear_progress(r->hooks);
    log_info("%s", line);
    if (result->first_loss == 0) result->first_loss = loss;
    result->last_loss = loss;
    if (show_only) return;
    metrics_tell(&r->output.metrics, metrics_write(&r->output.metrics, step, &err), &err);
    metrics_reset(&r->output.metrics);
}

// A failed save is logged and the run goes on, with the checkpoint before intact; only the last
// save must succeed.
CHECKED static bool save_step(Run *r, int64_t step, bool last, Error *err) {
    Error why;
    hooks_clear_progress(r->hooks);
    if (!run_ranks_same_weights(r, err)) return false;
    if (run_save(r, step, &why)) return true;
    if (last) return fail(err, "%.900s; no checkpoint of step %lld", why.text, (long long)step);
    log_warn("%s; the run goes on, last good checkpoint: %s", why.text,
             r->output.checkpoint[0] ? r->output.checkpoint : "none");
    return true;
}

static void show_progress(const Run *r, int64_t step, double seconds) {
    if (!r->hooks->progress) return;
    TrainProgress p = {.step = step,
                       .steps = r->config->steps,
                       .loss = metrics_mean_loss(&r->output.metrics),
                       .seconds_per_step = seconds};
    r->hooks->progress(r->hooks->user, &p);
}

// A process that is alone sees at once that it is to stop; several agree on it once a step.
static void look_for_stop(Run *r) {
    if (!r->ranks) r->stopping = hooks_stopping(r->hooks);
}

// What there is to do between a step and the next one.
typedef struct Duties {
    bool end, stopping, log, evaluate, save;
    Evaluations evaluations;
} Duties;

static Duties duties_after(const Run *r, int64_t step) {
    const TrainConfig *c = r->config;
    Duties d = {.end = step == c->steps, .stopping = r->stopping};
    bool last = d.end || d.stopping;
    d.log = run_due(step, c->log_freq) || d.end;
    d.evaluations = run_evaluations_due(r, step, d.end);
    d.evaluate = d.evaluations.held_out || d.evaluations.rollouts;
    d.save = c->save_checkpoint && (run_due(step, c->save_freq) || last);
    return d;
}

// Evaluates, and says in the step's checkpoint, if there is one, that it was done.
CHECKED static bool evaluate_step(Run *r, int64_t step, Evaluations which, Error *err) {
    Error why;
    if (!run_evaluate(r, step, which, err)) return false;
    const bool told = r->eval_due || r->output.saved_step != step || ranks_rank(r->ranks) ||
                      run_saved_is_evaluated(r, &why);
    if (!told) log_warn("%s; a run that goes on from there evaluates again", why.text);
    return true;
}

CHECKED static bool do_duties(Run *r, int64_t step, Duties d, TrainResult *result, Error *err) {
    if (d.log || d.stopping) log_step(r, step, !d.log, result);
    r->eval_due = d.evaluate;
    // Before it is evaluated: what an evaluation can end (a simulator, a full disk) is not lost.
    if (d.save && !save_step(r, step, d.end || d.stopping, err)) return false;
    if (d.evaluate && !d.stopping && !evaluate_step(r, step, d.evaluations, err)) return false;
    look_for_stop(r);
    if (r->stopping && !d.stopping) { // asked for meanwhile
        d.stopping = true;
        if (r->config->save_checkpoint && !save_step(r, step, true, err)) return false;
    }
    result->stopped = d.stopping && (!d.end || r->eval_due);
    r->mark = clock_seconds();
    return true;
}

// The evaluations that were due at the step of the checkpoint. That may have been the last step of
// a run with fewer --steps, at which all are due.
static Evaluations evaluations_missed(const Run *r) {
    Evaluations e = run_evaluations_due(r, r->taken, r->taken == r->config->steps);
    return e.held_out || e.rollouts ? e : run_evaluations_due(r, r->taken, true);
}

CHECKED static bool train_loop(Run *r, TrainResult *result, Error *err) {
    const TrainConfig *c = r->config;
    double seconds = 0;
    if (r->eval_due) { // what a stop cut short, before anything else
        if (!evaluate_step(r, r->taken, evaluations_missed(r), err)) return false;
        result->stopped = r->eval_due;
    }
    r->mark = clock_seconds();
    for (int64_t step = r->first_step; step <= c->steps && !result->stopped; step++) {
        double start = clock_seconds();
        Error why;
        if (!run_agree_to_stop(r, &why))
            return fail(err, "step %lld: %.900s", (long long)step, why.text);
        Duties duties = duties_after(r, step);
        bool first = step == r->first_step;
        bool ok = train_step(r, step, first || duties.log || duties.evaluate || duties.save, err);
        if (!ok) return false;
        double took = clock_seconds() - start;
        seconds = first ? took : 0.9 * seconds + 0.1 * took;
        if (first)
            log_info("first step took %.2f s; activations take %.0f MB", took,
                     (double)act_activation_bytes(r->model.act) / 1e6);
        show_progress(r, step, seconds);
        look_for_stop(r);
        if (r->stopping && !duties.stopping) { // since the step was started
            duties = duties_after(r, step);
            while (r->model.step.finished < r->model.step.started)
                if (!finish_step(r, err)) return false;
        }
        if (!do_duties(r, step, duties, result, err)) return false;
    }
    return true;
}

// Steps that were under way when the data failed are still good. Behind a step that was not finite
// they were halted as well, however finite they are themselves.
static void finish_steps_under_way(Run *r) {
    Error ignored;
    while (r->sound && !r->halted && r->model.step.finished < r->model.step.started &&
           finish_step(r, &ignored)) {
    }
}

// A run that ends in an error keeps what it has learnt, unless the error came from the device.
static void keep_weights(Run *r, int64_t step, Error *err) {
    Error ignored, first = *err;
    bool kept = r->sound && step > 0 && r->config->save_checkpoint &&
                r->output.saved_step != step && run_save(r, step, &ignored);
    const char *what = kept ? "the weights so far are in" : "last good checkpoint:";
    if (step > 0)
        snprintf(err->text, sizeof err->text, "%.500s; %s %.450s", first.text, what,
                 r->output.checkpoint[0] ? r->output.checkpoint : "none");
}

// A run that never took a step leaves nothing behind, so that the same command can be given again.
static void remove_output(Run *r) {
    Error why;
    bool owned = run_output_owned(&r->output, r->config->output_dir, &why);
    run_output_close(&r->output);
    if (!owned || !remove_tree(r->config->output_dir, &why)) log_warn("%s", why.text);
}

// Logs where the run stopped and the command that goes on from there.
static void log_stopped(const Run *r) {
    if (ranks_rank(r->ranks)) return;
    log_info("Stopped after step %lld of %lld", (long long)r->taken, (long long)r->config->steps);
    if (r->output.saved_step == r->taken)
        log_info("To go on: tact train --config_path=%s/pretrained_model/train_config.json "
                 "--resume=true",
                 r->output.checkpoint);
    else
        log_info("Nothing was saved (--save_checkpoint=false); last checkpoint: %s",
                 r->output.checkpoint[0] ? r->output.checkpoint : "none");
}

bool train_run(TrainConfig *config, const TrainHooks *hooks, TrainResult *result, Error *err) {
    Run *r = NEW(Run, 1);
    *result = (TrainResult){0};
    bool ok = run_open(r, config, hooks, err);
    if (ok && r->resumed.step)
        log_info("Resume offline training on a fixed dataset after step %lld, from %s",
                 (long long)r->resumed.step, r->output.checkpoint);
    else if (ok)
        log_info("Start offline training on a fixed dataset");
    bool opened = ok;
    ok = ok && train_loop(r, result, err) && ranks_leave(r->ranks, err);
    if (!ok) ranks_fail(r->ranks, err->text);
    if (!ok && opened) {
        finish_steps_under_way(r);
        if (!ranks_rank(r->ranks)) keep_weights(r, r->taken, err);
    }
    result->step = r->taken;
    hooks_clear_progress(r->hooks);
    snprintf(result->checkpoint, sizeof result->checkpoint, "%s", r->output.checkpoint);
    if (ok && result->stopped)
        log_stopped(r);
    else if (ok)
        log_info("End of training");
    if (r->output.made && result->step == 0) remove_output(r);
    run_close(r);
    mem_free(r);
    return ok;
}
