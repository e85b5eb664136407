// SPDX-License-Identifier: Apache-2.0
// Layer normalisation over the last dimension: threads split the rows, and the columns for the
// gradients of gamma and beta.
#include "ops/cpu/cpu.h"

#include <math.h>

static const float layernorm_eps = 1e-5f;

static void layernorm_forward(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
                              Tensor beta) {
    if (d->failed) return;
    int64_t D = tensor_columns(x), M = tensor_rows(x);
    const float *g = f32(gamma), *b = f32(beta);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < M; m++) {
        const float *in = f32(x) + m * D;
        float *out = f32(y) + m * D, sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < D; c++) sum += in[c];
        float mu = sum / (float)D;
#pragma omp simd reduction(+ : square)
        for (int64_t c = 0; c < D; c++) square += (in[c] - mu) * (in[c] - mu);
        float r = 1.0f / sqrtf(square / (float)D + layernorm_eps);
        f32(mean)[m] = mu;
        f32(rstd)[m] = r;
        for (int64_t c = 0; c < D; c++) out[c] = (in[c] - mu) * r * g[c] + b[c];
    }
}

// dgamma, dbeta: threads split the columns.
static void parameter_gradients(Device *d, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x,
                                Tensor mean, Tensor rstd) {
    enum { COLUMNS = 64 };
    int64_t D = tensor_columns(x), M = tensor_rows(x);
#pragma omp parallel for num_threads(d->threads) schedule(static)
    for (int64_t at = 0; at < D; at += COLUMNS) {
        float dg[COLUMNS] = {0}, db[COLUMNS] = {0};
        int64_t n = D - at < COLUMNS ? D - at : COLUMNS;
        for (int64_t m = 0; m < M; m++) {
            const float *in = f32(x) + m * D + at, *g = f32(dy) + m * D + at;
            float mu = f32(mean)[m], r = f32(rstd)[m];
            for (int64_t i = 0; i < n; i++) {
                dg[i] += g[i] * (in[i] - mu) * r;
                db[i] += g[i];
            }
        }
        for (int64_t i = 0; i < n; i++) {
            f32(dgamma)[at + i] += dg[i];
            f32(dbeta)[at + i] += db[i];
        }
    }
}

static void layernorm_backward(Device *d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy,
                               Tensor x, Tensor mean, Tensor rstd, Tensor gamma, bool accumulate) {
    if (d->failed) return;
    int64_t D = tensor_columns(x), M = tensor_rows(x);
    const float *w = f32(gamma);
    parameter_gradients(d, dgamma, dbeta, dy, x, mean, rstd); // first: dx may be dy
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < M; m++) {
        const float *in = f32(x) + m * D, *g = f32(dy) + m * D;
        float *out = f32(dx) + m * D, mu = f32(mean)[m], r = f32(rstd)[m], sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
        for (int64_t c = 0; c < D; c++) {
            float h = (in[c] - mu) * r, q = g[c] * w[c];
            sum += q;
            dot += q * h;
        }
        sum /= (float)D;
        dot /= (float)D;
        for (int64_t c = 0; c < D; c++) {
            float v = r * (g[c] * w[c] - sum - (in[c] - mu) * r * dot);
            out[c] = accumulate ? out[c] + v : v;
        }
    }
}

void cpu_layernorm_ops(Device *d) {
    d->layernorm_forward = layernorm_forward;
    d->layernorm_backward = layernorm_backward;
}
