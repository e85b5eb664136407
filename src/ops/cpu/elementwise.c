// SPDX-License-Identifier: Apache-2.0
// Passes over activations: each reads and writes memory once, rows split over the threads.
#include "ops/cpu/cpu.h"
#include "ops/cpu/vector.h"

#include <string.h>

static void zero(Device *d, Tensor y) {
    if (d->failed) return;
    enum { CHUNK = 1 << 20 };
    int64_t bytes = tensor_count(y) * (int64_t)dtype_size(y.dtype);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t at = 0; at < bytes; at += CHUNK)
        memset((char *)y.data + at, 0, (size_t)(bytes - at < CHUNK ? bytes - at : CHUNK));
}

static void copy(Device *d, Tensor yt, Tensor xt) {
    if (d->failed) return;
    Rows y = rows_of(yt), x = rows_of(xt);
    if (x.outer < y.outer) {
        x.rows = y.rows;
        x.outer_stride = y.rows * x.row_stride;
    } else if (y.outer < x.outer) {
        y.rows = x.rows;
        y.outer_stride = x.rows * y.row_stride;
        y.outer = x.outer;
    }
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t o = 0; o < y.outer; o++)
        for (int64_t m = 0; m < y.rows; m++)
            memcpy(row_at(y, o, m), row_at(x, o, m), (size_t)y.cols * dtype_size(yt.dtype));
}

static void add(Device *d, Tensor y, Tensor a, Tensor b) {
    if (d->failed) return;
    if (y.dtype == DTYPE_BF16) {
        cpu_add_halves(d, y, a, b);
        return;
    }
    int64_t n = tensor_count(y);
    float *out = f32(y);
    const float *p = f32(a), *q = f32(b);
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] = p[i] + q[i];
}

static void lerp(Device *d, Tensor y, Tensor x, Tensor halt, float weight) {
    if (d->failed) return;
    int64_t n = tensor_count(y);
    if (halt.data && f32(halt)[0] != 0) return;
    float *out = f32(y);
    const float *in = f32(x);
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] += weight * (in[i] - out[i]);
}

IN_LOOPS void add_row(void *y, const void *x, const float *row, bool half, int64_t n) {
    if (x) {
#pragma omp simd
        for (int64_t c = 0; c < n; c++) set_value(y, half, c, value_at(x, half, c) + row[c]);
    } else {
#pragma omp simd
        for (int64_t c = 0; c < n; c++) set_value(y, half, c, row[c]);
    }
}

static void add_rows(Device *d, Tensor y, Tensor x, Tensor row) {
    if (d->failed) return;
    int64_t B = y.shape[0], L = y.shape[1], D = y.shape[2];
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t b = 0; b < B; b++)
        for (int64_t l = 0; l < L; l++) {
            void *out = element(y, b * y.stride[0] + l * y.stride[1]);
            const float *r = f32(row) + l * row.stride[0];
            const void *in = x.data ? element(x, b * x.stride[0] + l * x.stride[1]) : NULL;
            if (is_half(y))
                add_row(out, in, r, true, D);
            else
                add_row(out, in, r, false, D);
        }
}

static void sum_rows(Device *d, Tensor drow, Tensor dy) {
    if (d->failed) return;
    int64_t B = dy.shape[0], L = dy.shape[1], D = dy.shape[2];
#pragma omp parallel for num_threads(d->threads)
    for (int64_t l = 0; l < L; l++) {
        float *out = f32(drow) + l * drow.stride[0];
        for (int64_t b = 0; b < B; b++) {
            const void *in = element(dy, b * dy.stride[0] + l * dy.stride[1]);
            if (is_half(dy))
                for (int64_t c = 0; c < D; c++) out[c] += value_at(in, true, c);
            else
                for (int64_t c = 0; c < D; c++) out[c] += value_at(in, false, c);
        }
    }
}

// v - v is 0, or NaN where an activation is not finite.
static void relu_backward(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y) {
    if (d->failed) return;
    int64_t n = tensor_count(y);
    float *out = f32(dz);
    const float *g = f32(dy), *skip = f32(dskip), *v = f32(y);
    if (skip) {
#pragma omp parallel for simd num_threads(d->threads)
        for (int64_t i = 0; i < n; i++) out[i] = (v[i] > 0 ? g[i] + skip[i] : 0) + (v[i] - v[i]);
    } else {
#pragma omp parallel for simd num_threads(d->threads)
        for (int64_t i = 0; i < n; i++) out[i] = (v[i] > 0 ? g[i] : 0) + (v[i] - v[i]);
    }
}

void cpu_elementwise_ops(Device *d) {
    d->zero = zero;
    d->copy = copy;
    d->add = add;
    d->lerp = lerp;
    d->add_rows = add_rows;
    d->sum_rows = sum_rows;
    d->relu_backward = relu_backward;
}
