// SPDX-License-Identifier: Apache-2.0
// A small policy with its optimiser, to be saved and read by the tests of this folder.
#ifndef TACT_TESTS_TRAIN_SAVED_H
#define TACT_TESTS_TRAIN_SAVED_H

#include "formats/safetensors.h"
#include "policy/policy_stats.h"
#include "train/checkpoint.h"

#include "../dataset/fixture.h"

typedef struct Saved {
    Arena arena;
    char *dir;
    TrainConfig config;
    Device *device;
    Params params, average;
    Optimizer optimizer;
    PolicyStats stats;
    TrainingState state;
    CheckpointParts parts;
} Saved;

static inline void fill_flat(Saved *f, Tensor t, float scale) {
    int64_t n = f->params.trainable;
    float *values = NEW(float, n);
    for (int64_t i = 0; i < n; i++) values[i] = scale * (float)(i % 1013 + 1);
    f->device->upload(f->device, t.data, values, (size_t)n * sizeof *values);
    mem_free(values);
}

static inline Stats example_stats(int dim) {
    Stats s = {.dim = dim,
               .min = NEW(double, dim),
               .max = NEW(double, dim),
               .mean = NEW(double, dim),
               .std = NEW(double, dim),
               .count = 321};
    for (int i = 0; i < dim; i++) {
        s.min[i] = -0.1 - i;
        s.max[i] = 0.7 + i;
        s.mean[i] = 0.3 * i;
        s.std[i] = 0.1 + i;
    }
    return s;
}

static inline int saved_new(void **state) {
    Saved *f = NEW(Saved, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    train_config_default(&f->config);
    f->config.output_dir = at(&f->arena, f->dir, "run");
    f->config.steps = 100;
    PolicyConfig *p = &f->config.policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = p->obs_state_horizon = 2;
    p->n_encoder_layers = p->n_vae_encoder_layers = 1;
    p->chunk_size = p->n_action_steps = 4;
    p->state_dim = p->action_dim = 3;
    p->env_dim = 2;
    p->normalization_mapping = (NormMap){"MEAN_STD", "MIN_MAX", "MIN_MAX", "MEAN_STD"};
    p->pose_repr = "none";
    p->pretrained_backbone_weights = NULL;
    p->fps = 10;
    OK(device_open("ref", PRECISION_FLOAT32, 1, &f->device, &err));
    OK(params_init(&f->params, f->device, p, true, &err));
    OK(params_init(&f->average, f->device, p, false, &err));
    params_initialize(&f->params, 4);
    params_initialize(&f->average, 5);
    OK(optimizer_init(&f->optimizer, &f->params, &f->config, &err));
    fill_flat(f, f->optimizer.m, -1e-3f);
    fill_flat(f, f->optimizer.v, 1e-6f);
    f->stats = (PolicyStats){
        .state = example_stats(3), .action = example_stats(3), .env = example_stats(2)};
    policy_stats_round(&f->stats);
    f->state = (TrainingState){.step = 50,
                               .next_step = 50,
                               .step_samples = 8,
                               .frames = 400,
                               .seed = 1000,
                               .threads = 1,
                               .ema_updates = 50,
                               .sums = {.count = 3, .loss = 0.1, .lr = 3e-5}};
    f->optimizer.step = 50;
    f->parts = (CheckpointParts){.config = &f->config,
                                 .params = &f->params,
                                 .average = &f->average,
                                 .stats = &f->stats,
                                 .optimizer = &f->optimizer,
                                 .state = &f->state};
    *state = f;
    return 0;
}

static inline int saved_free(void **state) {
    Saved *f = *state;
    optimizer_free(&f->optimizer);
    params_free(&f->params);
    params_free(&f->average);
    policy_stats_free(&f->stats);
    device_close(f->device);
    train_config_free(&f->config);
    return remove_fixture(f, &f->arena, f->dir);
}

static inline char *checkpoint_file(Saved *f, const char *name) {
    return arena_printf(&f->arena, "%s/checkpoints/%s", f->config.output_dir, name);
}

static inline void save_at(Saved *f, int64_t step) {
    Error err;
    char path[4096];
    f->state.step = f->optimizer.step = step;
    OK(checkpoint_write(&f->parts, path, sizeof path, &err));
    char name[32];
    checkpoint_step_name(name, sizeof name, step, f->config.steps);
    assert_string_equal(path, checkpoint_file(f, name));
}

static inline void assert_same_file(const char *a, const char *b) {
    char *x, *y;
    size_t n, m;
    Error err;
    OK(file_read(a, &x, &n, &err));
    OK(file_read(b, &y, &m, &err));
    if (n != m || memcmp(x, y, n) != 0) fail_msg("%s and %s differ", a, b);
    mem_free(x);
    mem_free(y);
}

#endif
