// SPDX-License-Identifier: Apache-2.0
// From a configuration to a run that is ready for its first step.
#include "train/run.h"

#include "base/file.h"
#include "base/log.h"
#include "model/memory.h"
#include "model/pretrained.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

CHECKED static bool open_dataset(Run *r, Error *err) {
    const DatasetConfig *c = &r->config->dataset;
    DatasetOptions options = {.repo_id = c->repo_id, .root = c->root,
                              .episodes = c->episodes.values, .n_episodes = c->episodes.count,
                              .need_videos = true};
    if (!dataset_open(&options, &r->dataset, err)) return false;
    return policy_from_dataset(&r->config->policy, r->dataset, err);
}

// Splits the rows into training and held-out ones, by whole episodes.
CHECKED static bool split_rows(Run *r, Error *err) {
    const Dataset *ds = r->dataset;
    uint8_t *held_out = NEW(uint8_t, ds->n_episodes);
    if (r->config->dataset.eval_split > 0)
        dataset_split(ds, r->config->dataset.eval_split, held_out);
    r->train_rows = NEW(int64_t, ds->rows);
    r->eval_rows = NEW(int64_t, ds->rows);
    for (int64_t e = 0; e < ds->n_episodes; e++) r->train_episodes += !held_out[e];
    for (int64_t i = 0; i < ds->rows; i++) {
        if (held_out[ds->episode_of[i]]) r->eval_rows[r->n_eval++] = i;
        else r->train_rows[r->n_train++] = i;
    }
    mem_free(held_out);
    if (r->n_train == 0)
        return fail(err, "--dataset.eval_split=%g: holds out all %lld episodes (at least the last of "
                         "every task); lower it, or select more episodes",
                    r->config->dataset.eval_split, (long long)ds->n_episodes);
    // The model is planned for one batch size, so partial batches are left out.
    if (r->n_train < r->config->batch_size)
        return fail(err, "--batch_size=%d: more than the %lld frames there are to train on; lower it",
                    r->config->batch_size, (long long)r->n_train);
    return true;
}

static NormMode norm_mode(const char *name) {
    if (strcmp(name, "MIN_MAX") == 0) return NORM_MIN_MAX;
    return strcmp(name, "MEAN_STD") == 0 ? NORM_MEAN_STD : NORM_IDENTITY;
}

CHECKED static bool prepare_statistics(Run *r, Error *err) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    const NormMap *modes = &p->normalization_mapping;
    r->window = policy_window(p);
    if (!window_stats(r->dataset, &r->window, r->train_rows, r->n_train, c->num_stat_samples,
                      (uint64_t)c->seed, &r->state_stats, &r->action_stats, err))
        return false;
    if (p->env_dim && !env_stats(r->dataset, r->train_rows, r->n_train, &r->env_stats, err))
        return false;
    if (p->state_dim && !normalizer_init(&r->state_norm, "observation.state",
                                         norm_mode(modes->state), &r->state_stats, p->state_dim, err))
        return false;
    if (p->env_dim && !normalizer_init(&r->env_norm, "observation.environment_state",
                                       norm_mode(modes->env), &r->env_stats, p->env_dim, err))
        return false;
    return normalizer_init(&r->action_norm, "action", norm_mode(modes->action), &r->action_stats,
                           p->action_dim, err);
}

// First of all: a device that is not there is no reason to read a dataset.
CHECKED static bool prepare_device(Run *r, Error *err) {
    const PolicyConfig *p = &r->config->policy;
    const char *device = p->device ? p->device : "cpu";
    Precision precision;
    return precision_named(p->dtype, device, &precision, err) &&
           device_open(device, precision, r->config->threads, &r->device, err);
}

typedef struct Download {
    const Run *run;
    double logged; // when
} Download;

static bool report_download(void *user, const char *file, int64_t done, int64_t total) {
    static const double interval = 5; // seconds between two lines
    Download *d = user;
    double now = clock_seconds();
    if (now - d->logged >= interval && total > 0) {
        log_info("downloading %s: %.0f of %.0f MB", file, (double)done / 1e6, (double)total / 1e6);
        d->logged = now;
    }
    return !run_stopping(d->run);
}

