// SPDX-License-Identifier: Apache-2.0
#include "train/run_batches.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

bool run_batches_transforms(RunBatches *b, const TrainConfig *config, Error *err) {
    return !config->dataset.image_transforms.enable ||
           image_transforms_of(config, &b->transforms, err);
}

// ---- the frame cache --------------------------------------------------------------------------

static bool is_date(const char *name) {
    return strlen(name) == 10 && strspn(name, "0123456789") == 4 && name[4] == '-' &&
           strspn(name + 5, "0123456789") == 2 && name[7] == '-' &&
           strspn(name + 8, "0123456789") == 2;
}

// Where the cache's files lie: dataset.frame_cache_dir, or tact_frame_cache beside output_dir
// (beside the folders of dates, where tact has named it).
static void frame_cache_dir(char *out, size_t size, const TrainConfig *c) {
    char run[4000], parent[4000], above[4000];
    if (c->dataset.frame_cache_dir) {
        snprintf(out, size, "%s", c->dataset.frame_cache_dir);
        return;
    }
    snprintf(run, sizeof run, "%s", c->output_dir);
    for (size_t n = strlen(run); n > 1 && run[n - 1] == '/';) run[--n] = 0;
    path_parent(parent, sizeof parent, run);
    path_parent(above, sizeof above, parent);
    snprintf(out, size, "%s/tact_frame_cache", is_date(after_last(parent, '/')) ? above : parent);
}

static void open_cache(RunBatches *b, const TrainConfig *config, const Ranks *ranks,
                       const Dataset *ds) {
    const DatasetConfig *c = &config->dataset;
    char dir[4096];
    frame_cache_dir(dir, sizeof dir, config);
    const FrameCacheOptions options = {.dataset = ds,
                                       .cameras = b->cameras,
                                       .n_cameras = config->policy.n_cameras,
                                       .sizes = b->sizes,
                                       .mode = c->frame_cache,
                                       .dir = dir,
                                       .limit_gb = c->frame_cache_gb,
                                       .sharers = ranks_local_count(ranks),
                                       .share = ranks_local_rank(ranks)};
    frame_cache_open(&options, &b->cache);
}

// ---- the loader -------------------------------------------------------------------------------

// Frames are copied to a device from where the loader leaves them.
static void pin_images(void *user, void *memory, size_t bytes, bool made) {
    Device *d = user;
    d->pin(d, memory, bytes, made);
}

// What --dataset.repeat_frame_prob asks of the loader, or NULL where it is 0.
CHECKED static bool open_repeat(RunBatches *b, const TrainConfig *c, const Dataset *ds,
                                const RepeatFrames **out, Error *err) {
    const double probability = c->dataset.repeat_frame_prob;
    *out = NULL;
    if (probability == 0) return true;
    if (!c->policy.arms)
        return fail(err,
                    "%s: --dataset.repeat_frame_prob=%g looks for the first grasp, and so needs "
                    "state and action to be poses with a gripper (--policy.pose_repr=relative)",
                    ds->root, probability);
    repeat_frames_init(&b->repeat, ds, probability, (uint64_t)c->seed);
    *out = &b->repeat;
    log_info("repeat_frame_prob=%g: %lld of %lld frames lie before a first grasp (gripper below "
             "%g)",
             probability, (long long)b->repeat.count, (long long)ds->rows,
             (double)REPEAT_FRAMES_GRASP);
    if (b->repeat.count == 0 || b->repeat.count == ds->rows)
        log_warn("%s: the gripper is %s below %g, which is UMI's width in metres of a grasp; "
                 "--dataset.repeat_frame_prob is made for such grippers",
                 ds->root, b->repeat.count ? "never" : "always", (double)REPEAT_FRAMES_GRASP);
    return true;
}

void run_batches_plan(RunBatches *b, const TrainConfig *c, const RunData *data,
                      const RunStatistics *statistics) {
    policy_find_cameras(&c->policy, data->dataset, b->cameras, b->sizes, b->crops);
    b->options = loader_options_of(c, &statistics->state, &statistics->env, &statistics->action);
    b->options.dataset = data->dataset;
    b->options.cameras = b->cameras;
    b->options.sizes = b->sizes;
    b->options.crops = b->crops;
    b->options.rows = data->train_rows;
    b->options.n_rows = data->n_train;
}

bool run_batches_norm_frames(const RunBatches *b, const TrainConfig *c, Loader **loader,
                             const Batch **out, Error *err) {
    const int n = c->policy.backbone_norm_frames;
    LoaderOptions options = run_batches_in_order(b, b->options.rows, b->options.n_rows);
    options.shuffle = true;
    options.batch_size = n < options.n_rows ? n : (int)options.n_rows;
    options.num_workers = 0;
    options.window.horizon = 1;
    return loader_open(&options, loader, err) && loader_next(*loader, out, err);
}

bool run_batches_open(RunBatches *b, const TrainConfig *c, const Ranks *ranks, const RunData *data,
                      Device *d, int64_t first_batch, Error *err) {
    open_cache(b, c, ranks, data->dataset);
    b->options.cache = b->cache;
    b->options.transforms = c->dataset.image_transforms.enable ? &b->transforms : NULL;
    if (!open_repeat(b, c, data->dataset, &b->options.repeat, err)) return false;
    b->options.first_batch = first_batch;
    b->options.image_memory = pin_images;
    b->options.user = d;
    return loader_open(&b->options, &b->loader, err);
}

void run_batches_close(RunBatches *b) {
    loader_close(b->loader);
    frame_cache_close(b->cache);
    repeat_frames_free(&b->repeat);
}

LoaderOptions run_batches_in_order(const RunBatches *b, const int64_t *rows, int64_t n_rows) {
    LoaderOptions options = b->options;
    options.rows = rows;
    options.n_rows = n_rows;
    options.shuffle = false;
    options.transforms = NULL;
    options.random_crops = false;
    options.repeat = NULL;
    options.state_dropout = (StateDropout){0};
    options.max_action_prefix = 0;
    options.first_batch = 0;
    options.pieces = options.processes = 1;
    options.process = 0;
    return options;
}

const int64_t *run_batches_step_rows(const RunBatches *b, int64_t step, Sampler *sampler,
                                     int64_t *n) {
    *sampler = loader_sampler(&b->options);
    sampler_init(sampler);
    int64_t *rows = NEW(int64_t, b->options.batch_size);
    sampler_batch(sampler, step * sampler->pieces, rows);
    mem_free(rows);
    return sampler_step_rows(sampler, n);
}

ActInput run_batches_input(const Batch *b) {
    return (ActInput){.batch = b->size,
                      .state = b->state,
                      .env = b->env,
                      .images = (const uint8_t *const *)b->images,
                      .action = b->action,
                      .action_is_pad = b->action_is_pad,
                      .action_prefix = b->action_prefix,
                      .first_sample = b->first_sample,
                      .step_samples = (int)b->step_samples,
                      .step_actions = b->step_actions};
}
