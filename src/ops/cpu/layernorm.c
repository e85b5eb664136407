// SPDX-License-Identifier: Apache-2.0
// Layer normalisation over the last dimension: threads split the rows, and the columns for the
// gradients of gamma and beta. Each pass has one body for both types of activations.
#include "ops/cpu/cpu.h"
#include "ops/cpu/vector.h"

#include <math.h>

static const float layernorm_eps = 1e-5f;

IN_LOOPS void forward_row(void *out, const void *in, bool half, int64_t D, const float *g,
                          const float *b, float *mean, float *rstd) {
    float sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < D; c++) sum += value_at(in, half, c);
    const float mu = sum / (float)D;
#pragma omp simd reduction(+ : square)
    for (int64_t c = 0; c < D; c++) {
        const float off = value_at(in, half, c) - mu;
        square += off * off;
    }
    const float r = 1.0f / sqrtf(square / (float)D + layernorm_eps);
    *mean = mu;
    *rstd = r;
#pragma omp simd
    for (int64_t c = 0; c < D; c++)
        set_value(out, half, c, (value_at(in, half, c) - mu) * r * g[c] + b[c]);
}

static void layernorm_forward(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
                              Tensor beta) {
    if (d->failed) return;
    int64_t D = tensor_columns(x), M = tensor_rows(x);
    const float *g = f32(gamma), *b = f32(beta);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < M; m++) {
        float *mu = f32(mean) + m, *r = f32(rstd) + m;
        if (is_half(x))
            forward_row(element(y, m * D), element(x, m * D), true, D, g, b, mu, r);
        else
            forward_row(element(y, m * D), element(x, m * D), false, D, g, b, mu, r);
    }
}

// A row's part of the sums over rows of n columns.
IN_LOOPS void add_gradients(float *dg, float *db, const void *in, const void *g, bool half,
                            int64_t n, float mu, float r) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float slope = value_at(g, half, i);
        dg[i] += slope * (value_at(in, half, i) - mu) * r;
        db[i] += slope;
    }
}

// dgamma, dbeta: threads split the columns.
static void parameter_gradients(Device *d, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x,
                                Tensor mean, Tensor rstd) {
    enum { LEAST = 64, MOST = 512 };
    const int64_t D = tensor_columns(x), M = tensor_rows(x);
    const int64_t columns = column_chunk(D, d->threads, LEAST, MOST);
#pragma omp parallel for num_threads(d->threads) schedule(static)
    for (int64_t at = 0; at < D; at += columns) {
        float dg[MOST] = {0}, db[MOST] = {0};
        const int64_t n = D - at < columns ? D - at : columns;
        for (int64_t m = 0; m < M; m++) {
            const void *in = element(x, m * D + at), *g = element(dy, m * D + at);
            const float mu = f32(mean)[m], r = f32(rstd)[m];
            if (is_half(x))
                add_gradients(dg, db, in, g, true, n, mu, r);
            else
                add_gradients(dg, db, in, g, false, n, mu, r);
        }
        for (int64_t i = 0; i < n; i++) {
            f32(dgamma)[at + i] += dg[i];
            f32(dbeta)[at + i] += db[i];
        }
    }
}

typedef struct NormRow {
    void *dx;
    const void *dy, *x;
    float mean, rstd;
} NormRow;

IN_LOOPS void backward_row(const NormRow *row, bool half, int64_t D, const float *w,
                           bool accumulate) {
    const float mu = row->mean, r = row->rstd;
    float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
    for (int64_t c = 0; c < D; c++) {
        const float h = (value_at(row->x, half, c) - mu) * r, q = value_at(row->dy, half, c) * w[c];
        sum += q;
        dot += q * h;
    }
    sum /= (float)D;
    dot /= (float)D;
#pragma omp simd
    for (int64_t c = 0; c < D; c++) {
        const float v = r * (value_at(row->dy, half, c) * w[c] - sum -
                             (value_at(row->x, half, c) - mu) * r * dot);
        set_value(row->dx, half, c, accumulate ? value_at(row->dx, half, c) + v : v);
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
        const NormRow row = {.dx = element(dx, m * D),
                             .dy = element(dy, m * D),
                             .x = element(x, m * D),
                             .mean = f32(mean)[m],
                             .rstd = f32(rstd)[m]};
        if (is_half(x))
            backward_row(&row, true, D, w, accumulate);
        else
            backward_row(&row, false, D, w, accumulate);
    }
}

void cpu_layernorm_ops(Device *d) {
    d->layernorm_forward = layernorm_forward;
    d->layernorm_backward = layernorm_backward;
}
