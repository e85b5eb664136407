// SPDX-License-Identifier: Apache-2.0
// Activation functions with dropout, and dropout before a residual sum: each reads and writes
// memory once, rows split over the threads.
#include "ops/cpu/cpu.h"
#include "ops/cpu/dropout_table.h"

static inline float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}

static inline float gelu_slope(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
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

// ---- dropout ------------------------------------------------------------------------------------

// The mask of an op, for all its rows; p 0: ones.
#ifdef __AVX512F__
typedef DropoutTable Mask;

static Mask mask_of(Device *d, Dropout drop, int64_t cols) {
    const int64_t chunks = (cols + DROPOUT_CHUNK - 1) / DROPOUT_CHUNK;
    if (drop.p == 0) return (Mask){.drop = drop};
    void *columns = cpu_grow(d, &cpu_of(d)->columns, (size_t)chunks * sizeof(DropoutColumns));
    return columns ? dropout_table(drop, columns, chunks) : (Mask){.drop = drop};
}

static inline uint64_t mask_row(const Mask *mask, int64_t row) {
    return dropout_row(mask, (uint32_t)row);
}

static inline void mask_scales(float *scale, const Mask *mask, uint64_t row, int64_t chunk) {
    __m512 vectors[2];
    dropout_by_table(vectors, mask, row, chunk);
    _mm512_storeu_ps(scale, vectors[0]);
    _mm512_storeu_ps(scale + 16, vectors[1]);
}
#else
typedef struct Mask {
    Dropout drop;
} Mask;

static Mask mask_of(Device *d, Dropout drop, int64_t cols) {
    (void)d, (void)cols;
    return (Mask){drop};
}

static inline uint64_t mask_row(const Mask *mask, int64_t row) {
    (void)mask;
    return (uint64_t)row;
}

static inline void mask_scales(float *scale, const Mask *mask, uint64_t row, int64_t chunk) {
    dropout_scales(scale, mask->drop, (uint32_t)row, (uint32_t)chunk);
}
#endif

// ---- passes -------------------------------------------------------------------------------------

typedef enum Pass { RELU, GELU, SLOPE, SCALED, ADDED } Pass;

// One row of a pass: y = what it makes of x, and of `other`, where it has one.
typedef struct PassRow {
    void *y;
    const void *x, *other;
    int64_t cols;
    const Mask *mask;
    int64_t row;
} PassRow;

// n columns from `at` on, with their factors of dropout.
IN_LOOPS void pass_chunk(const PassRow *r, Pass pass, bool half, int64_t at, int64_t n,
                         const float *scale) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float x = value_at(r->x, half, at + i);
        const float other = pass == SLOPE || pass == ADDED ? value_at(r->other, half, at + i) : 0;
        set_value(r->y, half, at + i,
                  pass == RELU    ? (x < 0 ? 0 : x) * scale[i] // NaN stays NaN
                  : pass == GELU  ? gelu(x) * scale[i]
                  : pass == SLOPE ? x * scale[i] * gelu_slope(other)
                  : pass == ADDED ? other + x * scale[i]
                                  : x * scale[i]);
    }
}

IN_LOOPS void pass_row(const PassRow *r, Pass pass, bool half) {
    float scale[DROPOUT_CHUNK];
    const bool drops = r->mask->drop.p > 0;
    const uint64_t part = drops ? mask_row(r->mask, r->row) : 0;
    for (int i = 0; i < DROPOUT_CHUNK; i++) scale[i] = 1;
    int64_t at = 0;
    for (; at + DROPOUT_CHUNK <= r->cols; at += DROPOUT_CHUNK) {
        if (drops) mask_scales(scale, r->mask, part, at / DROPOUT_CHUNK);
        pass_chunk(r, pass, half, at, DROPOUT_CHUNK, scale);
    }
    if (at == r->cols) return;
    if (drops) mask_scales(scale, r->mask, part, at / DROPOUT_CHUNK);
    pass_chunk(r, pass, half, at, r->cols - at, scale);
}

static void pass_of(const PassRow *r, Pass pass, bool half) {
    switch (pass) {
    case RELU:
        half ? pass_row(r, RELU, true) : pass_row(r, RELU, false);
        break;
    case GELU:
        half ? pass_row(r, GELU, true) : pass_row(r, GELU, false);
        break;
    case SLOPE:
        half ? pass_row(r, SLOPE, true) : pass_row(r, SLOPE, false);
        break;
    case SCALED:
        half ? pass_row(r, SCALED, true) : pass_row(r, SCALED, false);
        break;
    case ADDED:
        half ? pass_row(r, ADDED, true) : pass_row(r, ADDED, false);
        break;
    }
}

// other may be empty where the pass has none.
static void all_rows(Device *d, Pass pass, Tensor y, Tensor x, Tensor other, Dropout drop) {
    const int64_t rows = tensor_rows(x), cols = tensor_columns(x);
    const Mask mask = mask_of(d, drop, cols);
    if (d->failed) return;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < rows; m++) {
        const PassRow r = {.y = element(y, m * cols),
                           .x = element(x, m * cols),
                           .other = other.data ? element(other, m * cols) : NULL,
                           .cols = cols,
                           .mask = &mask,
                           .row = m};
        pass_of(&r, pass, is_half(x));
    }
}

static void activation_forward(Device *d, Tensor y, Tensor x, Activation act, Dropout drop) {
    if (d->failed) return;
    all_rows(d, act == ACT_RELU ? RELU : act == ACT_GELU ? GELU : SCALED, y, x, (Tensor){0}, drop);
}

// What was dropped is zero in y, so y tells both.
IN_LOOPS void relu_slope(void *dx, const void *dy, const void *y, bool half, int64_t n,
                         float keep) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        set_value(dx, half, i, value_at(y, half, i) > 0 ? value_at(dy, half, i) * keep : 0);
}

static void activation_backward(Device *d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act,
                                Dropout drop) {
    if (d->failed) return;
    if (act != ACT_RELU) {
        all_rows(d, act == ACT_GELU ? SLOPE : SCALED, dx, dy, x, drop);
        return;
    }
    const int64_t rows = tensor_rows(dy), cols = tensor_columns(dy);
    const float keep = 1.0f / (1.0f - drop.p);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t m = 0; m < rows; m++) {
        void *out = element(dx, m * cols);
        if (is_half(dy))
            relu_slope(out, element(dy, m * cols), element(y, m * cols), true, cols, keep);
        else
            relu_slope(out, element(dy, m * cols), element(y, m * cols), false, cols, keep);
    }
}

static void dropout_add_forward(Device *d, Tensor r, Tensor x, Tensor st, Dropout drop) {
    if (d->failed) return;
    all_rows(d, ADDED, r, st, x, drop);
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
