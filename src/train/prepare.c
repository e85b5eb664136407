// SPDX-License-Identifier: Apache-2.0
// From a configuration to a run that is ready for its first step.
#include "train/run.h"

#include "base/file.h"
#include "base/log.h"
#include "download/backbone_file.h"
#include "model/memory.h"
#include "model/pretrained.h"
#include "train/schedule.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

// Which of the two kinds of policy it is, and how to get the other.
static void log_kind(const Run *r) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    bool relative = strcmp(p->pose_repr, "relative") == 0, start = c->policy.path || c->config_path;
    if (p->obs_state_horizon == 1 && !relative)
        log_info("plain ACT, as LeRobot's: one observation, poses as recorded (%s)",
                 start ? "--policy.obs_state_horizon=2 makes it temporal"
                       : "--policy.type=tact is the temporal policy");
    else
        log_info("temporal ACT: %d observation%s, %s (%s)", p->obs_state_horizon,
                 p->obs_state_horizon == 1 ? "" : "s",
                 relative ? "poses relative to the current one" : "values as recorded",
                 start ? "the checkpoint's; a new run with --policy.type=act alone is plain ACT"
                       : "--policy.type=act alone is LeRobot's plain ACT");
}

CHECKED static bool open_dataset(Run *r, Error *err) {
    const DatasetConfig *c = &r->config->dataset;
    DatasetOptions options = {.repo_id = c->repo_id,
                              .root = c->root,
                              .revision = c->revision,
                              .episodes = c->episodes.values,
                              .n_episodes = c->episodes.count,
                              .rename = r->config->policy.rename_map,
                              .tolerance_s = train_config_tolerance(r->config),
                              .need_videos = true};
    if (!dataset_open(&options, &r->dataset, err) ||
        !policy_from_dataset(&r->config->policy, r->dataset, err))
        return false;
    policy_warn_unused(r->dataset);
    char found[PATH_MAX];
    if (realpath(r->dataset->root, found))
        r->config->dataset.found = arena_strdup(&r->config->arena, found);
    log_kind(r);
    warn_of_other_data(r->config, r->dataset);
    return true;
}

CHECKED static bool check_env(const Run *r, Error *err) {
    const TrainHooks *h = r->hooks;
    if (!r->config->env_type) return true;
    if (!h->env_check || !h->env_rollouts)
        return fail(err, "--env.type=%s: nothing here evaluates in it", r->config->env_type);
    return h->env_check(h->user, r->config, err);
}

// Says which episodes are held out, of all there are.
static void log_held_out(const Run *r, const uint8_t *held_out) {
    const Dataset *ds = r->dataset;
    int64_t n = 0, *episodes = NEW(int64_t, ds->n_episodes);
    char list[400];
    bool cut;
    for (int64_t e = 0; e < ds->n_episodes; e++)
        if (held_out[e]) episodes[n++] = ds->episodes[e].index;
    dataset_episodes_text(episodes, n, list, sizeof list, &cut);
    log_info("held out from training: %lld of %lld episodes (%lld frames): %s%s", (long long)n,
             (long long)ds->n_episodes, (long long)r->n_eval, list, cut ? " and more" : "");
    mem_free(episodes);
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
    for (int64_t i = 0; i < ds->rows; i++)
        if (held_out[ds->episode_of[i]])
            r->eval_rows[r->n_eval++] = i;
        else
            r->train_rows[r->n_train++] = i;
    if (r->n_eval) log_held_out(r, held_out);
    mem_free(held_out);
    if (r->config->dataset.eval_split > 0 && r->n_eval == 0)
        return fail(
            err,
            "--dataset.eval_split=%g: no task has two episodes, and none is held out whole, "
            "so there is nothing to hold out of the %lld; leave it out, or evaluate on other "
            "episodes with `tact eval`",
            r->config->dataset.eval_split, (long long)ds->n_episodes);
    // The model is planned for one batch size, so partial batches are left out.
    if (r->n_train < r->config->batch_size)
        return fail(err,
                    "--batch_size=%d: more than the %lld frames there are to train on; lower it",
                    r->config->batch_size, (long long)r->n_train);
    return true;
}

