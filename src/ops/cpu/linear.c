// SPDX-License-Identifier: Apache-2.0
// Dense layers. The products read activations where they lie. At bfloat16 sums are float32, and
// factors that are float32 are rounded: on a matrix unit as they go into tiles, else beforehand,
// the weights once a step (weights_load).
#include "ops/cpu/cpu.h"
#include "ops/cpu/int8.h"
#include "ops/cpu/panels.h"
#include "ops/cpu/tiles.h"
#include "ops/cpu/vector.h"

#include <string.h>

// Splits the rows of all of them into as many samples as the one with the most has.
static void align_outer(Rows *const *all, int n) {
    int64_t outer = 1;
    for (int i = 0; i < n; i++) outer = all[i]->outer > outer ? all[i]->outer : outer;
    for (int i = 0; i < n; i++) {
        if (all[i]->outer == outer) continue;
        all[i]->rows /= outer;
        all[i]->outer = outer;
        all[i]->outer_stride = all[i]->rows * all[i]->row_stride;
    }
}

// One sample's rows as a factor in bfloat16, `*ld` elements apart: where they are, or rounded into
// buffer `which`. NULL (and failed) without memory.
static const bf16 *to_halves(Device *d, int which, Rows r, int64_t o, int64_t *ld) {
    *ld = r.half ? r.row_stride : r.cols;
    if (r.half) return row_at(r, o, 0);
    bf16 *out = cpu_grow(d, &cpu_of(d)->factors[which], (size_t)(r.rows * r.cols) * sizeof *out);
    if (!out) return NULL;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < r.rows; m++) {
        const float *in = row_at(r, o, m);
        bf16 *to = out + m * r.cols;
#pragma omp simd
        for (int64_t i = 0; i < r.cols; i++) to[i] = bf16_of_float(in[i]);
    }
    return out;
}

// w (N, K) in bfloat16: the parameters' copy, or made now in buffer 1.
static const bf16 *weight_halves(Device *d, Tensor w) {
    const bf16 *kept = cpu_halves(d, f32(w));
    if (kept || d->failed) return kept;
    Rows r = {.data = f32(w),
              .outer = 1,
              .rows = w.shape[0],
              .cols = w.shape[1],
              .row_stride = w.shape[1]};
    return to_halves(d, 1, r, 0, &r.row_stride);
}

static bool is_lasting(Device *d, const float *w) {
    const Cpu *cpu = cpu_of(d);
    return cpu->lasting && w >= cpu->weights && w < cpu->weights + cpu->weights_count;
}

// ---- forward ------------------------------------------------------------------------------------

// The product by a planned multiplication: of bfloat16, or with weights that last.
static void product_planned(Device *d, Rows y, Rows x, Tensor w, const float *bias, int64_t o) {
    const bool half = cpu_bf16(d);
    int64_t lda = x.row_stride;
    const void *a = half ? (const void *)to_halves(d, 0, x, o, &lda) : row_at(x, o, 0);
    const float *lasting = is_lasting(d, f32(w)) ? f32(w) : NULL;
    MatmulSpec s = {.m = y.rows,
                    .n = y.cols,
                    .k = x.cols,
                    .lda = lda,
                    .ldb = x.cols,
                    .ldc = y.row_stride,
                    .tb = true,
                    .bias = bias != NULL,
                    .half = half,
                    .half_c = y.half,
                    .lasting = lasting};
    cpu_matmul(d, &s, a, lasting ? (const void *)lasting : weight_halves(d, w), bias,
               row_at(y, o, 0));
}

// Rows as a factor of a product on tiles; turned: their columns are its rows.
static TileFactor tile_factor(Rows r, int64_t o, bool turned) {
    return (TileFactor){.data = row_at(r, o, 0),
                        .half = r.half,
                        .row = turned ? 1 : r.row_stride,
                        .column = turned ? r.row_stride : 1};
}

static TileFactor tile_weights(Tensor w, bool turned) {
    const int64_t k = w.shape[1];
    return (TileFactor){.data = f32(w), .row = turned ? 1 : k, .column = turned ? k : 1};
}

static void product_tiles(Device *d, Rows y, Rows x, Tensor w, const float *bias, int64_t o) {
    const bool lasting = is_lasting(d, f32(w));
    const TileProduct p = {.m = y.rows,
                           .n = y.cols,
                           .k = x.cols,
                           .a = tile_factor(x, o, false),
                           .b = tile_weights(w, true),
                           .packed = lasting ? cpu_lasting_tiles(d, f32(w), y.cols, x.cols) : NULL,
                           .bias = bias,
                           .c = row_at(y, o, 0),
                           .half_c = y.half,
                           .ldc = y.row_stride};
    tiles_multiply(d, &p);
}

// The bias is written first and the product adds to it.
static void product_floats(Device *d, Rows y, Rows x, Tensor w, const float *bias, int64_t o) {
    if (bias) {
#pragma omp parallel for num_threads(d->threads)
        for (int64_t m = 0; m < y.rows; m++)
            memcpy(row_at(y, o, m), bias, (size_t)y.cols * sizeof *bias);
    }
    cpu_gemm(d, 'N', 'T', y.rows, y.cols, x.cols, 1, row_at(x, o, 0), x.row_stride, f32(w), x.cols,
             bias ? 1 : 0, row_at(y, o, 0), y.row_stride);
}

