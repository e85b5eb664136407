// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: the backend's state and its ops.
#ifndef TACT_OPS_CPU_CPU_H
#define TACT_OPS_CPU_CPU_H

#include "ops/ops.h"
#include <dnnl.h>

typedef struct Cpu {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int block;       // channels of a block of the IMAGE layout: 8 or 16, what oneDNN prefers here
    float **scratch; // per thread, for attention; grown when a larger shape comes
    size_t scratch_floats;
} Cpu;

static inline Cpu *cpu_of(Device *d) {
    return d->impl;
}

// oneDNN's tag of an IMAGE tensor with C channels: blocked when they fill whole blocks, else plain.
dnnl_format_tag_t cpu_image_tag(const Cpu *cpu, int64_t channels);
static inline bool cpu_blocked(const Cpu *cpu, int64_t channels) {
    return channels % cpu->block == 0;
}
// Executes a primitive whose memory objects are args; records a failure.
void cpu_execute(Device *d, const char *what, dnnl_primitive_t p, int n, const dnnl_exec_arg_t *args);
// Row-major C (m, n) = alpha * op(A) op(B) + beta * C.
void cpu_gemm(Device *d, char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
              const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
              int64_t ldc);
// Per-thread scratch of at least `floats`; false (and failed) without memory.
bool cpu_scratch(Device *d, size_t floats);

void cpu_conv_ops(Device *d);
void cpu_pool_ops(Device *d);
void cpu_image_ops(Device *d);
void cpu_linear_ops(Device *d);
void cpu_elementwise_ops(Device *d);
void cpu_layernorm_ops(Device *d);
void cpu_attention_ops(Device *d);
void cpu_optimizer_ops(Device *d);

// A tensor as (outer, rows, columns) with a stride for each of the first two.
typedef struct Rows {
    float *data;
    int64_t outer, rows, cols, outer_stride, row_stride;
} Rows;
Rows rows_of(Tensor t);
static inline float *row_at(Rows r, int64_t outer, int64_t row) {
    return r.data + outer * r.outer_stride + row * r.row_stride;
}

#endif