// Where weights and statistics come from: the run's own checkpoint, another's, or NULL.
static const char *start_dir(const TrainConfig *c) {
    return c->resume ? c->resume_from : c->policy.path;
}

// From the dataset, or those of the checkpoint, which are never recomputed in a run that goes on.
CHECKED static bool find_statistics(Run *r, Error *err) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    PolicyStats *s = &r->stats;
    bool kept = c->resume || (p->path && strcmp(p->stats_from, "checkpoint") == 0);
    if (kept) return policy_read_stats(start_dir(c), NULL, p, s, err);
    const StatsRows from = {r->train_rows, r->n_train, c->num_stat_samples, (uint64_t)c->seed};
    return policy_vector_stats(p, r->dataset, from, s, err) &&
           policy_image_stats(p, r->dataset, c->dataset.use_imagenet_stats, s, err);
}

CHECKED static bool prepare_statistics(Run *r, Error *err) {
    r->window = policy_window(&r->config->policy);
    return find_statistics(r, err) &&
           policy_normalizers(&r->config->policy, &r->stats, &r->state_norm, &r->env_norm,
                              &r->action_norm, err);
}

// First of all: a device that is not there is no reason to read a dataset.
CHECKED static bool prepare_device(Run *r, Error *err) {
    PolicyConfig *p = &r->config->policy;
    const char *trained_on = r->config->trained_on;
    Precision precision;
    Error why;
    // As LeRobot: the checkpoint's device where it is there, else another one and a warning.
    if (!p->device && trained_on) {
        bool there = precision_named(p->dtype, trained_on, &precision, &why) &&
                     device_open(trained_on, precision, r->config->threads, &r->device, &why);
        p->device = there ? trained_on : "cpu";
        if (there) return true;
        log_warn("The checkpoint was trained on %s, which cannot be used here (%.300s); this run "
                 "computes on "
                 "cpu (--policy.device says where)",
                 trained_on, why.text);
        if (!field_given(r->config, "policy.dtype")) p->dtype = NULL;
    }
    const char *device = p->device ? p->device : "cpu";
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
    const DownloadProgress progress = {report_download, &download};
    if (!p->pretrained_backbone_weights || p->n_cameras == 0) return true;
    if (start_dir(r->config)) return true; // a checkpoint brings its own
    return backbone_file_find(p->pretrained_backbone_weights, p->vision_backbone, &progress,
                              r->backbone_file, sizeof r->backbone_file, err);
}

// What the run will take, told before it is taken; refused where the device has less.
CHECKED static bool check_memory(Run *r, Error *err) {
    const TrainConfig *c = r->config;
    Device *d = r->device;
    MemoryEstimate e;
    if (!estimate_memory(&c->policy, c->batch_size, true, d->backend, d->precision, &e, err))
        return false;
    log_info("memory: about %.1f GB (weights, gradients and moments %.2f, a batch of %d %.2f, the "
             "rest its libraries')",
             (double)e.total / 1e9, (double)e.weights / 1e9, c->batch_size,
             (double)e.activations / 1e9);
    size_t left = d->memory_free(d);
    if (left == 0 || e.total <= left) return true;
    int fits = 0;
    if (!estimate_batch(&c->policy, c->batch_size, true, d->backend, d->precision, left, &fits,
                        err))
        return false;
    char advice[96] = "not even --batch_size=1 fits; use a smaller --policy.resize_shape";
    if (fits > 0) snprintf(advice, sizeof advice, "--batch_size=%d fits", fits);
    return fail(err, "--batch_size=%d: takes about %.1f GB, %s has %.1f GB free; %s%s",
                c->batch_size, (double)e.total / 1e9, d->description, (double)left / 1e9, advice,
                d->precision != PRECISION_BFLOAT16 ? ", or try --policy.dtype=bfloat16" : "");
}

