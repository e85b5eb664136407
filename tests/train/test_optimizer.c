// SPDX-License-Identifier: Apache-2.0
// AdamW over two groups with clipping, against the formulas written out in double.
#include "one_step.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct Fixture {
    TrainConfig config;
    Device *device;
    Params params;
    Optimizer optimizer;
} Fixture;

static void open_on(Fixture *f, const char *device) {
    Error err;
    PolicyConfig *p = &f->config.policy;
    train_config_default(&f->config);
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = p->obs_state_horizon = 2;
    p->chunk_size = 4;
    p->state_dim = p->action_dim = 3;
    p->n_cameras = 1;
    p->cameras[0] = (CameraConfig){"observation.images.cam", 32, 32, 32, 32, 0, 0};
    p->optimizer_lr = 1e-2;
    p->optimizer_lr_backbone = 1e-3;
    p->optimizer_weight_decay = 0.1;
    bool ok = device_open(device, PRECISION_FLOAT32, 1, &f->device, &err) &&
              params_init(&f->params, f->device, p, true, &err) &&
              (params_initialize(&f->params, 1),
               optimizer_init(&f->optimizer, &f->params, &f->config, &err));
    if (!ok) fail_msg("%s", err.text);
}

static void close_all(Fixture *f) {
    optimizer_free(&f->optimizer);
    params_free(&f->params);
    device_close(f->device);
    train_config_free(&f->config);
}

static float *host(Fixture *f, Tensor t) {
    size_t bytes = (size_t)f->params.trainable * sizeof(float);
    float *values = mem_alloc(bytes);
    f->device->download(f->device, values, t.data, bytes);
    return values;
}

static float gradient(int64_t i, int step) {
    return (float)(sin((double)i * 0.37 + step) * (i % 3 ? 1e-3 : 1e-1));
}

// Sets the gradients of a step (all the flat array, padding too) and returns their norm.
static double set_gradients(Fixture *f, int step) {
    int64_t n = f->params.trainable;
    float *g = NEW(float, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        g[i] = gradient(i, step);
        sum += (double)g[i] * (double)g[i];
    }
    f->device->upload(f->device, f->params.grads.data, g, (size_t)n * sizeof *g);
    mem_free(g);
    return sqrt(sum);
}

// Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2, with the
// decay times the learning rate as PyTorch has it.
static void adamw(double *p, double *m, double *v, double grad, double lr, int step) {
    *p -= lr * 0.1 * *p;
    *m = 0.9 * *m + 0.1 * grad;
    *v = 0.999 * *v + 0.001 * grad * grad;
    *p -= lr * (*m / (1 - pow(0.9, step))) / (sqrt(*v / (1 - pow(0.999, step))) + 1e-8);
}

static void steps_follow_the_formulas(void **state) {
    Fixture f = {0};
    open_on(&f, *state);
    int64_t n = f.params.trainable;
    float *start = host(&f, f.params.values);
    double *p = NEW(double, n), *m = NEW(double, n), *v = NEW(double, n);
    for (int64_t i = 0; i < n; i++) p[i] = (double)start[i];
    assert_true(f.params.main > 0 && f.params.main < n);
    for (int step = 1; step <= 3; step++) {
        double norm = set_gradients(&f, step), clip = step == 1 ? 1 : 10 / (norm + 1e-6);
        if (step == 1)
            f.optimizer.max_norm = 1e9; // no clipping, then with
        else
            f.optimizer.max_norm = 10;
        assert_true(norm > 10);
        float got = optimizer_once(&f.optimizer);
        assert_true(fabs((double)got - norm) <= 1e-5 * norm);
        for (int64_t i = 0; i < n; i++)
            adamw(&p[i], &m[i], &v[i], (double)gradient(i, step) * clip,
                  i < f.params.main ? 1e-2 : 1e-3, step);
    }
    float *end = host(&f, f.params.values), *left = host(&f, f.params.grads);
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)end[i] - p[i]) <= 2e-6))
            fail_msg("value %lld is %.9g, not %.9g", (long long)i, (double)end[i], p[i]);
        assert_true(left[i] == 0);
    }
    mem_free(start), mem_free(end), mem_free(left), mem_free(p), mem_free(m), mem_free(v);
    close_all(&f);
}

static void a_bad_gradient_changes_nothing(void **state) {
    Fixture f = {0};
    open_on(&f, *state);
    static const float bad[] = {NAN, INFINITY};
    float *before = host(&f, f.params.values);
    size_t bytes = (size_t)f.params.trainable * sizeof(float);
    for (int k = 0; k < 2; k++) {
        set_gradients(&f, 1);
        f.device->upload(f.device, f32(f.params.grads) + 5, &bad[k], sizeof bad[k]);
        assert_false(isfinite(optimizer_once(&f.optimizer)));
        assert_int_equal(f.optimizer.step, 0);
        float *after = host(&f, f.params.values), *m = host(&f, f.optimizer.m);
        assert_memory_equal(before, after, bytes);
        for (int64_t i = 0; i < f.params.trainable; i++) assert_true(m[i] == 0);
        mem_free(after), mem_free(m);
    }
    mem_free(before);
    close_all(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"steps follow the formulas, ref", steps_follow_the_formulas, NULL, NULL, "ref"},
        {"steps follow the formulas, cpu", steps_follow_the_formulas, NULL, NULL, "cpu"},
        {"a bad gradient changes nothing, ref", a_bad_gradient_changes_nothing, NULL, NULL, "ref"},
        {"a bad gradient changes nothing, cpu", a_bad_gradient_changes_nothing, NULL, NULL, "cpu"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
