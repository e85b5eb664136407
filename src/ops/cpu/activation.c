// SPDX-License-Identifier: Apache-2.0
// Activation functions with dropout, and dropout before a residual sum: each reads and writes
// memory once, rows split over the threads.
#include "ops/cpu/cpu.h"
#include "ops/cpu/vector.h"

static inline float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}

static inline float gelu_slope(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}

// The scales of up to 32 columns from `at`; ones without dropout. Returns how many columns.
static inline int64_t chunk_scales(float *scale, Dropout drop, int64_t row, int64_t at,
                                   int64_t cols) {
    if (drop.p > 0)
        dropout_scales(scale, drop, (uint32_t)row, (uint32_t)(at / DROPOUT_CHUNK));
    else
        for (int i = 0; i < DROPOUT_CHUNK; i++) scale[i] = 1;
    return cols - at < DROPOUT_CHUNK ? cols - at : DROPOUT_CHUNK;
}

static void relu(Device *d, float *out, const float *in, int64_t n) {
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] = in[i] < 0 ? 0 : in[i]; // NaN stays NaN
}

void cpu_relu_image(Device *d, void *image, size_t bytes) {
    if (cpu_bf16(d))
        cpu_relu_halves(d, image, (int64_t)(bytes / sizeof(bf16)));
    else
        relu(d, image, image, (int64_t)(bytes / sizeof(float)));
}

static void activation_forward(Device *d, Tensor y, Tensor x, Activation act, Dropout drop) {
    if (d->failed) return;
    int64_t rows = tensor_rows(x), cols = tensor_columns(x);
    if (act == ACT_RELU && drop.p == 0) {
        relu(d, f32(y), f32(x), rows * cols);
        return;
    }
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < rows; m++) {
        const float *in = f32(x) + m * cols;
        float *out = f32(y) + m * cols, scale[DROPOUT_CHUNK];
        for (int64_t at = 0; at < cols; at += DROPOUT_CHUNK) {
            int64_t n = chunk_scales(scale, drop, m, at, cols);
            if (act == ACT_GELU)
                for (int64_t i = 0; i < n; i++) out[at + i] = gelu(in[at + i]) * scale[i];
            else if (act == ACT_RELU)
                for (int64_t i = 0; i < n; i++)
                    out[at + i] = (in[at + i] < 0 ? 0 : in[at + i]) * scale[i];
            else
                for (int64_t i = 0; i < n; i++) out[at + i] = in[at + i] * scale[i];
        }
    }
}

static void activation_backward(Device *d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act,
                                Dropout drop) {
    if (d->failed) return;
    int64_t rows = tensor_rows(dy), cols = tensor_columns(dy);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < rows; m++) {
        const float *g = f32(dy) + m * cols;
        float *out = f32(dx) + m * cols, scale[DROPOUT_CHUNK];
        if (act == ACT_RELU) { // what was dropped is zero in y, so y tells both
            const float *v = f32(y) + m * cols;
            float keep = 1.0f / (1.0f - drop.p);
            for (int64_t i = 0; i < cols; i++) out[i] = v[i] > 0 ? g[i] * keep : 0;
            continue;
        }
        for (int64_t at = 0; at < cols; at += DROPOUT_CHUNK) {
            int64_t n = chunk_scales(scale, drop, m, at, cols);
            const float *v = act == ACT_GELU ? f32(x) + m * cols + at : NULL;
            for (int64_t i = 0; i < n; i++)
                out[at + i] = g[at + i] * scale[i] * (v ? gelu_slope(v[i]) : 1.0f);
        }
    }
}

static void dropout_add_forward(Device *d, Tensor r, Tensor x, Tensor st, Dropout drop) {
    if (d->failed) return;
    int64_t rows = tensor_rows(x), cols = tensor_columns(x);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < rows; m++) {
        const float *in = f32(x) + m * cols, *add_in = f32(st) + m * cols;
        float *out = f32(r) + m * cols, scale[DROPOUT_CHUNK];
        for (int64_t at = 0; at < cols; at += DROPOUT_CHUNK) {
            int64_t n = chunk_scales(scale, drop, m, at, cols);
            for (int64_t i = 0; i < n; i++) out[at + i] = in[at + i] + add_in[at + i] * scale[i];
        }
    }
}

static void dropout_add_backward(Device *d, Tensor ds, Tensor dr, Dropout drop) {
    if (d->failed) return;
    activation_forward(d, ds, dr, ACT_NONE, drop);
}

void cpu_activation_ops(Device *d) {
    d->activation_forward = activation_forward;
    d->activation_backward = activation_backward;
    d->dropout_add_forward = dropout_add_forward;
    d->dropout_add_backward = dropout_add_backward;
}
