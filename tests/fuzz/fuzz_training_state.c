// SPDX-License-Identifier: Apache-2.0
// Any files as what a checkpoint keeps of a training, and any weights: they are refused, or a small
// optimizer and model have them, every value finite.
#include "driver.h"
#include "policy/policy_weights.h"
#include "train/training_state.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TENSORS = 4, STRIDE = 16 };

typedef struct Model {
    Params params;
    Param list[TENSORS];
    Optimizer optimizer;
} Model;

// A matrix, a table of times, a vector of the backbone, and one that is not trained.
static void make_model(Model *m, Device *d, Error *err) {
    static const struct {
        const char *name;
        ParamKind kind;
        int64_t rows, columns;
    } all[TENSORS] = {{"model.a.weight", PARAM_MAIN, 2, 3},
                      {TEMPORAL_TABLE, PARAM_MAIN, 2, 2},
                      {"model.backbone.b", PARAM_BACKBONE, 3, 0},
                      {"model.backbone.c", PARAM_BUFFER, 2, 0}};
    Params *p = &m->params;
    for (int i = 0; i < TENSORS; i++) {
        Param *q = &m->list[i];
        const int64_t columns = all[i].columns ? all[i].columns : 1;
        const bool buffer = all[i].kind == PARAM_BUFFER;
        *q = (Param){.name = all[i].name,
                     .kind = all[i].kind,
                     .rank = all[i].columns ? 2 : 1,
                     .shape = {all[i].rows, all[i].columns},
                     .count = all[i].rows * columns,
                     .offset = buffer ? p->buffers : p->trainable};
        *(buffer ? &p->buffers : &p->trainable) += STRIDE;
        if (all[i].kind == PARAM_MAIN) p->main = p->trainable;
    }
    p->list = m->list;
    p->count = TENSORS;
    p->device = d;
    p->values = params_flat(d, p->trainable);
    p->buffer_values = params_flat(d, p->buffers);
    TrainConfig config;
    train_config_default(&config);
    if (!optimizer_init(&m->optimizer, p, &config, err)) abort();
    train_config_free(&config);
}

static Model *model(void) {
    static Model *made;
    Device *d;
    Error err;
    if (made) return made;
    made = NEW(Model, 1);
    if (!device_open("ref", PRECISION_FLOAT32, 1, &d, &err)) abort();
    make_model(made, d, &err);
    return made;
}

static void check_finite(const Tensor *t, int64_t n) {
    const float *values = t->data; // the reference device computes in host memory
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i])) abort();
}

static void read_state(const char *dir, Model *m) {
    TrainingState state;
    Error err = {""};
    if (!fuzz_ok(training_state_read(dir, &state, &err), &err)) return;
    if (state.step < 1) abort();
    for (int new_times = 0; new_times < 2; new_times++) {
        if (!fuzz_ok(optimizer_state_read(dir, state.step, new_times, &m->optimizer, &err), &err))
            continue;
        if (m->optimizer.step != state.step) abort();
        check_finite(&m->optimizer.m, m->params.trainable);
        check_finite(&m->optimizer.v, m->params.trainable);
    }
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const char *dir = fuzz_folder(parts, n, "");
    Model *m = model();
    Error err = {""};
    read_state(dir, m);
    for (int i = 0; i < 4; i++) {
        const WeightsOptions o = {.new_times = i & 1, .check_only = i >> 1};
        if (fuzz_ok(policy_read_weights(dir, &m->params, o, &err), &err))
            check_finite(&m->params.values, m->params.trainable);
    }
}
