// SPDX-License-Identifier: Apache-2.0
#include "train/run_batches.h"

#include "base/file.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

bool run_batches_transforms(RunBatches *b, const TrainConfig *config, Error *err) {
    const TransformsConfig *c = &config->dataset.image_transforms;
    if (!c->enable) return true;
    if (!image_transforms_parse(&b->transforms, c->tfs, err)) return false;
    b->transforms.max_num_transforms = c->max_num_transforms;
    b->transforms.random_order = c->random_order;
    b->transforms.seed = (uint64_t)config->seed;
    return true;
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

static void open_cache(RunBatches *b, const TrainConfig *config, const Dataset *ds) {
    const DatasetConfig *c = &config->dataset;
    char dir[4096];
    frame_cache_dir(dir, sizeof dir, config);
    const FrameCacheOptions options = {.dataset = ds,
                                       .cameras = b->cameras,
                                       .n_cameras = config->policy.n_cameras,
                                       .sizes = b->sizes,
                                       .mode = c->frame_cache,
                                       .dir = dir,
                                       .limit_gb = c->frame_cache_gb};
    frame_cache_open(&options, &b->cache);
}

// ---- the loader -------------------------------------------------------------------------------

// Frames are copied to a device from where the loader leaves them.
static void pin_images(void *user, void *memory, size_t bytes, bool made) {
    Device *d = user;
    d->pin(d, memory, bytes, made);
}

bool run_batches_open(RunBatches *b, const TrainConfig *c, const RunData *data,
                      const RunStatistics *statistics, Device *d, int64_t first_batch, Error *err) {
    const PolicyConfig *p = &c->policy;
    policy_find_cameras(p, data->dataset, b->cameras, b->sizes);
    open_cache(b, c, data->dataset);
    b->options = (LoaderOptions){
        .dataset = data->dataset,
        .window = policy_window(p),
        .state = p->state_dim ? &statistics->state : NULL,
        .env = p->env_dim ? &statistics->env : NULL,
        .action = &statistics->action,
        .cameras = b->cameras,
        .n_cameras = p->n_cameras,
        .sizes = b->sizes,
        .rows = data->train_rows,
        .n_rows = data->n_train,
        .batch_size = c->batch_size,
        .num_workers = c->num_workers,
        .prefetch = c->prefetch_factor,
        .shuffle = true,
        .drop_last = true,
        .seed = (uint64_t)c->seed,
        .cache = b->cache,
        .transforms = c->dataset.image_transforms.enable ? &b->transforms : NULL,
        .first_batch = first_batch,
        .image_memory = pin_images,
        .user = d,
    };
    return loader_open(&b->options, &b->loader, err);
}

void run_batches_close(RunBatches *b) {
    loader_close(b->loader);
    frame_cache_close(b->cache);
}

LoaderOptions run_batches_in_order(const RunBatches *b, const int64_t *rows, int64_t n_rows) {
    LoaderOptions options = b->options;
    options.rows = rows;
    options.n_rows = n_rows;
    options.shuffle = false;
    options.transforms = NULL;
    options.first_batch = 0;
    return options;
}

ActInput run_batches_input(const Batch *b) {
    return (ActInput){.batch = b->size,
                      .state = b->state,
                      .env = b->env,
                      .images = (const uint8_t *const *)b->images,
                      .action = b->action,
                      .action_is_pad = b->action_is_pad};
}
