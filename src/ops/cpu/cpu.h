// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: the device's state and its ops, of the level that a file is compiled for.
#ifndef TACT_OPS_CPU_CPU_H
#define TACT_OPS_CPU_CPU_H

#include "ops/cpu/level.h"
#include "ops/cpu/onednn.h"
#include "ops/ops.h"

typedef uint16_t bf16; // the upper half of a float

// Memory that only grows.
typedef struct Grown {
    void *data;
    size_t bytes;
} Grown;

typedef struct Cpu {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int block;       // channels of a block of the IMAGE layout: 8 or 16, what oneDNN prefers here
    float **scratch; // per thread, for attention; grown when a larger shape comes
    size_t scratch_floats;
    Grown columns; // activation.c: what dropout has of columns alone

    // matmul.c
    const float *weights; // the flat parameters of weights_load
    int64_t weights_count;
    bf16 *halves; // their copy, at bfloat16; valid when halves_fresh
    bool lasting, halves_fresh;
    struct Matmul **plans;
    int n_plans, room;
    Grown factors[2];
    Grown scratchpad;   // one for all primitives, convolutions too: they run one at a time
    TensorArena packed; // weights that last, in the kernels' order

    // Convolutions are matrix products on (N, H, W, C), for oneDNN has no generated kernels.
    bool products;
    bool blas;    // matrix products are OpenBLAS's
    bool panels;  // products with weights that last are our own (panels.h)
    Grown blocks; // products.h: the threads' scratch

    bool matrix_unit; // tiles.h: products at bfloat16 are our own
    Grown tiles;      // and their scratch

    bool int8_tiles;       // int8.h: products of bytes are the matrix unit's, else dot products
    struct Int8Kept *int8; // weights that last, as bytes
    Grown int8_scratch;

    Grown folded;    // conv.c: weights of one convolution, OIHW
    Grown gradients; // and their gradients in the kernel's order
    Grown widened;   // conv_product.c: bfloat16 images in float32
} Cpu;

static inline Cpu *cpu_of(Device *d) {
    return d->impl;
}

// Whether activations, images and the factors of products are bfloat16.
static inline bool cpu_bf16(const Device *d) {
    return d->images == DTYPE_BF16;
}
// Whether a product with that rounding is one of bytes (int8.h).
static inline bool cpu_rounds(const Device *d, Rounding r) {
    return d->precision == PRECISION_INT8 && r.step > 0;
}
// Memory of at least `bytes`; NULL (and failed) without.
void *cpu_grow(Device *d, Grown *g, size_t bytes);

// Backend.open. Every level's is declared in backend.h.
CHECKED bool cpu_open(Device *d, const char *argument, Error *err);

// oneDNN's tag of an IMAGE tensor with C channels: blocked when they fill whole blocks, else plain;
// at bfloat16 always (N, H, W, C), which is what its kernels for matrix units take.
dnnl_format_tag_t cpu_image_tag(Device *d, int64_t channels);
static inline bool cpu_blocked(const Cpu *cpu, int64_t channels) {
    return channels % cpu->block == 0;
}
// Channels that lie side by side in an IMAGE tensor of that many channels.
static inline int64_t cpu_lanes(Device *d, int64_t channels) {
    if (cpu_bf16(d) || cpu_of(d)->products) return channels;
    return cpu_blocked(cpu_of(d), channels) ? cpu_of(d)->block : 1;
}
// Whether oneDNN can be asked to make something; false, with the failure recorded, where hardly any
// memory is left or none can be made executable (which products of OpenBLAS's do not need). Asked
// beforehand, because oneDNN itself then ends the process, or takes other code, with other numbers,
// without a word.
bool cpu_room(Device *d);
// False, with the failure recorded, when oneDNN did not do `what`.
bool cpu_status(Device *d, dnnl_status_t status, const char *what);
// Executes a primitive whose memory objects are args; records a failure.
void cpu_execute(Device *d, const char *what, dnnl_primitive_t p, int n,
                 const dnnl_exec_arg_t *args);
// Row-major C (m, n) = alpha * op(A) op(B) + beta * C.
void cpu_gemm(Device *d, char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
              const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
              int64_t ldc);