// Before the statistics, which may take minutes: weights that cannot be had end the run at once.
CHECKED static bool prepare_backbone(Run *r, Error *err) {
    const PolicyConfig *p = &r->config->policy;
    Download download = {.run = r};
    const PretrainedProgress progress = {report_download, &download};
    if (!p->pretrained_backbone_weights || p->n_cameras == 0) return true;
    return pretrained_find(p->pretrained_backbone_weights, p->vision_backbone, &progress,
                           r->backbone_file, sizeof r->backbone_file, err);
}

// What the run will take, told before it is taken; refused where the device has less.
CHECKED static bool check_memory(Run *r, Error *err) {
    const TrainConfig *c = r->config;
    Device *d = r->device;
    bool cuda = strcmp(d->name, "cuda") == 0;
    MemoryEstimate e;
    if (!estimate_memory(&c->policy, c->batch_size, true, d->precision, cuda, &e, err)) return false;
    log_info("memory: about %.1f GB (weights, gradients and moments %.2f, a batch of %d %.2f%s)",
             (double)e.total / 1e9, (double)e.weights / 1e9, c->batch_size,
             (double)e.activations / 1e9, cuda ? ", the rest the device's own" : "");
    size_t left = d->memory_free(d);
    if (left == 0 || e.total <= left) return true;
    int fits = 0;
    if (!estimate_batch(&c->policy, c->batch_size, true, d->precision, cuda, left, &fits, err))
        return false;
    char advice[96] = "not even --batch_size=1 fits; use a smaller --policy.resize_shape";
    if (fits > 0) snprintf(advice, sizeof advice, "--batch_size=%d fits", fits);
    return fail(err, "--batch_size=%d: takes about %.1f GB, %s has %.1f GB free; %s%s", c->batch_size,
                (double)e.total / 1e9, d->description, (double)left / 1e9, advice,
                d->precision != PRECISION_BFLOAT16 ? ", or try --policy.dtype=bfloat16" : "");
}

CHECKED static bool prepare_model(Run *r, Error *err) {
    const TrainConfig *c = r->config;
    if (!check_memory(r, err) || !policy_image_stats(&c->policy, r->dataset, c->dataset.use_imagenet_stats, r->image_stats,
                            err) ||
        !params_init(&r->params, r->device, &c->policy, true, err))
        return false;
    params_initialize(&r->params, (uint64_t)c->seed);
    if (r->backbone_file[0] &&
        !pretrained_load(&r->params, r->backbone_file, c->policy.vision_backbone, err))
        return false;
    return act_new(r->device, &c->policy, &r->params, c->batch_size, true, r->image_stats,
                   &r->act, err) &&
           optimizer_init(&r->optimizer, &r->params, c, err) &&
           (step_init(&r->step, r->act, &r->optimizer), true);
}

// Frames are copied to a device from where the loader leaves them.
static void pin_images(void *user, void *memory, size_t bytes, bool made) {
    Device *d = user;
    d->pin(d, memory, bytes, made);
}

LoaderOptions run_loader_options(const Run *r, const int64_t *rows, int64_t n_rows) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    return (LoaderOptions){
        .dataset = r->dataset, .window = r->window,
        .state = p->state_dim ? &r->state_norm : NULL, .env = p->env_dim ? &r->env_norm : NULL,
        .action = &r->action_norm, .cameras = r->cameras, .n_cameras = p->n_cameras,
        .height = p->image_height, .width = p->image_width, .rows = rows, .n_rows = n_rows,
        .batch_size = c->batch_size, .num_workers = c->num_workers, .prefetch = c->prefetch_factor,
        .shuffle = true, .drop_last = true, .seed = (uint64_t)c->seed,
        .image_memory = pin_images, .user = r->device,
    };
}

ActInput run_input(const Batch *b) {
    return (ActInput){.batch = b->size, .state = b->state, .env = b->env,
                      .images = (const uint8_t *const *)b->images, .action = b->action,
                      .action_is_pad = b->action_is_pad};
}

CHECKED static bool prepare_loader(Run *r, Error *err) {
    const PolicyConfig *p = &r->config->policy;
    for (int i = 0; i < p->n_cameras; i++)
        for (int k = 0; k < r->dataset->n_cameras; k++)
            if (strcmp(r->dataset->cameras[k]->name, p->cameras[i].name) == 0) r->cameras[i] = k;
    LoaderOptions options = run_loader_options(r, r->train_rows, r->n_train);
    return loader_open(&options, &r->loader, err);
}

