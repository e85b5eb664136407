// SPDX-License-Identifier: Apache-2.0
// The time of a training step on a synthetic batch.
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/bench/cameras.h"
#include "cli/bench/training_steps.h"
#include "image/image.h"
#include "model/memory.h"

enum { SITE_BENCH = 0xbe };

// A model in training, and one batch for it.
typedef struct TrainingBench {
    const TrainConfig *config;
    Device *device;
    Params params;
    Act *act;
    Optimizer optimizer;
    ActInput in;
    MemoryEstimate estimate;
    void *owned[MAX_CAMERAS + 4]; // by the batch
} TrainingBench;

static float *random_floats(int64_t n, RngStream *rng) {
    float *out = NEW(float, n);
    for (int64_t i = 0; i < n; i++) out[i] = (float)(2 * rng_double(rng) - 1);
    return out;
}

static void make_batch(TrainingBench *b) {
    const PolicyConfig *p = &b->config->policy;
    RngStream rng = {.key = {.seed = (uint64_t)b->config->seed, .site = SITE_BENCH}};
    int64_t B = b->config->batch_size, T = p->obs_state_horizon, Q = policy_action_rows(p);
    float *state = random_floats(B * T * p->state_dim, &rng);
    float *action = random_floats(B * Q * p->action_dim, &rng);
    const uint8_t **images = NEW(const uint8_t *, MAX_CAMERAS);
    uint8_t *pad = NEW(uint8_t, B * Q);
    int n = 0;
    b->owned[n++] = state;
    b->owned[n++] = action;
    b->owned[n++] = images;
    b->owned[n++] = pad;
    for (int i = 0; i < p->n_cameras; i++) {
        int64_t pixels =
            B * T * (int64_t)image_rgb_bytes(p->cameras[i].image_height, p->cameras[i].image_width);
        uint8_t *frames = NEW(uint8_t, pixels);
        for (int64_t k = 0; k < pixels; k++) frames[k] = (uint8_t)rng_next(&rng);
        images[i] = frames;
        b->owned[n++] = frames;
    }
    b->in = (ActInput){
        .batch = (int)B, .state = state, .images = images, .action = action, .action_is_pad = pad};
}

// Frames are copied to a device from where they lie, as those of the loader are.
static void pin_frames(TrainingBench *b, bool pinned) {
    const PolicyConfig *p = &b->config->policy;
    const size_t frames = (size_t)b->config->batch_size * (size_t)p->obs_state_horizon;
    for (int i = 0; b->in.images && i < p->n_cameras; i++)
        b->device->pin(b->device, (void *)(uintptr_t)b->in.images[i],
                       frames *
                           image_rgb_bytes(p->cameras[i].image_height, p->cameras[i].image_width),
                       pinned);
}

CHECKED static bool set_up_training(TrainingBench *b, Error *err) {
    const TrainConfig *c = b->config;
    ImageStats images[MAX_CAMERAS];
    for (int i = 0; i < MAX_CAMERAS; i++) images[i] = image_stats_imagenet;
    const char *device = c->policy.device ? c->policy.device : "cpu";
    Precision precision;
    if (!precision_named(c->policy.dtype, device, &precision, err)) return false;
    if (precision == PRECISION_INT8)
        return fail(err, "--policy.dtype=int8: trains nothing; with --infer it is measured");
    if (!device_open(device, precision, c->threads, &b->device, err) ||
        !estimate_memory(&c->policy, c->batch_size, true, b->device->backend, precision,
                         &b->estimate, err) ||
        !params_init(&b->params, b->device, &c->policy, true, err))
        return false;
    params_initialize(&b->params, (uint64_t)c->seed);
    make_batch(b);
    pin_frames(b, true);
    return act_new(b->device, &c->policy, &b->params, c->batch_size, true, images, &b->act, err) &&
           optimizer_init(&b->optimizer, &b->params, c, err);
}

static void free_training(TrainingBench *b) {
    if (b->device) pin_frames(b, false);
    optimizer_free(&b->optimizer);
    act_free(b->act);
    params_free(&b->params);
    device_close(b->device);
    for (size_t i = 0; i < sizeof b->owned / sizeof *b->owned; i++) mem_free(b->owned[i]);
}

CHECKED static bool training_step(void *user, Error *err) {
    TrainingBench *b = user;
    StepParts parts;
    return time_step_parts(b->act, &b->optimizer, &b->in, (uint64_t)b->config->seed, &parts, err);
}

bool bench_training(TrainConfig *c, const BenchOptions *options, Error *err) {
    TrainingBench b = {.config = c};
    TrainingReport r = {.options = options, .config = c};
    bool ok = bench_synthetic_policy(c, options->image, options->cameras, err) &&
              set_up_training(&b, err) &&
              time_training_steps(b.act, &b.optimizer, &b.in, (uint64_t)c->seed, options->steps,
                                  &r.timings, err) &&
              (!options->ops ||
               op_times_measure(b.device, training_step, &b, options->steps, &r.ops, err)) &&
              bench_peak(b.device, &r.peak, err);
    if (ok) {
        r.device = b.device;
        r.flops = act_step_flops(b.act);
        r.estimated_mb = (double)b.estimate.total / 1e6;
        training_report_print(&r);
    }
    free_training(&b);
    return ok;
}
