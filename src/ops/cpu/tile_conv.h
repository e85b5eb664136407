// SPDX-License-Identifier: Apache-2.0
// Convolutions of bfloat16 images (N, H, W, C) on a processor's matrix unit (tiles.h), for shapes
// where they take less time than oneDNN's. Each of the three directions can be used alone.
#ifndef TACT_OPS_CPU_TILE_CONV_H
#define TACT_OPS_CPU_TILE_CONV_H

#include "ops/cpu/products.h"

// One product of tiles over an image: every position (y, x) of a grid takes the pixels (y * stride
// + dy - 1, x * stride + dx - 1) of what is read, outside the image 0, for some (dy, dx) of 3 x 3;
// its sums go to the pixel (y * step + top, x * step + left) of what is written.
typedef struct TilePass {
    int64_t n, h, w, channels; // of what is read
    int64_t grid_h, grid_w, stride;
    int64_t to_h, to_w, outputs; // of what is written
    int64_t step, top, left;
    int taps, tap[9], from[9]; // dy * 3 + dx, and the weight of the kernel that it goes with
    char *weights;             // in panels of 32 outputs, in the order of the depth
} TilePass;

typedef struct TileConv {
    ConvSpec spec;
    int64_t out_h, out_w;
    bool used[DIRECTIONS];
    TilePass forward, data[4]; // data: for each remainder of the stride
} TileConv;

// Whether a direction is done here, where there is a matrix unit: a rule over the shape alone, so
// that a run repeats to the bit.
bool tile_conv_pays(const ConvSpec *s, Direction way);
// A plan for the directions that are `used`; NULL (and failed) without memory.
TileConv *tile_conv_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]);
void tile_conv_free(TileConv *c);
// w (O, I, k, k), the norm's scale already in it.
void tile_conv_load(Device *d, TileConv *c, const float *w);
// y = x * w + shift + residual, then relu if the spec says so; NaN stays NaN. residual may be NULL.
void tile_conv_forward(Device *d, const TileConv *c, bf16 *y, const bf16 *x, const float *shift,
                       const bf16 *residual);
void tile_conv_data(Device *d, const TileConv *c, bf16 *dx, const bf16 *dz);
// dw (O, I, k, k) += scale (O) * the gradient.
void tile_conv_weights(Device *d, const TileConv *c, float *dw, const float *scale, const bf16 *dz,
                       const bf16 *x);

#endif
