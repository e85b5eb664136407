// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include "train/policy_from_dataset.h"
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
    const WindowSpec window = policy_window(&r->config->policy);
    if (r->hooks->look_at_data && !r->config->resume && ranks_rank(r->ranks) == 0)
        r->hooks->look_at_data(r->hooks->user, r->data.dataset, &window);
    return check_env(r, err) && run_data_split(&r->data, r->config, err);
}

CHECKED static bool open_model(Run *r, Error *err) {
    Loader *loader = NULL;
    const Batch *frames = NULL;
    if (run_model_takes_norms(r->config) &&
        !run_batches_norm_frames(&r->batches, r->config, &loader, &frames, err)) {
        loader_close(loader);
        return false;
    }
    bool ok = run_model_open(&r->model, r->device, r->config, r->statistics.policy.images,
                             frames ? (const uint8_t *const *)frames->images : NULL,
                             frames ? frames->size : 0, err);
    if (ok && frames) log_info("the backbone's norms are those of %d frames", frames->size);
    loader_close(loader);
    return ok && (!r->config->resume || run_resume(r, err));
}

CHECKED static bool open_output(Run *r, Error *err) {
    Metrics *m = &r->output.metrics;
    m->batch_size = train_step_samples(r->config);
    m->frames = r->data.n_train;
    m->episodes = r->data.train_episodes;
    m->sums = r->resumed.sums;
    if (ranks_rank(r->ranks)) return true;
    return run_output_open(&r->output, r->config, r->resumed.step, r->eval_due, err);
}

CHECKED static bool find_backbone(Run *r, Error *err) {
    return run_model_find_backbone(&r->model, r->config, r->hooks, err);
}

// ---- gradients over all processes ---------------------------------------------------------------

static void sum_begin(void *user, float *data, int64_t n) {
    ranks_sum_begin(user, data, n);
}

static bool sums_end(void *user, Error *err) {
    return ranks_sums_end(user, err);
}

static bool share(void *user, void *data, size_t bytes, Error *err) {
    return ranks_share(user, data, bytes, err);
}

static bool lost(void *user, Error *err) {
    return ranks_lost(user, err);
}

CHECKED static bool join_ranks(Run *r, Error *err) {
    if (!r->ranks) return true;
    r->peers = (Peers){.count = ranks_count(r->ranks),
                       .rank = ranks_rank(r->ranks),
                       .timeout_s = r->config->dist_timeout_s,
                       .user = r->ranks,
                       .sum_begin = sum_begin,
                       .sums_end = sums_end,
                       .share = share,
                       .lost = lost};
    r->device->join(r->device, &r->peers);
    return device_check(r->device, err);
}

// What can be refused at once comes before what takes long: without its device a run need not read
// the dataset, and without its weights it need not compute statistics.
bool run_open(Run *r, TrainConfig *c, const TrainHooks *hooks, Error *err) {
    *r =
        (Run){.config = c,
              .hooks = hooks,
              .ranks = hooks->ranks,
              .sound = true,
              .first_step = 1,
              .output = {
                  .lock = -1, .lock_file = -1, .metrics.file.fd = -1, .curves = run_curves_none()}};
    if (!run_ranks_begin(r, err) || !run_device_open(c, r->ranks, &r->device, err) ||
        !run_batches_transforms(&r->batches, c, err) || !open_data(r, err) ||
        !run_ranks_in_turn(r, find_backbone, err) ||
        !run_statistics_find(&r->statistics, c, &r->data, err))
        return false;
    run_batches_plan(&r->batches, c, &r->data, &r->statistics);
    if (!open_model(r, err) ||
        !run_batches_open(&r->batches, c, r->ranks, &r->data, r->device,
                          r->resumed.next_step * c->gradient_accumulation_steps, err) ||
        !open_output(r, err) || !join_ranks(r, err) || !run_ranks_same_start(r, err))
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
    run_data_close(&r->data);
}

double run_lr_factor(const Run *r, int64_t step) {
    return schedule_factor(&r->config->scheduler, step - 1, r->config->steps);
}

bool run_due(int64_t step, int64_t every) {
    return every > 0 && step % every == 0;
}