// Per-thread scratch of at least `floats`; false (and failed) without memory.
bool cpu_scratch(Device *d, size_t floats);

// pool.c: planes of h x w pixels with `lanes` channels each.
struct Pool {
    int64_t planes, lanes, h, w, out_h, out_w;
    uint8_t *from; // which of the nine positions gave the maximum; NULL when not training
};

// The first of a window's nine positions that lies in the image: what wins where all are -inf.
static inline uint8_t pool_first(int64_t oy, int64_t ox) {
    return (uint8_t)((oy == 0) * 3 + (ox == 0));
}

// choice.c: sets block, products and blas; argument: what followed "cpu:", or NULL. A failure is
// the device's.
void cpu_choose(Device *d, const char *argument);

// conv.c: "FORWARD, DATA, WEIGHTS", what does each; forward's alone if not for training.
void cpu_conv_ways(const Conv *c, char *out, size_t room);

void cpu_conv_ops(Device *d);
void cpu_pool_ops(Device *d);
void cpu_image_ops(Device *d);
void cpu_linear_ops(Device *d);
// image_bf16.c: over the others, at bfloat16; and Device.add of images.
void cpu_bf16_image_ops(Device *d);
void cpu_add_halves(Device *d, Tensor y, Tensor a, Tensor b);
void cpu_relu_halves(Device *d, bf16 *image, int64_t n);
// activation.c: the relu of an image in place, of either type; NaN stays NaN.
void cpu_relu_image(Device *d, void *image, size_t bytes);
void cpu_elementwise_ops(Device *d);
void cpu_activation_ops(Device *d);
void cpu_layernorm_ops(Device *d);
void cpu_attention_ops(Device *d);
void cpu_optimizer_ops(Device *d);

// ---- matmul.c: oneDNN's matrix product, planned once a shape ------------------------------------
// C (m, n) = A (m, k) B (k, n) + bias (n) + C, the last two where wanted. A and B are both bfloat16
// or both float32; C is either, the bias float32. Rows are lda, ldb, ldc elements apart as stored.
typedef struct MatmulSpec {
    int64_t m, n, k, lda, ldb, ldc;
    bool ta, tb; // A is stored (k, m), B is stored (n, k)
    bool bias, sum;
    bool half;   // A and B are bfloat16
    bool half_c; // C is
    // B, when its contents last: it is kept in the kernel's own order. It is float32 even if half.
    const float *lasting;
} MatmulSpec;
void cpu_matmul(Device *d, const MatmulSpec *s, const void *a, const void *b, const float *bias,
                void *c);
// Weights that last, w (n, k), turned and in tiles (tiles.h); NULL (and failed) without memory.
const void *cpu_lasting_tiles(Device *d, const float *w, int64_t n, int64_t k);
void cpu_weights_load(Device *d, Tensor flat, bool lasting);
// The bfloat16 copy of w, if it is part of the flat parameters; else NULL.
const bf16 *cpu_halves(Device *d, const float *w);
void cpu_matmul_free(Device *d);

// A tensor of float32, or of bfloat16 if half, as (outer, rows, columns) with a stride for each of
// the first two.
typedef struct Rows {
    void *data;
    bool half;
    int64_t outer, rows, cols, outer_stride, row_stride;
} Rows;
Rows rows_of(Tensor t);
static inline void *row_at(Rows r, int64_t outer, int64_t row) {
    const int64_t at = outer * r.outer_stride + row * r.row_stride;
    return (char *)r.data + at * (int64_t)(r.half ? sizeof(bf16) : sizeof(float));
}
static inline bool is_half(Tensor t) {
    return t.dtype == DTYPE_BF16;
}
// How many columns a thread sums over rows at once: as many lie side by side as there can be, so
// long as every thread has some. Sums do not depend on it.
static inline int64_t column_chunk(int64_t columns, int threads, int64_t least, int64_t most) {
    const int64_t share = (columns / threads + least - 1) / least * least;
    return share < least ? least : share > most ? most : share;
}
// Element i of a tensor's memory.
static inline void *element(Tensor t, int64_t i) {
    return (char *)t.data + i * (int64_t)(is_half(t) ? sizeof(bf16) : sizeof(float));
}

#endif
