// SPDX-License-Identifier: Apache-2.0
// Convolutions of bfloat16 images (N, H, W, C) on a processor's matrix unit (tiles.h), for shapes
// where they take less time than oneDNN's. Each of the three directions can be used alone.
#ifndef TACT_OPS_CPU_TILE_CONV_H
#define TACT_OPS_CPU_TILE_CONV_H

#include "ops/cpu/products.h"
#include "ops/cpu/tile_pack.h"

enum { TILE_CONV_ROWS = 7 }; // of a kernel whose rows are taps, at most

// One product of tiles over an image: every position (y, x) of a grid takes `channels` values from
// the pixel (y * stride + dy - border, x * stride + dx - border) of what is read on, outside the
// image 0, for some taps (dy, dx); its sums go to the pixel (y * step + top, x * step + left) of
// what is written.
typedef struct TilePass {
    int64_t n, h, w, pixel; // of what is read; bytes of a pixel
    int64_t channels;       // a multiple of TILE_DEPTH, of more than one pixel if those are less
    int64_t grid_h, grid_w, stride, border;
    int64_t reach;               // rows that the taps are in
    int64_t to_h, to_w, outputs; // of what is written
    int64_t step, top, left;
    int taps, tap_y[9], tap_x[9];
    int from[9];   // the weight of the kernel that a tap goes with
    char *weights; // in panels of 32 outputs, in the order of the depth
} TilePass;

// The steps of the depth: for each row of taps, and each 32 channels, the taps of the row, so that
// pixels that were read are read again at once. first: the row's first tap, which has `count`.
typedef struct TileTapRow {
    int first, count;
} TileTapRow;

static inline TileTapRow tile_tap_row(const TilePass *p, int first) {
    TileTapRow r = {.first = first};
    while (first + r.count < p->taps && p->tap_y[first + r.count] == p->tap_y[first]) r.count++;
    return r;
}
static inline int64_t tile_pass_steps(const TilePass *p) {
    return p->taps * p->channels / TILE_DEPTH;
}
static inline int64_t tile_pass_bytes(const TilePass *p) { // of its weights
    return p->outputs * tile_pass_steps(p) * 2 * TILE_DEPTH;
}
// y = x * weights + shift + residual, then a relu if wanted; NaN stays NaN. shift and residual may
// be NULL.
void tile_pass_run(Device *d, const TilePass *p, const bf16 *x, bf16 *y, const float *shift,
                   const bf16 *residual, bool relu);

// Whether all values under a row of the kernel fit the depth of a tile: then a tap is such a row.
static inline bool tile_conv_by_rows(const ConvSpec *s) {
    return s->in_c % TILE_DEPTH && s->in_c * s->kernel <= TILE_DEPTH && s->kernel <= TILE_CONV_ROWS;
}

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
// w (O, I, k, k) times the norm's scale (O).
void tile_conv_load(Device *d, TileConv *c, const float *w, const float *scale);
// y = x * w + shift + residual, then relu if the spec says so; NaN stays NaN. residual may be NULL.
void tile_conv_forward(Device *d, const TileConv *c, bf16 *y, const bf16 *x, const float *shift,
                       const bf16 *residual);
void tile_conv_data(Device *d, const TileConv *c, bf16 *dx, const bf16 *dz);
// dw (O, I, k, k) += scale (O) * the gradient.
void tile_conv_weights(Device *d, const TileConv *c, float *dw, const float *scale, const bf16 *dz,
                       const bf16 *x);
// The same where tile_conv_by_rows.
void tile_rows_weights(Device *d, const TileConv *c, float *dw, const float *scale, const bf16 *dz,
                       const bf16 *x);

#endif
