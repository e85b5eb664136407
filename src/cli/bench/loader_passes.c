// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/loader_passes.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include <string.h>

CHECKED static bool open_loader_data(LoaderPasses *b, Error *err) {
    TrainConfig *c = &b->config;
    PolicyConfig *p = &c->policy;
    const DatasetOptions options = dataset_options_of(c, true);
    if (!dataset_open(&options, &b->dataset, err) || !policy_from_dataset(p, b->dataset, err))
        return false;
    policy_find_cameras(p, b->dataset, b->cameras, b->sizes, b->crops);
    b->rows = NEW(int64_t, b->dataset->rows);
    for (int64_t i = 0; i < b->dataset->rows; i++) b->rows[i] = i;
    if (!image_transforms_of(c, &b->transforms, err)) return false;
    return normalizer_init(&b->state, "state", NORM_IDENTITY, NULL, p->state_dim, err) &&
           normalizer_init(&b->env, "env", NORM_IDENTITY, NULL, p->env_dim, err) &&
           normalizer_init(&b->action, "action", NORM_IDENTITY, NULL, p->action_dim, err);
}

static LoaderOptions loader_options(const LoaderPasses *b) {
    LoaderOptions o = loader_options_of(&b->config, &b->state, &b->env, &b->action);
    o.dataset = b->dataset;
    o.cameras = b->cameras;
    o.sizes = b->sizes;
    o.crops = b->crops;
    o.rows = b->rows;
    o.n_rows = b->dataset->rows;
    o.cache = b->cache;
    o.transforms = b->config.dataset.image_transforms.enable ? &b->transforms : NULL;
    return o;
}

static void open_cache(LoaderPasses *b) {
    const TrainConfig *c = &b->config;
    const PolicyConfig *p = &c->policy;
    const FrameCacheOptions options = {.dataset = b->dataset,
                                       .cameras = b->cameras,
                                       .n_cameras = p->n_cameras,
                                       .sizes = b->sizes,
                                       .mode = c->dataset.frame_cache,
                                       .dir = b->dir,
                                       .limit_gb = c->dataset.frame_cache_gb};
    frame_cache_open(&options, &b->cache);
}

// The clock runs from the start of the loader. A pass that is to fill the cache goes on to the end
// of the epoch; its further batches are not counted.
CHECKED static bool run_pass(LoaderPasses *b, int64_t steps, bool fill, LoaderPass *out,
                             Error *err) {
    const LoaderOptions options = loader_options(b);
    Loader *l;
    double start = clock_seconds();
    *out = (LoaderPass){0};
    if (!loader_open(&options, &l, err)) return false;
    int64_t epoch = loader_steps_per_epoch(l), wanted = steps > 0 ? steps : epoch;
    bool ok = true;
    for (int64_t n = 0; ok && n < (fill && epoch > wanted ? epoch : wanted); n++) {
        const Batch *batch;
        ok = loader_next(l, &batch, err);
        if (!ok || n >= wanted) continue;
        out->batches++;
        out->frames += (int64_t)batch->size * options.window.horizon * options.n_cameras;
        out->seconds = clock_seconds() - start;
        if (n == 0) out->first = out->seconds;
    }
    loader_close(l);
    return ok;
}

bool loader_passes_run(LoaderPasses *b, int64_t steps, Error *err) {
    if (!open_loader_data(b, err)) return false;
    if (!make_temporary_dir(b->dir, sizeof b->dir, b->config.dataset.frame_cache_dir, err))
        return false;
    if (!run_pass(b, steps, false, &b->passes[PASS_NO_CACHE], err)) return false;
    open_cache(b);
    if (!b->cache) return true;
    if (!run_pass(b, steps, true, &b->passes[PASS_COLD], err)) return false;
    if (strcmp(frame_cache_kind(b->cache), "file") == 0) { // reopen it as another run would
        frame_cache_close(b->cache);
        open_cache(b);
    }
    return run_pass(b, steps, false, &b->passes[PASS_WARM], err);
}

void loader_passes_free(LoaderPasses *b) {
    Error err;
    frame_cache_close(b->cache);
    normalizer_free(&b->state);
    normalizer_free(&b->env);
    normalizer_free(&b->action);
    mem_free(b->rows);
    dataset_close(b->dataset);
    train_config_free(&b->config);
    if (b->dir[0] && !remove_tree(b->dir, &err)) log_warn("%s", err.text);
}
