// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: products of 8-bit integers with sums of 32 bits (Rounding in ops.h), on a
// matrix unit (Intel's AMX) or by dot products (AVX-512's VNNI, or AVX-VNNI). All give the same
// sums to the bit.
//
// The factor that a product reads becomes rows of bytes, `apart` bytes from one to the next, and
// the weights panels of 32 outputs: for every 64 of the depth two tiles, each of 16 rows of 64
// bytes, of which a row has 4 of the depth for each of 16 outputs.
#ifndef TACT_OPS_CPU_INT8_H
#define TACT_OPS_CPU_INT8_H

#include "ops/cpu/cpu.h"

enum { INT8_SIDE = 32, INT8_DEPTH = 64, INT8_TILE = 1024, INT8_STEP = 2 * INT8_TILE };

// Weights (n, depth) in panels.
typedef struct Int8Weights {
    const float *source; // that they were made of
    Rounding rounding;   // of the other factor
    int64_t n, depth, steps;
    char *panels;
    float *scale;    // of each output, (n) and more: the step of its weights times that of x
    int32_t *offset; // what its sums are too large by, where signed numbers are kept as unsigned
    int64_t *at;     // k * 64 for each step: where rows that lie as they are have it
} Int8Weights;

// How many values of a thing there are in bytes, and how far apart.
static inline int64_t int8_steps(int64_t depth) {
    return (depth + INT8_DEPTH - 1) / INT8_DEPTH;
}
// Bytes from one row to the next: whole lines of the cache, and an odd number of them, so that 32
// rows do not fall on the same few places of it.
static inline int64_t int8_apart(int64_t depth) {
    return (int8_steps(depth) | 1) * INT8_DEPTH;
}

// Whether this processor's matrix unit multiplies bytes.
bool int8_tiles_here(void);

// w (n, depth): element (o, i) is w[o * row + from[i]], or 0 where from[i] is negative; from NULL:
// w[o * row + i]. NULL (and failed) without memory.
Int8Weights *int8_weights_new(Device *d, const float *w, int64_t n, int64_t row,
                              const int32_t *from, int64_t depth, Rounding rounding);
void int8_weights_free(Int8Weights *w);

// How numbers become bytes: those of zero, and of x: from x * inverse, at least low and at most
// high, plus added.
typedef struct Int8Bytes {
    float inverse, low, high;
    int32_t added;
} Int8Bytes;
Int8Bytes int8_bytes(const Device *d, Rounding r);
static inline uint8_t int8_zero(Int8Bytes b) {
    return (uint8_t)b.added;
}
// n numbers, float32 or bfloat16; false where one is not finite.
bool int8_round(uint8_t *out, const void *x, bool half, int64_t n, Int8Bytes b);

// What becomes of the sums: y = sum * scale + shift + residual, at least `least`.
typedef struct Int8Finish {
    void *y;
    const void *residual; // of y's type and places, or NULL
    bool half;            // they are bfloat16
    const float *shift;   // of each output, or NULL
    float least;          // 0 with a relu, else -INFINITY
} Int8Finish;

// Blocks of 32 rows of bytes, `apart` bytes from one to the next, times w. 64 of the depth from
// step k on are at[k] bytes behind a row's beginning. block(user, i, room, places) gives where
// block i begins, which may be `room`, after it has been put there; and for each row the element of
// y that its first output goes to, or -1: none.
typedef struct Int8Product {
    const Int8Weights *w;
    int64_t blocks, apart;
    const int64_t *at; // (w->steps)
    const uint8_t *(*block)(const void *user, int64_t i, uint8_t *room, int64_t places[INT8_SIDE]);
    const void *user;
    bool gathers; // block uses room
    Int8Finish finish;
} Int8Product;
// Bytes of scratch that a thread needs.
int64_t int8_room(const Int8Product *p);
// Thread `me` of `all` does its share.
void int8_multiply(const Device *d, const Int8Product *p, uint8_t *room, int me, int all);
// n numbers become NaN.
void int8_lose(const Int8Finish *f, int64_t at, int64_t n);

// ---- int8_linear.c ------------------------------------------------------------------------------
// y = x w^T + bias of one sample, w with a rounding.
void int8_linear(Device *d, Rows y, Rows x, Tensor w, const float *bias, int64_t outer);
// Forgets the weights that were kept.
void int8_forget(Device *d);

// ---- int8_conv.c --------------------------------------------------------------------------------
// A convolution with a rounding, of images (N, H, W, C) of the device's type.
typedef struct Int8Conv Int8Conv;
Int8Conv *int8_conv_new(Device *d, const ConvSpec *s); // NULL (and failed) without memory
void int8_conv_free(Int8Conv *c);
// w (O, I, k, k), the norm's scale already in it.
void int8_conv_load(Device *d, Int8Conv *c, const float *w);
void int8_conv_forward(Device *d, const Int8Conv *c, void *y, const void *x, const float *shift,
                       const void *residual);

#endif