// y (M, N) = x (M, K) w^T + b.
static void linear_forward(Device *d, Tensor yt, Tensor xt, Tensor w, Tensor b) {
    if (d->failed) return;
    Rows y = rows_of(yt), x = rows_of(xt);
    align_outer((Rows *[]){&y, &x}, 2);
    for (int64_t o = 0; o < y.outer && !d->failed; o++)
        if (cpu_rounds(d, w.rounding))
            int8_linear(d, y, x, w, f32(b), o);
        else if (cpu_of(d)->matrix_unit)
            product_tiles(d, y, x, w, f32(b), o);
        else if (cpu_bf16(d) || is_lasting(d, f32(w)))
            product_planned(d, y, x, w, f32(b), o);
        else
            product_floats(d, y, x, w, f32(b), o);
}

// ---- backward -----------------------------------------------------------------------------------

// sums (n) += a row of values.
IN_LOOPS void add_row(float *sums, const void *row, bool half, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) sums[i] += value_at(row, half, i);
}

// out (N) += sums over the rows of y. Threads split the columns.
static void add_column_sums(Device *d, float *out, Rows y) {
    enum { LEAST = 64, MOST = 512 };
    const int64_t size = y.half ? sizeof(bf16) : sizeof(float);
    const int64_t columns = column_chunk(y.cols, d->threads, LEAST, MOST);
#pragma omp parallel for num_threads(d->threads) schedule(static)
    for (int64_t start = 0; start < y.cols; start += columns) {
        float sums[MOST] = {0};
        const int64_t n = least(columns, y.cols - start);
        for (int64_t o = 0; o < y.outer; o++)
            for (int64_t m = 0; m < y.rows; m++) {
                const void *row = (char *)row_at(y, o, m) + start * size;
                if (y.half)
                    add_row(sums, row, true, n);
                else
                    add_row(sums, row, false, n);
            }
        for (int64_t i = 0; i < n; i++) out[start + i] += sums[i];
    }
}

// The gradients of one sample: dx (M, K) = dy w, dw (N, K) += dy^T x; either may be left out.
static void gradients_floats(Device *d, float *dw, Tensor w, Rows dx, Rows dy, Rows x,
                             bool accumulate, int64_t o) {
    if (dx.data)
        cpu_gemm(d, 'N', 'N', dy.rows, dx.cols, dy.cols, 1, row_at(dy, o, 0), dy.row_stride, f32(w),
                 dx.cols, accumulate ? 1 : 0, row_at(dx, o, 0), dx.row_stride);
    if (dw)
        cpu_gemm(d, 'T', 'N', dy.cols, x.cols, dy.rows, 1, row_at(dy, o, 0), dy.row_stride,
                 row_at(x, o, 0), x.row_stride, 1, dw, x.cols);
}

static void gradients_halves(Device *d, float *dw, Tensor w, Rows dx, Rows dy, Rows x,
                             bool accumulate, int64_t o) {
    int64_t lda, ldb;
    const bf16 *g = to_halves(d, 0, dy, o, &lda);
    if (dx.data) {
        MatmulSpec s = {.m = dy.rows,
                        .n = dx.cols,
                        .k = dy.cols,
                        .lda = lda,
                        .ldb = dx.cols,
                        .ldc = dx.row_stride,
                        .sum = accumulate,
                        .half = true,
                        .half_c = dx.half};
        cpu_matmul(d, &s, g, weight_halves(d, w), NULL, row_at(dx, o, 0));
    }
    if (dw) {
        const bf16 *in = to_halves(d, 1, x, o, &ldb);
        MatmulSpec s = {.m = dy.cols,
                        .n = x.cols,
                        .k = dy.rows,
                        .lda = lda,
                        .ldb = ldb,
                        .ldc = x.cols,
                        .ta = true,
                        .sum = true,
                        .half = true};
        cpu_matmul(d, &s, g, in, NULL, dw);
    }
}

static void gradients_tiles(Device *d, float *dw, Tensor w, Rows dx, Rows dy, Rows x,
                            bool accumulate, int64_t o) {
    if (dx.data) {
        const TileProduct p = {.m = dy.rows,
                               .n = dx.cols,
                               .k = dy.cols,
                               .a = tile_factor(dy, o, false),
                               .b = tile_weights(w, false),
                               .c = row_at(dx, o, 0),
                               .half_c = dx.half,
                               .ldc = dx.row_stride,
                               .sum = accumulate};
        tiles_multiply(d, &p);
    }
    if (dw) {
        const TileProduct p = {.m = dy.cols,
                               .n = x.cols,
                               .k = dy.rows,
                               .a = tile_factor(dy, o, true),
                               .b = tile_factor(x, o, false),
                               .c = dw,
                               .ldc = x.cols,
                               .sum = true};
        tiles_multiply(d, &p);
    }
}

static void linear_backward(Device *d, Tensor dxt, Tensor dw, Tensor db, Tensor dyt, Tensor xt,
                            Tensor w, bool accumulate) {
    if (d->failed) return;
    Rows dy = rows_of(dyt), dx = dxt.data ? rows_of(dxt) : dy, x = xt.data ? rows_of(xt) : dy;
    align_outer((Rows *[]){&dy, &dx, &x}, 3);
    if (!dxt.data) dx.data = NULL;
    for (int64_t o = 0; (dxt.data || dw.data) && o < dy.outer && !d->failed; o++)
        (cpu_of(d)->matrix_unit ? gradients_tiles
         : cpu_bf16(d)          ? gradients_halves
                                : gradients_floats)(d, f32(dw), w, dx, dy, x, accumulate, o);
    if (db.data) add_column_sums(d, f32(db), dy);
}

void cpu_linear_ops(Device *d) {
    d->linear_forward = linear_forward;
    d->linear_backward = linear_backward;
}
