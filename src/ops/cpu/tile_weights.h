// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: gradients of the weights of convolutions on a matrix unit, as one product
// whose depth is the positions of dz. Its rows are outputs, its columns what a weight is multiplied
// with at a position: a channel of x under a tap of the kernel. How x becomes columns, and where
// the sums of a column belong, each kind of convolution says itself.
#ifndef TACT_OPS_CPU_TILE_WEIGHTS_H
#define TACT_OPS_CPU_TILE_WEIGHTS_H

#include "ops/cpu/tile_conv.h"
#include "ops/cpu/tile_kernel.h"

#ifdef TACT_TILES

enum {
    COLUMNS = 16,                // that one tile of x has
    MOST_COLUMNS = 14,           // tiles of columns of a group
    PAIR_BYTES = 4 * COLUMNS,    // of a pair of positions of them
    COLUMN_SUMS = SIDE * COLUMNS // of SIDE outputs
};

// A tile of columns of a group: the copy of x that it reads, and how many pairs of positions later.
typedef struct TileColumn {
    int copy;
    int64_t shift;
} TileColumn;

// A copy of x: of rows from `up` rows above on, every stride-th pixel from `left` pixels left on,
// from the position `skip` on. Counted through rows of `wide` positions; outside the image 0.
typedef struct TileCopy {
    int up, left, skip;
} TileCopy;

// A product, and how it is cut: a strip is `rows` rows of dz of one image, of `steps` times
// TILE_DEPTH positions; a chunk some strips that are put into tiles together. The order of sums is
// the same whatever the number of threads. Columns are in `groups` that have the same tiles of
// them; SIDE outputs and a group are finished together.
typedef struct TileSums {
    ConvSpec spec;
    int64_t out_h, out_w;
    int64_t wide, rows, an_image, strips, chunk, steps, pairs; // pairs: of a copy of a strip
    int64_t panels, groups;                                    // panels: of SIDE outputs
    int copies, columns;                                       // of a group
    TileCopy copy[MOST_COLUMNS];
    TileColumn column[MOST_COLUMNS];
    int64_t jobs; // of making a strip of x
    // Makes a part of a strip of x; `at` is where the strip of the first copy of group 0 begins.
    void (*prepare)(const struct TileSums *s, const bf16 *x, int64_t strip, int64_t job, char *at);
    // Adds the sums (columns, SIDE, COLUMNS) of a group and of the outputs from o on to dw.
    void (*add)(const struct TileSums *s, int64_t o, int64_t group, const float *sums,
                const float *scale, float *dw);
} TileSums;

// Cuts the product, once everything up to `column` is known but rows, an_image, strips, chunk,
// steps and pairs. reach: the largest shift of a column, in positions.
void tile_sums_cut(TileSums *s, int64_t reach);
// Bytes from a copy to the next, and from a group to the next, of a chunk.
static inline int64_t tile_copy_bytes(const TileSums *s) {
    return s->chunk * s->pairs * PAIR_BYTES;
}
static inline int64_t tile_group_bytes(const TileSums *s) {
    return s->copies * tile_copy_bytes(s);
}
// dw += scale (O) * the gradient. The device fails without memory.
void tile_sums_run(Device *d, const TileSums *s, float *dw, const float *scale, const bf16 *dz,
                   const bf16 *x);

// Two positions of 32 values, interleaved.
TILES static inline void tile_interleave(const bf16 *a, const bf16 *b, __m512i *low,
                                         __m512i *high) {
    const __m512i first =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    const __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
    *low = _mm512_permutex2var_epi16(x, first, y);
    *high = _mm512_permutex2var_epi16(x, second, y);
}

// Goes through positions of an image (h, w, channels): from the row `y` on, every step-th row and
// pixel, those from `left` pixels left of the first. There are `wide` in a row; what lies outside
// the image, and from the row `end` on, is zeros.
typedef struct TileWalk {
    const bf16 *image, *row; // row: NULL outside
    int64_t h, w, channels, step, left, wide, y, end, at;
} TileWalk;

static inline void walk_row(TileWalk *k) {
    k->row =
        k->y >= 0 && k->y < k->h && k->y < k->end ? k->image + k->y * k->w * k->channels : NULL;
    k->at = 0;
}

static inline const bf16 *walk_pixel(TileWalk *k) {
    static const bf16 zeros[SIDE];
    const int64_t x = k->at * k->step - k->left;
    const bf16 *pixel = k->row && x >= 0 && x < k->w ? k->row + x * k->channels : zeros;
    if (++k->at == k->wide) {
        k->y += k->step;
        walk_row(k);
    }
    return pixel;
}

#endif
#endif
