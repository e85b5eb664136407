// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include "base/log.h"
#include "train/checkpoint.h"
#include <stdio.h>

static TrainingState state_after(const Run *r, int64_t step) {
    const TrainConfig *c = r->config;
    int64_t first = r->first_step - 1; // steps that were taken before this process
    int64_t untaken =
        r->model.step.started - (step - first); // begun, and halted by what was not finite
    return (TrainingState){.step = step,
                           .next_step = r->resumed.next_step + step - first,
                           .step_samples = train_step_samples(c),
                           .frames = r->data.n_train,
                           .seed = c->seed,
                           .threads = r->device->threads,
                           .ema_updates = r->model.ema.params ? r->model.ema.updates - untaken : -1,
                           .eval_due = r->eval_due,
                           .sums = r->output.metrics.sums};
}

bool run_save(Run *r, int64_t step, Error *err) {
    if (ranks_rank(r->ranks)) { // process 0 writes
        r->output.saved_step = step;
        return true;
    }
    if (!run_output_owned(&r->output, r->config->output_dir, err)) return false;
    TrainingState state = state_after(r, step);
    Params average = r->model.ema.params ? ema_params(&r->model.ema) : (Params){0};
    const CheckpointParts parts = {.config = r->config,
                                   .params = &r->model.params,
                                   .average = r->model.ema.params ? &average : NULL,
                                   .stats = &r->statistics.policy,
                                   .optimizer = &r->model.optimizer,
                                   .state = &state};
    char checkpoints[4096 + 64];
    Error why;
    if (!metrics_sync(&r->output.metrics, &why)) log_warn("%s", why.text);
    if (!checkpoint_write(&parts, r->output.checkpoint, sizeof r->output.checkpoint, err))
        return false;
    log_info("Checkpoint policy after step %lld: %s", (long long)step, r->output.checkpoint);
    r->output.saved_step = step;
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", r->config->output_dir);
    if (!checkpoints_prune(checkpoints, step, r->config->keep_last, &why)) log_warn("%s", why.text);
    return true;
}

bool run_saved_is_evaluated(Run *r, Error *err) {
    char dir[4096 + 64];
    snprintf(dir, sizeof dir, "%s/training_state", r->output.checkpoint);
    return metrics_sync(&r->output.metrics, err) && training_state_evaluated(dir, err);
}
