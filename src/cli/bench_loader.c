// SPDX-License-Identifier: Apache-2.0
// tact bench --loader: how fast batches come, without the model: with no frame cache, with an empty
// one, and with a full one.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "train/policy_from_dataset.h"
#include <stdio.h>
#include <string.h>

enum { NO_CACHE, COLD, WARM, PASSES };
static const char *const pass_names[PASSES] = {"none", "cold", "warm"};

typedef struct Pass {
    int64_t batches, frames;
    double seconds, first; // of all, and until the first one came
} Pass;

typedef struct LoaderBench {
    TrainConfig config;
    int64_t steps;
    bool json;
    Dataset *dataset;
    Normalizer state, env, action;
    int cameras[MAX_CAMERAS];
    FrameSize sizes[MAX_CAMERAS];
    int64_t *rows;
    char dir[4096]; // of the cache's files, removed at the end
    FrameCache *cache;
    ImageTransforms transforms;
    Pass passes[PASSES];
} LoaderBench;

CHECKED static bool open_data(LoaderBench *b, Error *err) {
    TrainConfig *c = &b->config;
    PolicyConfig *p = &c->policy;
    const DatasetConfig *d = &c->dataset;
    const DatasetOptions options = {.repo_id = d->repo_id,
                                    .root = d->root,
                                    .revision = d->revision,
                                    .need_videos = true,
                                    .episodes = d->episodes.values,
                                    .n_episodes = d->episodes.count,
                                    .rename = p->rename_map,
                                    .tolerance_s = train_config_tolerance(c)};
    if (!dataset_open(&options, &b->dataset, err) || !policy_from_dataset(p, b->dataset, err))
        return false;
    policy_find_cameras(p, b->dataset, b->cameras, b->sizes);
    b->rows = NEW(int64_t, b->dataset->rows);
    for (int64_t i = 0; i < b->dataset->rows; i++) b->rows[i] = i;
    if (!image_transforms_parse(&b->transforms, d->image_transforms.tfs, err)) return false;
    b->transforms.max_num_transforms = d->image_transforms.max_num_transforms;
    b->transforms.random_order = d->image_transforms.random_order;
    b->transforms.seed = (uint64_t)c->seed;
    return normalizer_init(&b->state, "state", NORM_IDENTITY, NULL, p->state_dim, err) &&
           normalizer_init(&b->env, "env", NORM_IDENTITY, NULL, p->env_dim, err) &&
           normalizer_init(&b->action, "action", NORM_IDENTITY, NULL, p->action_dim, err);
}

static LoaderOptions loader_options(const LoaderBench *b) {
    const TrainConfig *c = &b->config;
    const PolicyConfig *p = &c->policy;
    return (LoaderOptions){.dataset = b->dataset,
                           .window = policy_window(p),
                           .state = p->state_dim ? &b->state : NULL,
                           .env = p->env_dim ? &b->env : NULL,
                           .action = &b->action,
                           .cameras = b->cameras,
                           .n_cameras = p->n_cameras,
                           .sizes = b->sizes,
                           .rows = b->rows,
                           .n_rows = b->dataset->rows,
                           .batch_size = c->batch_size,
                           .num_workers = c->num_workers,
                           .prefetch = c->prefetch_factor,
                           .shuffle = true,
                           .drop_last = true,
                           .seed = (uint64_t)c->seed,
                           .cache = b->cache,
                           .transforms =
                               c->dataset.image_transforms.enable ? &b->transforms : NULL};
}