CHECKED static bool prepare_model(Run *r, Error *err) {
    const TrainConfig *c = r->config;
    const WeightsOptions options = {.new_times = !c->resume || c->new_times};
    if (!check_memory(r, err) || !params_init(&r->params, r->device, &c->policy, true, err))
        return false;
    params_initialize(&r->params, (uint64_t)c->seed);
    if (r->backbone_file[0] &&
        !pretrained_load(&r->params, r->backbone_file, c->policy.vision_backbone, err))
        return false;
    if (start_dir(c) && !policy_read_weights(start_dir(c), &r->params, options, err)) return false;
    return act_new(r->device, &c->policy, &r->params, c->batch_size, true, r->stats.images, &r->act,
                   err) &&
           optimizer_init(&r->optimizer, &r->params, c, err) &&
           (!c->ema.enable || ema_init(&r->ema, &c->ema, &r->params, err)) &&
           (!c->resume || run_restore(r, err)) &&
           (step_init(&r->step, r->act, &r->optimizer), true);
}

double run_lr_factor(const Run *r, int64_t step) {
    return schedule_factor(&r->config->scheduler, step - 1, r->config->steps);
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
        .dataset = r->dataset,
        .window = r->window,
        .state = p->state_dim ? &r->state_norm : NULL,
        .env = p->env_dim ? &r->env_norm : NULL,
        .action = &r->action_norm,
        .cameras = r->cameras,
        .n_cameras = p->n_cameras,
        .sizes = r->sizes,
        .rows = rows,
        .n_rows = n_rows,
        .batch_size = c->batch_size,
        .num_workers = c->num_workers,
        .prefetch = c->prefetch_factor,
        .shuffle = true,
        .drop_last = true,
        .seed = (uint64_t)c->seed,
        .cache = r->cache,
        .transforms =
            rows == r->train_rows && c->dataset.image_transforms.enable ? &r->transforms : NULL,
        .image_memory = pin_images,
        .user = r->device,
    };
}

ActInput run_input(const Batch *b) {
    return (ActInput){.batch = b->size,
                      .state = b->state,
                      .env = b->env,
                      .images = (const uint8_t *const *)b->images,
                      .action = b->action,
                      .action_is_pad = b->action_is_pad};
}

CHECKED static bool prepare_transforms(Run *r, Error *err) {
    const TransformsConfig *c = &r->config->dataset.image_transforms;
    if (!c->enable) return true;
    if (!image_transforms_parse(&r->transforms, c->tfs, err)) return false;
    r->transforms.max_num_transforms = c->max_num_transforms;
    r->transforms.random_order = c->random_order;
    r->transforms.seed = (uint64_t)r->config->seed;
    return true;
}

static bool is_date(const char *name) {
    return strlen(name) == 10 && strspn(name, "0123456789") == 4 && name[4] == '-' &&
           strspn(name + 5, "0123456789") == 2 && name[7] == '-' &&
           strspn(name + 8, "0123456789") == 2;
}

// Where the files of the frame cache lie: in dataset.frame_cache_dir, or in tact_frame_cache beside
// output_dir (beside the folders of dates, where tact has named it).
static void find_frame_cache_dir(char *out, size_t size, const TrainConfig *c) {
    char run[4000], parent[4000], above[4000];
    if (c->dataset.frame_cache_dir) {
        snprintf(out, size, "%s", c->dataset.frame_cache_dir);
        return;
    }
    snprintf(run, sizeof run, "%s", c->output_dir);
    for (size_t n = strlen(run); n > 1 && run[n - 1] == '/';) run[--n] = 0;
    path_parent(parent, sizeof parent, run);
    path_parent(above, sizeof above, parent);
    const char *slash = strrchr(parent, '/');
    bool dated = is_date(slash ? slash + 1 : parent);
    snprintf(out, size, "%s/tact_frame_cache", dated ? above : parent);
}

static void prepare_cache(Run *r) {
    const DatasetConfig *c = &r->config->dataset;
    const PolicyConfig *p = &r->config->policy;
    char dir[4096];
    find_frame_cache_dir(dir, sizeof dir, r->config);
    const FrameCacheOptions options = {.dataset = r->dataset,
                                       .cameras = r->cameras,
                                       .n_cameras = p->n_cameras,
                                       .sizes = r->sizes,
                                       .mode = c->frame_cache,
                                       .dir = dir,
                                       .limit_gb = c->frame_cache_gb};
    frame_cache_open(&options, &r->cache);
}

