// SPDX-License-Identifier: Apache-2.0
// The dense layer. M rows, K inputs, N outputs; x (M, K), w (N, K), y (M, N).
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <assert.h>
#include <string.h>

// y[m, n] = b[n] + sum over k of x[m, k] w[n, k]
void ref_linear_forward(Device *d, Tensor y, Tensor x, Tensor w, Tensor b) {
    if (d->failed) return;
    int64_t M = tensor_rows(y), N = tensor_columns(y), K = tensor_columns(x);
    assert(tensor_rows(x) == M && w.shape[0] == N && w.shape[1] == K);
    if (w.rounding.step > 0) {
        ref_linear_int8(d, y, x, w, b);
        return;
    }
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            double bias = b.data ? f32(b)[n] : 0;
            ref_row(y, m)[n] = (float)(bias + ref_dot(ref_row(x, m), ref_row(w, n), K));
        }
}

static void add_or_store(float *to, const double *sum, int64_t n, bool accumulate) {
    for (int64_t i = 0; i < n; i++) to[i] = (float)(accumulate ? to[i] + sum[i] : sum[i]);
}

// dx[m, k] = sum over n of dy[m, n] w[n, k]
static void linear_backward_x(Device *d, Tensor dx, Tensor dy, Tensor w, bool accumulate) {
    int64_t M = tensor_rows(dy), N = tensor_columns(dy), K = tensor_columns(dx);
    double *sum = ref_sums(d, K);
    if (!sum) return;
    for (int64_t m = 0; m < M; m++) {
        memset(sum, 0, (size_t)K * sizeof *sum);
        for (int64_t n = 0; n < N; n++) ref_axpy(sum, ref_row(dy, m)[n], ref_row(w, n), K);
        add_or_store(ref_row(dx, m), sum, K, accumulate);
    }
    mem_free(sum);
}

// dw[n, k] += sum over m of dy[m, n] x[m, k]
static void linear_backward_w(Device *d, Tensor dw, Tensor dy, Tensor x) {
    int64_t M = tensor_rows(dy), N = tensor_columns(dy), K = tensor_columns(x);
    double *sum = ref_sums(d, K);
    if (!sum) return;
    for (int64_t n = 0; n < N; n++) {
        memset(sum, 0, (size_t)K * sizeof *sum);
        for (int64_t m = 0; m < M; m++) ref_axpy(sum, ref_row(dy, m)[n], ref_row(x, m), K);
        add_or_store(ref_row(dw, n), sum, K, true);
    }
    mem_free(sum);
}

// db[n] += sum over m of dy[m, n]
static void linear_backward_b(Device *d, Tensor db, Tensor dy) {
    int64_t M = tensor_rows(dy), N = tensor_columns(dy);
    double *sum = ref_sums(d, N);
    if (!sum) return;
    for (int64_t m = 0; m < M; m++) ref_axpy(sum, 1, ref_row(dy, m), N);
    add_or_store(f32(db), sum, N, true);
    mem_free(sum);
}

void ref_linear_backward(Device *d, Tensor dx, Tensor dw, Tensor db, Tensor dy, Tensor x, Tensor w,
                         bool accumulate) {
    if (d->failed) return;
    if (dx.data) linear_backward_x(d, dx, dy, w, accumulate);
    if (dw.data) linear_backward_w(d, dw, dy, x);
    if (db.data) linear_backward_b(d, db, dy);
}