static void open_cache(LoaderBench *b) {
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

// From the start of the loader on. A pass that is to fill the cache goes on, uncounted, to the
// epoch's end.
CHECKED static bool run_pass(LoaderBench *b, Pass *out, bool fill, Error *err) {
    const LoaderOptions options = loader_options(b);
    Loader *l;
    double start = clock_seconds();
    *out = (Pass){0};
    if (!loader_open(&options, &l, err)) return false;
    int64_t epoch = loader_batches_per_epoch(l), wanted = b->steps > 0 ? b->steps : epoch;
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

CHECKED static bool run_passes(LoaderBench *b, Error *err) {
    if (!make_temporary_dir(b->dir, sizeof b->dir, b->config.dataset.frame_cache_dir, err))
        return false;
    if (!run_pass(b, &b->passes[NO_CACHE], false, err)) return false;
    open_cache(b);
    if (!b->cache) return true;
    if (!run_pass(b, &b->passes[COLD], true, err)) return false;
    if (strcmp(frame_cache_kind(b->cache), "file") == 0) { // as another run would find it
        frame_cache_close(b->cache);
        open_cache(b);
    }
    return run_pass(b, &b->passes[WARM], false, err);
}

static void print_json(const LoaderBench *b) {
    const TrainConfig *c = &b->config;
    const PolicyConfig *p = &c->policy;
    json_t *j = json_pack("{s:s, s:s, s:i, s:o, s:i, s:i, s:i, s:b}", "dataset", b->dataset->root,
                          "frame_cache", frame_cache_kind(b->cache), "cameras", p->n_cameras,
                          "image_sizes", bench_sizes_json(p), "obs_state_horizon",
                          p->obs_state_horizon, "batch_size", c->batch_size, "num_workers",
                          c->num_workers, "image_transforms", c->dataset.image_transforms.enable);
    for (int i = 0; i < PASSES; i++) {
        const Pass *s = &b->passes[i];
        if (s->batches == 0) continue;
        json_object_set_new(j, pass_names[i],
                            json_pack("{s:I, s:f, s:f, s:f, s:f}", "batches",
                                      (json_int_t)s->batches, "seconds", s->seconds,
                                      "first_batch_s", s->first, "batches_per_s",
                                      (double)s->batches / s->seconds, "frames_per_s",
                                      (double)s->frames / s->seconds));
    }
    char *text = json_text(j, 2);
    printf("%s\n", text);
    mem_free(text);
    json_decref(j);
}

static void print_text(const LoaderBench *b) {
    const TrainConfig *c = &b->config;
    const PolicyConfig *p = &c->policy;
    char sizes[IMAGE_SIZES_TEXT];
    policy_image_sizes(p, sizes, sizeof sizes);
    printf("loader, batch %d, T=%d, %d camera%s %s, %d workers, frame cache: %s\n", c->batch_size,
           p->obs_state_horizon, p->n_cameras, p->n_cameras == 1 ? "" : "s", sizes, c->num_workers,
           frame_cache_kind(b->cache));
    for (int i = 0; i < PASSES; i++) {
        const Pass *s = &b->passes[i];
        if (s->batches == 0) continue;
        printf("  %-5s %10.1f frames/s %9.2f batches/s   %lld batches in %.2f s, the first after "
               "%.3f s\n",
               pass_names[i], (double)s->frames / s->seconds, (double)s->batches / s->seconds,
               (long long)s->batches, s->seconds, s->first);
    }
}

static void free_bench(LoaderBench *b) {
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

bool bench_loader_wanted(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--loader") == 0 || strcmp(argv[i], "--loader=true") == 0) return true;
    return false;
}

int bench_loader(int argc, char **argv) {
    LoaderBench b = {0};
    bool loader;
    const Option options[] = {
        {"loader", OPTION_BOOL, &loader, 0, 0, "this benchmark"},
        {"steps", OPTION_INT, &b.steps, 1, 1000000, "batches to time; without it an epoch"},
        {"json", OPTION_BOOL, &b.json, 0, 0, "print JSON"},
    };
    const int count = sizeof options / sizeof *options;
    Error err;
    int code = EXIT_OK;
    if (cli_wants_help(argc, argv)) {
        printf("tact bench --loader: frames a second from disk to batches, without a frame cache, "
               "while "
               "it is\nfilled, and full\n\n");
        options_print(options, count);
        printf(
            "\nThe flags of tact train that shape batches (--dataset.*, --policy.*, --batch_size, "
            "--num_workers,\n--prefetch_factor, --seed) apply. The cache is made in "
            "--dataset.frame_cache_dir, or $TMPDIR, and removed.\n");
        return EXIT_OK;
    }
    train_config_default(&b.config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_rest_known(options, count, argc, argv, &err) ||
        !train_config_parse(&b.config, argc, argv, &err) ||
        !train_config_check_data(&b.config, &err)) {
        code = cli_error(&err, EXIT_USAGE);
        goto done;
    }
    if (!open_data(&b, &err) || !run_passes(&b, &err)) {
        code = cli_error(&err, EXIT_ERROR);
        goto done;
    }
    if (b.json)
        print_json(&b);
    else
        print_text(&b);
done:
    free_bench(&b);
    return code;
}
