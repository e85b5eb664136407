// SPDX-License-Identifier: Apache-2.0
// Dense layers through oneDNN's matrix product.
#include "ops/cpu/cpu.h"

#include <string.h>

// y (M, N) = x (M, K) w^T + b. The bias is written first and the product adds to it.
static void linear_forward(Device *d, Tensor yt, Tensor xt, Tensor w, Tensor b) {
    Rows y = rows_of(yt), x = rows_of(xt);
    if (x.outer != y.outer) { // one side is evenly spaced: see both sample by sample
        Rows *whole = x.outer < y.outer ? &x : &y, *split = x.outer < y.outer ? &y : &x;
        whole->outer = split->outer;
        whole->rows = split->rows;
        whole->outer_stride = whole->rows * whole->row_stride;
    }
    if (b.data) {
#pragma omp parallel for collapse(2) num_threads(d->threads)
        for (int64_t o = 0; o < y.outer; o++)
            for (int64_t m = 0; m < y.rows; m++)
                memcpy(row_at(y, o, m), b.data, (size_t)y.cols * sizeof(float));
    }
    for (int64_t o = 0; o < y.outer; o++)
        cpu_gemm(d, 'N', 'T', y.rows, y.cols, x.cols, 1, row_at(x, o, 0), x.row_stride, f32(w),
                 x.cols, b.data ? 1 : 0, row_at(y, o, 0), y.row_stride);
}

// out (N) += sums over the rows of y. Threads split the columns.
static void add_column_sums(Device *d, float *out, Rows y) {
    enum { COLUMNS = 64 };
    int64_t chunks = (y.cols + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for num_threads(d->threads) schedule(static)
    for (int64_t c = 0; c < chunks; c++) {
        float sums[COLUMNS] = {0};
        int64_t start = c * COLUMNS, n = y.cols - start < COLUMNS ? y.cols - start : COLUMNS;
        for (int64_t o = 0; o < y.outer; o++)
            for (int64_t m = 0; m < y.rows; m++) {
                const float *row = row_at(y, o, m) + start;
                for (int64_t i = 0; i < n; i++) sums[i] += row[i];
            }
        for (int64_t i = 0; i < n; i++) out[start + i] += sums[i];
    }
}

static void linear_backward(Device *d, Tensor dxt, Tensor dw, Tensor db, Tensor dyt, Tensor xt,
                            Tensor w, bool accumulate) {
    Rows dy = rows_of(dyt), dx = dxt.data ? rows_of(dxt) : dy, x = xt.data ? rows_of(xt) : dy;
    int64_t outer = dy.outer;
    if (dx.outer > outer) outer = dx.outer;
    if (x.outer > outer) outer = x.outer;
    Rows *all[] = {&dy, &dx, &x};
    for (int i = 0; i < 3; i++) {
        if (all[i]->outer == outer) continue;
        all[i]->rows /= outer;
        all[i]->outer = outer;
        all[i]->outer_stride = all[i]->rows * all[i]->row_stride;
    }
    for (int64_t o = 0; dxt.data && o < outer; o++)
        cpu_gemm(d, 'N', 'N', dy.rows, dx.cols, dy.cols, 1, row_at(dy, o, 0), dy.row_stride, f32(w),
                 dx.cols, accumulate ? 1 : 0, row_at(dx, o, 0), dx.row_stride);
    for (int64_t o = 0; dw.data && o < outer; o++)
        cpu_gemm(d, 'T', 'N', dy.cols, x.cols, dy.rows, 1, row_at(dy, o, 0), dy.row_stride,
                 row_at(x, o, 0), x.row_stride, 1, f32(dw), x.cols);
    if (db.data) add_column_sums(d, f32(db), dy);
}

void cpu_linear_ops(Device *d) {
    d->linear_forward = linear_forward;
    d->linear_backward = linear_backward;
}
