// SPDX-License-Identifier: Apache-2.0
// Gradients of the weights of 3x3 and 1x1 convolutions on tiles (tile_weights.h). Positions are
// counted through rows of one more than dz's, so that the pixels right of a row are those left of
// the next, and a tap is a shift by a number of positions.
#include "ops/cpu/tile_weights.h"

#ifdef TACT_TILES

// The rows of positions of x that a copy begins with are those of its first tap. A group is 16
// channels under nine taps, or 32 under one, as two copies.
static int copy_of(TileSums *s, TileCopy copy) {
    int i = 0;
    while (i < s->copies && (s->copy[i].up != copy.up || s->copy[i].left != copy.left ||
                             s->copy[i].skip != copy.skip))
        i++;
    if (i == s->copies) s->copy[s->copies++] = copy;
    return i;
}

// With a stride of 2 the pixels left of positions, which are those right of them too, and the ones
// at positions lie in copies of their own; so do rows. Returns the largest shift.
static int64_t plan_taps(TileSums *s) {
    const int kernel = s->spec.kernel;
    int64_t reach = 0;
    for (int t = 0; t < kernel * kernel; t++) {
        const int y = t / kernel, x = t % kernel, border = s->spec.padding;
        const bool apart = s->spec.stride == 2 && border;
        const int64_t shift = apart ? y / 2 * s->wide + x / 2 : y * s->wide + x;
        const TileCopy copy = {.up = apart ? (y + 1) % 2 : border,
                               .left = apart ? (x + 1) % 2 : border,
                               .skip = (int)(shift % 2)};
        s->column[s->columns++] = (TileColumn){.copy = copy_of(s, copy), .shift = shift / 2};
        reach = shift > reach ? shift : reach;
    }
    return reach;
}

// 32 channels of one copy of a strip: of two groups, or the two copies of a group.
TILES static void prepare_x(const TileSums *s, const bf16 *x, int64_t strip, int64_t job,
                            char *at) {
    const ConvSpec *c = &s->spec;
    const bool one = c->kernel == 1;
    const int64_t copies = one ? 1 : s->copies, i = job / copies * SIDE;
    const TileCopy *copy = &s->copy[job % copies];
    char *low = at + (one ? job : 2 * (job / copies)) * tile_group_bytes(s) +
                job % copies * tile_copy_bytes(s);
    char *high = low + (one ? tile_copy_bytes(s) : tile_group_bytes(s));
    TileWalk walk = {.image = x + strip / s->an_image * c->in_h * c->in_w * c->in_c + i,
                     .h = c->in_h,
                     .w = c->in_w,
                     .channels = c->in_c,
                     .step = c->stride,
                     .left = copy->left,
                     .wide = s->wide,
                     .y = c->stride * (strip % s->an_image * s->rows) - copy->up,
                     .end = c->in_h};
    walk_row(&walk);
    if (copy->skip) walk_pixel(&walk);
    for (int64_t k = 0; k < s->pairs; k++, low += PAIR_BYTES, high += PAIR_BYTES) {
        const bf16 *first = walk_pixel(&walk), *second = walk_pixel(&walk);
        __m512i a, b;
        tile_interleave(first, second, &a, &b);
        _mm512_store_si512(low, a);
        _mm512_store_si512(high, b);
    }
}

// dw (O, I, taps): 16 channels of an output lie side by side with their taps.
TILES static void add_nine(const TileSums *s, int64_t o, int64_t group, const float *sums,
                           const float *scale, float *dw) {
    enum { TAPS = 9 };
    float turned[COLUMNS * TAPS + 16];
    for (int64_t r = 0; r < SIDE; r++) {
        const __m512 by = _mm512_set1_ps(scale[o + r]);
        float *to = dw + ((o + r) * s->spec.in_c + group * COLUMNS) * TAPS;
        __m512i v[16];
        for (int t = 0; t < 16; t++)
            v[t] = t < TAPS ? _mm512_loadu_si512(sums + t * COLUMN_SUMS + r * COLUMNS)
                            : _mm512_setzero_si512();
        tile_turn(v);
        for (int c = 0; c < COLUMNS; c++) _mm512_storeu_si512(turned + c * TAPS, v[c]);
        for (int k = 0; k < COLUMNS * TAPS; k += 16)
            _mm512_storeu_ps(
                to + k, _mm512_fmadd_ps(by, _mm512_loadu_ps(turned + k), _mm512_loadu_ps(to + k)));
    }
}

TILES static void add_one(const TileSums *s, int64_t o, int64_t group, const float *sums,
                          const float *scale, float *dw) {
    for (int64_t r = 0; r < SIDE; r++) {
        const __m512 by = _mm512_set1_ps(scale[o + r]);
        float *to = dw + (o + r) * s->spec.in_c + group * SIDE;
        for (int t = 0; t < 2; t++) {
            const __m512 sum = _mm512_loadu_ps(sums + t * COLUMN_SUMS + r * COLUMNS);
            _mm512_storeu_ps(to + 16 * t, _mm512_fmadd_ps(by, sum, _mm512_loadu_ps(to + 16 * t)));
        }
    }
}

void tile_conv_weights(Device *d, const TileConv *conv, float *dw, const float *scale,
                       const bf16 *dz, const bf16 *x) {
    const ConvSpec *spec = &conv->spec;
    const bool one = spec->kernel == 1;
    if (tile_conv_by_rows(spec)) {
        tile_rows_weights(d, conv, dw, scale, dz, x);
        return;
    }
    TileSums s = {.spec = *spec,
                  .out_h = conv->out_h,
                  .out_w = conv->out_w,
                  .wide = conv->out_w + !one,
                  .panels = spec->out_c / SIDE,
                  .groups = spec->in_c / (one ? SIDE : COLUMNS),
                  .prepare = prepare_x,
                  .add = one ? add_one : add_nine};
    const int64_t reach = plan_taps(&s);
    s.jobs = spec->in_c / SIDE * s.copies;
    if (one) {
        s.copies = 2;
        s.columns = 2;
        s.column[1] = (TileColumn){.copy = 1};
    }
    tile_sums_cut(&s, reach);
    tile_sums_run(d, &s, dw, scale, dz, x);
}

#else

void tile_conv_weights(Device *d, const TileConv *c, float *dw, const float *scale, const bf16 *dz,
                       const bf16 *x) {
    (void)d, (void)c, (void)dw, (void)scale, (void)dz, (void)x;
}

#endif
