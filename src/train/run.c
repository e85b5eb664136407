// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include "train/schedule.h"

CHECKED static bool check_env(const Run *r, Error *err) {
    const TrainHooks *h = r->hooks;
    if (!r->config->env_type) return true;
    if (!h->env_check || !h->env_rollouts)
        return fail(err, "--env.type=%s: nothing here evaluates in it", r->config->env_type);
    return h->env_check(h->user, r->config, err);
}

CHECKED static bool open_data(Run *r, Error *err) {
    if (!run_data_open(&r->data, r->config, err)) return false;
    log_policy_kind(r->config);
    warn_of_other_data(r->config, r->data.dataset);
    return check_env(r, err) && run_data_split(&r->data, r->config, err);
}

CHECKED static bool open_model(Run *r, Error *err) {
    return run_model_open(&r->model, r->device, r->config, r->statistics.policy.images, err) &&
           (!r->config->resume || run_resume(r, err));
}

CHECKED static bool open_output(Run *r, Error *err) {
    Metrics *m = &r->output.metrics;
    m->batch_size = train_step_samples(r->config);
    m->frames = r->data.n_train;
    m->episodes = r->data.train_episodes;
    m->sums = r->resumed.sums;
    return run_output_open(&r->output, r->config, r->resumed.step, r->eval_due, err);
}

// What can be refused at once comes before what takes long: without its device a run need not read
// the dataset, and without its weights it need not compute statistics.
bool run_open(Run *r, TrainConfig *c, const TrainHooks *hooks, Error *err) {
    *r = (Run){.config = c,
               .hooks = hooks,
               .sound = true,
               .first_step = 1,
               .output = {.lock = -1, .curves = run_curves_none()}};
    for (int i = 0; i < 2; i++) r->step_rows[i] = NEW(int64_t, train_step_samples(c));
    if (!run_device_open(c, &r->device, err) || !run_batches_transforms(&r->batches, c, err) ||
        !open_data(r, err) || !run_model_find_backbone(&r->model, c, hooks, err) ||
        !run_statistics_find(&r->statistics, c, &r->data, err) || !open_model(r, err) ||
        !run_batches_open(&r->batches, c, &r->data, &r->statistics, r->device,
                          r->resumed.next_step * c->gradient_accumulation_steps, err) ||
        !open_output(r, err))
        return false;
    log_run(r);
    return true;
}

void run_close(Run *r) {
    if (r->device) r->device->synchronize(r->device); // no step may still read what is freed here
    run_batches_close(&r->batches);
    run_output_close(&r->output);
    run_model_close(&r->model);
    device_close(r->device);
    run_statistics_free(&r->statistics);
    for (int i = 0; i < 2; i++) mem_free(r->step_rows[i]);
    run_data_close(&r->data);
}

double run_lr_factor(const Run *r, int64_t step) {
    return schedule_factor(&r->config->scheduler, step - 1, r->config->steps);
}

bool run_due(int64_t step, int64_t every) {
    return every > 0 && step % every == 0;
}