static void log_banner(const Run *r) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    char big[32];
    log_info("Output dir: %s", c->output_dir);
    big_number(big, sizeof big, (double)c->steps);
    log_info("cfg.steps=%lld (%s)", (long long)c->steps, big);
    big_number(big, sizeof big, (double)r->n_train);
    log_info("dataset.num_frames=%lld (%s)", (long long)r->n_train, big);
    log_info("dataset.num_episodes=%lld", (long long)r->train_episodes);
    if (r->n_eval) log_info("held out: %lld frames", (long long)r->n_eval);
    log_info("policy: T=%d, every %d frames, pose_repr=%s, temporal_pos_embed=%s, %d camera%s %dx%d, "
             "state %d, action %d, chunk %d",
             p->obs_state_horizon, p->obs_down_sample_steps, p->pose_repr, p->temporal_pos_embed,
             p->n_cameras, p->n_cameras == 1 ? "" : "s", p->image_height, p->image_width,
             p->state_dim, p->action_dim, p->chunk_size);
    log_info("normalization: STATE %s, ACTION %s, VISUAL %s%s", p->normalization_mapping.state,
             p->normalization_mapping.action, p->normalization_mapping.visual,
             c->dataset.use_imagenet_stats ? " (ImageNet)" : "");
    big_number(big, sizeof big, (double)r->params.learnable);
    log_info("num_learnable_params=%lld (%s)", (long long)r->params.learnable, big);
    const Device *d = r->device;
    log_info("device %s%s%s%s, %s, %d threads, %d loader workers; %.0f GFLOP a step", d->name,
             d->description[0] ? " (" : "", d->description, d->description[0] ? ")" : "",
             precision_name(d->precision), d->threads, c->num_workers, act_step_flops(r->act) / 1e9);
}

// As LeRobot: a new run never writes into an old one, and of two runs that start at once with the same
// directory one is refused.
CHECKED static bool prepare_output(Run *r, Error *err) {
    const char *dir = r->config->output_dir;
    char parent[4096];
    path_parent(parent, sizeof parent, dir);
    if (!make_dirs(parent, err)) return false;
    if (mkdir(dir, 0777) != 0) {
        if (errno != EEXIST) return fail_errno(err, "--output_dir=%s: cannot make it", dir);
        return fail(err, "--output_dir=%s: exists already; choose another one or remove it", dir);
    }
    r->made_output = true;
    snprintf(r->metrics_path, sizeof r->metrics_path, "%s/metrics.jsonl", dir);
    r->metrics.batch_size = r->config->batch_size;
    r->metrics.frames = r->n_train;
    r->metrics.episodes = r->train_episodes;
    return metrics_open(&r->metrics, r->metrics_path, err);
}

bool run_prepare(Run *r, Error *err) {
    r->sound = true;
    r->first_step = 1;
    for (int i = 0; i < 2; i++) r->step_rows[i] = NEW(int64_t, r->config->batch_size);
    if (!prepare_device(r, err) || !open_dataset(r, err) || !split_rows(r, err) ||
        !prepare_backbone(r, err) || !prepare_statistics(r, err) || !prepare_model(r, err) ||
        !prepare_loader(r, err) || !prepare_output(r, err))
        return false;
    log_banner(r);
    return true;
}

void run_free(Run *r) {
    if (r->device) r->device->synchronize(r->device); // no step may still read what is freed here
    loader_close(r->loader);
    metrics_close(&r->metrics);
    step_free(&r->step);
    optimizer_free(&r->optimizer);
    act_free(r->act);
    params_free(&r->params);
    device_close(r->device);
    Normalizer *norms[] = {&r->state_norm, &r->action_norm, &r->env_norm};
    Stats *stats[] = {&r->state_stats, &r->action_stats, &r->env_stats};
    for (int i = 0; i < 3; i++) {
        normalizer_free(norms[i]);
        stats_free(stats[i]);
    }
    for (int i = 0; i < 2; i++) mem_free(r->step_rows[i]);
    mem_free(r->train_rows);
    mem_free(r->eval_rows);
    dataset_close(r->dataset);
}