CHECKED static bool prepare_loader(Run *r, Error *err) {
    policy_find_cameras(&r->config->policy, r->dataset, r->cameras, r->sizes);
    prepare_cache(r);
    LoaderOptions options = run_loader_options(r, r->train_rows, r->n_train);
    options.first_batch = r->resumed.next_batch;
    return loader_open(&options, &r->loader, err);
}

static void log_banner(const Run *r) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    char big[32], sizes[IMAGE_SIZES_TEXT];
    log_info("Output dir: %s", c->output_dir);
    big_number(big, sizeof big, (double)c->steps);
    log_info("cfg.steps=%lld (%s)", (long long)c->steps, big);
    big_number(big, sizeof big, (double)r->n_train);
    log_info("dataset.num_frames=%lld (%s)", (long long)r->n_train, big);
    log_info("dataset.num_episodes=%lld", (long long)r->train_episodes);
    if (c->env_type)
        log_info("closed loop: %lld episodes of %s", (long long)c->eval_n_episodes, c->env_type);
    policy_image_sizes(p, sizes, sizeof sizes);
    log_info("policy: T=%d, every %d frames, pose_repr=%s, temporal_pos_embed=%s, %d camera%s%s%s, "
             "state %d, action %d, chunk %d",
             p->obs_state_horizon, p->obs_down_sample_steps, p->pose_repr, p->temporal_pos_embed,
             p->n_cameras, p->n_cameras == 1 ? "" : "s", p->n_cameras ? " " : "", sizes,
             p->state_dim, p->action_dim, p->chunk_size);
    const NormMap *norm = &p->normalization_mapping;
    bool imagenet = c->dataset.use_imagenet_stats && strcmp(norm->visual, "MEAN_STD") == 0;
    log_info("normalization: STATE %s, ACTION %s, VISUAL %s%s", norm->state, norm->action,
             norm->visual, imagenet ? " (ImageNet)" : "");
    if (p->pipeline.relative)
        log_info("actions are differences to the state (relative_actions_processor)");
    if (c->policy.path)
        log_info("weights of %s; statistics of the %s", c->policy.path, c->policy.stats_from);
    big_number(big, sizeof big, (double)r->params.learnable);
    log_info("num_learnable_params=%lld (%s)", (long long)r->params.learnable, big);
    const Device *d = r->device;
    log_info("device %s%s%s%s, %s, %d threads, %d loader workers; %.0f GFLOP a step",
             d->backend->name, d->description[0] ? " (" : "", d->description,
             d->description[0] ? ")" : "", precision_name(d->precision), d->threads, c->num_workers,
             act_step_flops(r->act) / 1e9);
}

bool run_prepare(Run *r, Error *err) {
    r->sound = true;
    r->first_step = 1;
    r->output_lock = -1;
    for (int i = 0; i < 2; i++) r->step_rows[i] = NEW(int64_t, r->config->batch_size);
    if (!prepare_device(r, err) || !prepare_transforms(r, err) || !open_dataset(r, err) ||
        !check_env(r, err) || !split_rows(r, err) || !prepare_backbone(r, err) ||
        !prepare_statistics(r, err) || !prepare_model(r, err) || !prepare_loader(r, err) ||
        !run_open_output(r, err))
        return false;
    log_banner(r);
    return true;
}

void run_free(Run *r) {
    if (r->device) r->device->synchronize(r->device); // no step may still read what is freed here
    loader_close(r->loader);
    frame_cache_close(r->cache);
    run_close_output(r);
    step_free(&r->step);
    ema_free(&r->ema);
    optimizer_free(&r->optimizer);
    act_free(r->act);
    params_free(&r->params);
    device_close(r->device);
    Normalizer *norms[] = {&r->state_norm, &r->action_norm, &r->env_norm};
    for (int i = 0; i < 3; i++) normalizer_free(norms[i]);
    policy_stats_free(&r->stats);
    for (int i = 0; i < 2; i++) mem_free(r->step_rows[i]);
    mem_free(r->train_rows);
    mem_free(r->eval_rows);
    dataset_close(r->dataset);
}
