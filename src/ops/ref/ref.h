// SPDX-License-Identifier: Apache-2.0
// The reference backend, for reading and for comparing with: every function has the contract of
// the entry of the same name in ops/ops.def. Plain loops, one thread, sums in double.
// The IMAGE layout here is plain contiguous (N, C, H, W).
//
// Every op returns at once when the device has failed: its tensors may then have no memory.
#ifndef TACT_OPS_REF_REF_H
#define TACT_OPS_REF_REF_H

#include "ops/ops.h"

// ---- helpers ----------------------------------------------------------------------------------
// Offset in elements of row i of tensor_rows, whatever the strides.
static inline int64_t ref_row_offset(Tensor t, int64_t i) {
    int64_t offset = 0;
    for (int dim = t.rank - 2; dim >= 0; dim--) {
        offset += i % t.shape[dim] * t.stride[dim];
        i /= t.shape[dim];
    }
    return offset;
}
static inline float *ref_row(Tensor t, int64_t i) {
    return f32(t) + ref_row_offset(t, i);
}
// sum of a[i] b[i]
static inline double ref_dot(const float *a, const float *b, int64_t n) {
    double sum[4] = {0}; // four chains of additions, so that one need not wait for the last
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) sum[j] += (double)a[i + j] * b[i + j];
    for (; i < n; i++) sum[0] += (double)a[i] * b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}
// sum += a x
static inline void ref_axpy(double *restrict sum, double a, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] += a * x[i];
}
// What dropout multiplies element (row, column) by: 0 or 1 / (1 - p).
static inline double ref_dropout_factor(Dropout drop, int64_t row, int64_t column) {
    if (drop.p == 0) return 1;
    uint32_t words[4];
    rng_words(words, drop.key, (uint32_t)row, (uint32_t)(column / 4));
    return rng_unit(words[column % 4]) >= drop.p ? 1 / (1 - (double)drop.p) : 0;
}

// n zeros to sum into, for mem_free; NULL, and the device has failed, for want of memory.
double *ref_sums(Device *d, int64_t n);

// ---- int8.c -------------------------------------------------------------------------------------
// out[i]: how many steps x[i] is rounded to. False where some x is not finite.
bool ref_round(float *out, const float *x, int64_t n, Rounding r);
// out[i]: how many steps a row of weights is rounded to; returns the step.
float ref_round_weights(float *out, const float *w, int64_t n);
// linear_forward with a rounding.
void ref_linear_int8(Device *d, Tensor y, Tensor x, Tensor w, Tensor b);

// ---- the functions themselves: ref_zero, ref_copy, ... -----------------------------------------
#define OP(name, params, args) void ref_##name params;
#define SERVICE(type, name, params) type ref_##name params;
#include "ops/ops.def"

#endif
