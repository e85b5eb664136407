// SPDX-License-Identifier: Apache-2.0
// Compares the backward of an op with finite differences of its forward, at small shapes.
//
// A check names the tensors of its op. For random r, loss = sum of r * output; the backward of
// dy = r must give d loss / d input for every element of every input.
#ifndef TACT_TESTS_OPS_SLOPES_H
#define TACT_TESTS_OPS_SLOPES_H

#include "base/memory.h"
#include "base/rng.h"
#include "ops/ops.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_INPUTS = 4 };

typedef struct Check {
    Device *d;
    TensorArena arena;
    uint32_t site;           // of the next random tensor
    Tensor y, dy;            // the output and r
    Tensor in[MAX_INPUTS];   // inputs to differentiate by
    Tensor grad[MAX_INPUTS]; // what backward says
    int inputs;
    void (*forward)(struct Check *k); // writes y from in
    void (*backward)(struct Check *k);
    // Arguments of the op that are no inputs:
    Conv *conv;
    Pool *pool;
    Tensor other[3];
    Tensor index, pad;
    Activation act;
    Dropout drop;
    int heads;
} Check;

static inline void fill_random(Check *k, Tensor t) {
    RngKey key = {.seed = 5, .step = 0, .site = ++k->site};
    k->d->random_normal(k->d, tensor_reshape(t, 1, SHAPE(tensor_count(t))), key);
}

static inline Tensor new_tensor(Check *k, int rank, const int64_t *shape) {
    Tensor t = arena_tensor(&k->arena, DTYPE_F32, rank, shape);
    fill_random(k, t);
    return t;
}

// An input and the place of its gradient, which starts at random numbers (not at 0) that the test
// subtracts when the op accumulates.
static inline void add_input(Check *k, int rank, const int64_t *shape) {
    k->in[k->inputs] = new_tensor(k, rank, shape);
    k->grad[k->inputs++] = new_tensor(k, rank, shape);
}

static inline void set_output(Check *k, int rank, const int64_t *shape) {
    k->y = new_tensor(k, rank, shape);
    k->dy = new_tensor(k, rank, shape);
}

static inline Check check_new(void) {
    Check k = {0};
    Error err;
    assert_true(device_open("ref", PRECISION_FLOAT32, 1, &k.d, &err));
    k.arena.device = k.d;
    return k;
}

static inline void check_free(Check *k) {
    if (k->conv) k->d->conv_free(k->d, k->conv);
    if (k->pool) k->d->pool_free(k->d, k->pool);
    tensor_arena_free(&k->arena);
    device_close(k->d);
}

static inline double loss_at(Check *k, float *x, double value) {
    float old = *x;
    *x = (float)value;
    k->forward(k);
    *x = old;
    double loss = 0;
    for (int64_t i = 0; i < tensor_count(k->y); i++) loss += (double)f32(k->y)[i] * f32(k->dy)[i];
    return loss;
}

// d loss / d x from four points: the error is of fourth order in the step.
static inline double slope_at(Check *k, float *x, double step) {
    double at = *x;
    double near = loss_at(k, x, at + step) - loss_at(k, x, at - step);
    double far = loss_at(k, x, at + 2 * step) - loss_at(k, x, at - 2 * step);
    return (8 * near - far) / (12 * step);
}

// accumulates: bit i is set when the op adds to the gradient of input i.
static inline void compare_slopes(Check *k, unsigned accumulates, double step, double tolerance) {
    float *start[MAX_INPUTS];
    for (int i = 0; i < k->inputs; i++) {
        size_t bytes = (size_t)tensor_count(k->grad[i]) * sizeof(float);
        start[i] = mem_alloc(bytes);
        if (accumulates >> i & 1) memcpy(start[i], k->grad[i].data, bytes);
    }
    k->forward(k);
    k->backward(k);
    for (int i = 0; i < k->inputs; i++) {
        for (int64_t j = 0; j < tensor_count(k->in[i]); j++) {
            double slope = slope_at(k, f32(k->in[i]) + j, step);
            double given = (double)f32(k->grad[i])[j] - start[i][j];
            if (!(fabs(slope - given) <= tolerance * (1 + fabs(slope))))
                fail_msg("input %d, element %d: backward says %.7g, differences say %.7g", i,
                         (int)j, given, slope);
        }
        mem_free(start[i]);
    }
    Error err;
    assert_true(device_check(k->d, &err));
}

// Steps: for linear ops any step is exact and a large one rounds least.
static const double linear_step = 0.5, linear_tolerance = 1e-5;
static const double curved_step = 1.0 / 32, curved_tolerance = 1e-4;

#endif
