// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include "base/file.h"
#include "base/log.h"
#include "policy/policy_locate.h"
#include "policy/policy_weights.h"
#include <stdio.h>
#include <string.h>

// The moving average becomes the one that was saved, or, in a run that has one only from now on, a
// copy of the weights.
CHECKED static bool restore_average(Run *r, const char *checkpoint, Error *err) {
    char dir[POLICY_PATH + 64];
    if (!r->model.ema.params) return true;
    if (r->resumed.ema_updates < 0) {
        log_info("The moving average starts here: the checkpoint has none");
        r->device->copy(r->device, r->model.ema.average, r->model.params.values);
        return true;
    }
    snprintf(dir, sizeof dir, "%s/pretrained_model_ema", checkpoint);
    Params average = ema_params(&r->model.ema);
    r->model.ema.updates = r->resumed.ema_updates;
    return policy_read_weights(dir, &average, (WeightsOptions){.new_times = r->config->new_times},
                               err);
}

static void warn_of_other_settings(const Run *r) {
    const TrainingState *s = &r->resumed;
    const TrainConfig *c = r->config;
    if (!s->ours) {
        log_warn("The checkpoint is not tact's: the order of the data is tact's own from here on");
        return;
    }
    if (s->threads != r->device->threads)
        log_warn("The run had %lld threads and has %d now: sums may differ in their last digits",
                 (long long)s->threads, r->device->threads);
    if (s->frames != r->data.n_train || s->seed != c->seed ||
        s->step_samples != train_step_samples(c))
        log_warn("Frames, seed or the samples of a step are not those of the checkpoint: the order "
                 "of the data "
                 "changes");
}

bool run_resume(Run *r, Error *err) {
    char checkpoint[POLICY_PATH], state[POLICY_PATH + 64];
    const TrainConfig *c = r->config;
    TrainingState *s = &r->resumed;
    path_parent(checkpoint, sizeof checkpoint, c->resume_from);
    snprintf(state, sizeof state, "%s/training_state", checkpoint);
    if (!training_state_read(state, s, err)) return false;
    r->eval_due = s->eval_due && (r->data.n_eval || c->env_type);
    if (s->step >= c->steps && !r->eval_due)
        return fail(err, "%s: all %lld steps are taken already; pass a larger --steps to go on",
                    checkpoint, (long long)s->step);
    if (!optimizer_state_read(state, s->step, c->new_times, &r->model.optimizer, err) ||
        !restore_average(r, checkpoint, err))
        return false;
    warn_of_other_settings(r);
    // With another number of samples a step the run goes on behind as many samples as before.
    if (s->ours) s->next_step = s->next_step * s->step_samples / train_step_samples(c);
    r->first_step = s->step + 1;
    r->taken = r->output.saved_step = s->step;
    snprintf(r->output.checkpoint, sizeof r->output.checkpoint, "%s/checkpoints/%s", c->output_dir,
             strrchr(checkpoint, '/') + 1);
    return true;
}
