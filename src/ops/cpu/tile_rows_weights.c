// SPDX-License-Identifier: Apache-2.0
// Gradients of the weights of convolutions of few channels on tiles (tile_weights.h), as the first
// one of a network: all values under a row of the kernel lie side by side in x and are the 32
// columns of that row, of which the last count for nothing. A row of the kernel is a shift by whole
// rows of positions, and reads every stride-th row of x.
#include "ops/cpu/tile_weights.h"

#include <string.h>

#ifdef TACT_TILES

// The values from pixel x of a row on, outside the row 0; row: NULL outside the image. Where all
// that count lie in the row they are read where they are, up to `end` of x.
static inline const bf16 *values_at(const ConvSpec *c, const bf16 *row, const bf16 *end, int64_t x,
                                    bf16 *copy) {
    if (row && x >= 0 && x + c->kernel <= c->in_w && row + x * c->in_c + SIDE <= end)
        return row + x * c->in_c;
    memset(copy, 0, SIDE * sizeof *copy);
    const int64_t from = x < 0 ? least(-x, c->kernel) : 0, to = least(c->in_w - x, c->kernel);
    if (row && from < to)
        memcpy(copy + from * c->in_c, row + (x + from) * c->in_c,
               (size_t)((to - from) * c->in_c) * sizeof *copy);
    return copy;
}

// The pairs of a row of positions, of two copies.
TILES static void prepare_row(const TileSums *s, const bf16 *row, const bf16 *end, char *low,
                              char *high) {
    const ConvSpec *c = &s->spec;
    bf16 copy[2][SIDE];
    for (int64_t k = 0; k < s->wide; k += 2, low += PAIR_BYTES, high += PAIR_BYTES) {
        const int64_t x = k * c->stride - c->padding;
        const bf16 *first = values_at(c, row, end, x, copy[0]);
        const bf16 *second = values_at(c, row, end, x + c->stride, copy[1]);
        __m512i a, b;
        tile_interleave(first, second, &a, &b);
        _mm512_store_si512(low, a);
        _mm512_store_si512(high, b);
    }
}

// job: which of the rows, where every other one is read.
TILES static void prepare_x(const TileSums *s, const bf16 *x, int64_t strip, int64_t job,
                            char *at) {
    const ConvSpec *c = &s->spec;
    const int64_t image = c->in_h * c->in_w * c->in_c, row_bytes = s->wide / 2 * PAIR_BYTES;
    const bf16 *from = x + strip / s->an_image * image, *end = x + c->n * image;
    char *low = at + 2 * job * tile_copy_bytes(s), *high = low + tile_copy_bytes(s);
    int64_t y = c->stride * (strip % s->an_image * s->rows) + job - c->padding, left = s->pairs;
    for (; left >= s->wide / 2; left -= s->wide / 2, low += row_bytes, high += row_bytes) {
        const bool inside = y >= 0 && y < c->in_h;
        prepare_row(s, inside ? from + y * c->in_w * c->in_c : NULL, end, low, high);
        y += c->stride;
    }
    memset(low, 0, (size_t)(left * PAIR_BYTES));
    memset(high, 0, (size_t)(left * PAIR_BYTES));
}

// dw (O, I, k, k): column j of row y is of the channel j % I of tap (y, j / I).
static void add_rows(const TileSums *s, int64_t o, int64_t group, const float *sums,
                     const float *scale, float *dw) {
    const int64_t in_c = s->spec.in_c, kernel = s->spec.kernel;
    (void)group;
    for (int64_t r = 0; r < SIDE; r++)
        for (int64_t y = 0; y < kernel; y++)
            for (int64_t j = 0; j < kernel * in_c; j++)
                dw[(((o + r) * in_c + j % in_c) * kernel + y) * kernel + j / in_c] +=
                    scale[o + r] *
                    sums[(2 * y + j / COLUMNS) * COLUMN_SUMS + r * COLUMNS + j % COLUMNS];
}

void tile_rows_weights(Device *d, const TileConv *conv, float *dw, const float *scale,
                       const bf16 *dz, const bf16 *x) {
    const ConvSpec *spec = &conv->spec;
    TileSums s = {.spec = *spec,
                  .out_h = conv->out_h,
                  .out_w = conv->out_w,
                  .wide = rounded_up(conv->out_w, 2) * 2,
                  .panels = spec->out_c / SIDE,
                  .groups = 1,
                  .jobs = least(spec->stride, spec->kernel),
                  .prepare = prepare_x,
                  .add = add_rows};
    s.copies = (int)(2 * s.jobs);
    for (int y = 0; y < spec->kernel; y++)
        for (int half = 0; half < 2; half++)
            s.column[s.columns++] = (TileColumn){.copy = y % spec->stride * 2 + half,
                                                 .shift = y / spec->stride * s.wide / 2};
    // The last unit of columns has two at least: one more, which nothing is made of.
    if (s.columns % 3 == 1) s.column[s.columns++] = (TileColumn){0};
    tile_sums_cut(&s, (spec->kernel - 1) / spec->stride * s.wide);
    tile_sums_run(d, &s, dw, scale, dz, x);
}

#endif
