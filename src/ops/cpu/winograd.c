// SPDX-License-Identifier: Apache-2.0
// Winograd's F(4x4, 3x3) and F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016): 36 products where a direct convolution has 144, or 16 where it has 36, for a
// few more roundings. A tile is 4 x 4 outputs, and the 6 x 6 inputs that they need; at each of 36
// points the tiles of a block are one product with that point's filters. Tiles of 2 x 2 outputs
// have less than half the filters to read, which is what takes the time where tiles are few.
#include "ops/cpu/products.h"
#include "ops/cpu/winograd_transforms.h"

#include <omp.h>
#include <string.h>

// ---- tiles --------------------------------------------------------------------------------------

// A tile's size is a constant wherever these functions are inlined.
#define INLINE static inline __attribute__((always_inline))

enum { TILE = 4, PATCH = TILE + 2, POINTS = PATCH * PATCH }; // the most, which arrays have room for

// The tiles of n images, counted through all of them.
typedef struct Tiles {
    int64_t n, h, w, across, all; // of one image: down * across
    int64_t count;
    int size;
} Tiles;

static Tiles tiles_of(int size, int64_t n, int64_t h, int64_t w) {
    Tiles t = {.n = n, .h = h, .w = w, .across = rounded_up(w, size), .size = size};
    t.all = rounded_up(h, size) * t.across;
    t.count = n * t.all;
    return t;
}

static int points_of(int tile) {
    return (tile + 2) * (tile + 2);
}

// WIDE channels of `size` x `size` pixels from (y, x) on; 0 outside the image.
static inline void read_tile(Wide *d, int size, const Tiles *t, const float *in, int64_t lanes,
                             int64_t y, int64_t x) {
    bool inside = y >= 0 && x >= 0 && y + size <= t->h && x + size <= t->w;
    if (inside) {
        in += (y * t->w + x) * lanes;
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) d[i * size + j] = READ(in + (i * t->w + j) * lanes);
        return;
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            bool has = y + i >= 0 && y + i < t->h && x + j >= 0 && x + j < t->w;
            d[i * size + j] = has ? READ(in + ((y + i) * t->w + x + j) * lanes) : (Wide){0};
        }
}

// An image that is read by tiles.
typedef struct Source {
    const float *data;
    int64_t channels, lanes;
} Source;

static inline const float *source_plane(const Source *s, const Tiles *t, int64_t tile, int64_t c) {
    return s->data + image_at(s->channels, s->lanes, t->h, t->w, tile / t->all, c, 0, 0);
}

// One tile's inputs at all points: out is (point, channel), points `step` apart.
INLINE void inputs_of_tile(const int tile, const Tiles *t, const Source *x, int64_t number,
                           float *out, int64_t step) {
    const int patch = tile + 2;
    int64_t top = number % t->all / t->across * tile - 1;
    int64_t left = number % t->all % t->across * tile - 1;
    for (int64_t c = 0; c < x->channels; c += WIDE) {
        Wide d[POINTS], half[POINTS];
        read_tile(d, patch, t, source_plane(x, t, number, c), x->lanes, top, left);
        for (int j = 0; j < patch; j++)
            (tile == TILE ? transform_inputs : transform_inputs2)(half + j, patch, d + j, patch);
        for (int i = 0; i < patch; i++)
            (tile == TILE ? transform_inputs : transform_inputs2)(d + i * patch, 1,
                                                                  half + i * patch, 1);
        for (int p = 0; p < patch * patch; p++) AT(out + p * step + c) = d[p];
    }
}

static void gradients_of_tile(const Tiles *t, const Source *z, int64_t tile, float *out,
                              int64_t step) {
    int64_t top = tile % t->all / t->across * TILE, left = tile % t->all % t->across * TILE;
    for (int64_t c = 0; c < z->channels; c += WIDE) {
        Wide d[TILE * TILE], half[PATCH * TILE], points[POINTS];
        read_tile(d, TILE, t, source_plane(z, t, tile, c), z->lanes, top, left);
        for (int j = 0; j < TILE; j++) transform_gradients(half + j, TILE, d + j, TILE);
        for (int i = 0; i < PATCH; i++)
            transform_gradients(points + i * PATCH, 1, half + i * TILE, 1);
        for (int p = 0; p < POINTS; p++) AT(out + p * step + c) = points[p];
    }
}

// One tile's outputs of `count` channels from c on, from sums as inputs_of_tile writes them.
INLINE void store_tile(const int tile, const Tiles *t, const Sink *s, int64_t number, int64_t c,
                       int64_t count, const float *sums, int64_t step) {
    const int patch = tile + 2;
    int64_t top = number % t->all / t->across * tile, left = number % t->all % t->across * tile;
    int64_t down = least(tile, t->h - top), across = least(tile, t->w - left);
    for (int64_t end = c + count; c < end; c += WIDE, sums += WIDE) {
        Wide m[POINTS], half[TILE * PATCH], y[TILE * TILE];
        for (int p = 0; p < patch * patch; p++) m[p] = READ(sums + p * step);
        for (int j = 0; j < patch; j++)
            (tile == TILE ? transform_sums : transform_sums2)(half + j, patch, m + j, patch);
        for (int i = 0; i < tile; i++)
            (tile == TILE ? transform_sums : transform_sums2)(y + i * tile, 1, half + i * patch, 1);
        const Wide shift = s->shift ? READ(s->shift + c) : (Wide){0};
        int64_t at = image_at(s->channels, s->lanes, t->h, t->w, number / t->all, c, top, left);
        for (int64_t i = 0; i < down; i++)
            for (int64_t j = 0; j < across; j++) {
                int64_t pixel = at + (i * t->w + j) * s->lanes;
                Wide v = y[i * tile + j] + shift;
                if (s->residual) v += READ(s->residual + pixel);
                if (s->relu) v = (Wide)((Mask)v & ~(Mask)(v < 0)); // NaN stays NaN
                AT(s->y + pixel) = v;
            }
    }
}

// ---- forward and backward data ------------------------------------------------------------------

// The filters of a point, and a row more: points that are a power of two apart would all fall on
// the same lines of cache.
static int64_t point_floats(int64_t rows, int64_t columns) {
    return panels_floats(columns, rows) + panel_columns();
}

int64_t winograd_filter_floats(int tile, int64_t rows, int64_t columns) {
    return points_of(tile) * point_floats(rows, columns);
}

// WIDE filters at all points, from weights that lie `down` apart.
INLINE void filters_of(const int tile, float *out, int64_t point, const float *w, int64_t down,
                       bool turned) {
    enum { TAPS = 9 };
    const int patch = tile + 2;
    Wide g[TAPS], half[PATCH * 3], points[POINTS];
    for (int t = 0; t < TAPS; t++)
        for (int l = 0; l < WIDE; l++) g[t][l] = w[l * down + (turned ? 8 - t : t)];
    for (int j = 0; j < 3; j++)
        (tile == TILE ? transform_weights : transform_weights2)(half + j, 3, g + j, 3);
    for (int i = 0; i < patch; i++)
        (tile == TILE ? transform_weights : transform_weights2)(points + i * patch, 1, half + i * 3,
                                                                1);
    for (int p = 0; p < patch * patch; p++) AT(out + p * point) = points[p];
}

void winograd_filters(Device *d, int tile, float *out, const float *w, int64_t out_c, int64_t in_c,
                      bool turned) {
    enum { TAPS = 9 };
    int64_t rows = turned ? in_c : out_c, columns = turned ? out_c : in_c;
    int64_t down = turned ? TAPS : in_c * TAPS, across = turned ? in_c * TAPS : TAPS;
    int64_t point = point_floats(rows, columns), panel = panel_columns();
#pragma omp parallel for num_threads(d->threads)
    for (int64_t first = 0; first < rows; first += panel)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = first; r < least(first + panel, rows); r += WIDE) {
                const float *in = w + r * down + c * across;
                float *to = out + panel_at(columns, c, r);
                if (tile == TILE)
                    filters_of(TILE, to, point, in, down, turned);
                else
                    filters_of(TILE / 2, to, point, in, down, turned);
            }
}

// How the tiles are cut: blocks of tiles, and where those are fewer than threads, of outputs too.
typedef struct Cut {
    int64_t block, blocks, outputs, parts;
} Cut;

static Cut cut_of(const Device *d, const Tiles *t, int64_t outputs) {
    enum { BLOCK = 64, LEAST_BLOCK = 24, LEAST_OUTPUTS = 32 };
    Cut c = {.block = BLOCK};
    int64_t even = rounded_up(t->count, d->threads);
    if (even < c.block) c.block = even > LEAST_BLOCK ? even : LEAST_BLOCK;
    c.blocks = rounded_up(t->count, c.block);
    c.block = rounded_up(t->count, c.blocks);
    c.parts = least(rounded_up(d->threads, c.blocks), rounded_up(outputs, LEAST_OUTPUTS));
    c.outputs = rounded_up(rounded_up(outputs, c.parts), panel_columns()) * panel_columns();
    c.parts = rounded_up(outputs, c.outputs);
    return c;
}

// What winograd_convolve's threads share.
typedef struct Convolution {
    Tiles tiles;
    Cut cut;
    const Sink *y;
    Source x;
    const float *filters;
    int64_t point, in_ld, out_ld; // floats from filter to filter, of a tile's inputs and sums
} Convolution;

// Block b of the tiles, part `part` of the outputs.
INLINE void convolve_block(const int tile, const Convolution *v, int64_t b, int64_t part,
                           float *in) {
    const Cut *c = &v->cut;
    const int points = (tile + 2) * (tile + 2);
    int64_t in_step = c->block * v->in_ld, out_step = c->block * v->out_ld;
    int64_t first = b * c->block, count = least(c->block, v->tiles.count - first);
    int64_t o = part * c->outputs, outputs = least(c->outputs, v->y->channels - o);
    float *sums = in + points * in_step;
    for (int64_t i = 0; i < count; i++)
        inputs_of_tile(tile, &v->tiles, &v->x, first + i, in + i * v->in_ld, in_step);
    for (int64_t p = 0; p < points; p++) {
        const PanelProduct product = {.m = count,
                                      .n = v->y->channels,
                                      .k = v->x.channels,
                                      .lda = v->in_ld,
                                      .ldc = v->out_ld,
                                      .depth = v->x.channels,
                                      .a = in + p * in_step,
                                      .panels = v->filters + p * v->point,
                                      .c = sums + p * out_step};
        panels_multiply(&product, o, o + outputs);
    }
    for (int64_t i = 0; i < count; i++)
        store_tile(tile, &v->tiles, v->y, first + i, o, outputs, sums + i * v->out_ld, out_step);
}

void winograd_convolve(Device *d, int tile, const Sink *y, const float *x, const float *filters,
                       int64_t n, int64_t channels, int64_t lanes) {
    Convolution v = {.tiles = tiles_of(tile, n, y->h, y->w),
                     .y = y,
                     .x = {x, channels, lanes},
                     .filters = filters,
                     .point = point_floats(y->channels, channels),
                     .in_ld = product_ld(channels)};
    v.cut = cut_of(d, &v.tiles, y->channels);
    v.out_ld = product_ld(v.cut.outputs);
    int64_t floats = points_of(tile) * v.cut.block * (v.in_ld + v.out_ld);
    float *scratch = product_scratch(d, floats);
    if (!scratch) return;
#pragma omp parallel for num_threads(d->threads) collapse(2) schedule(dynamic)
    for (int64_t b = 0; b < v.cut.blocks; b++)
        for (int64_t part = 0; part < v.cut.parts; part++) {
            float *mine = scratch + omp_get_thread_num() * floats;
            if (tile == TILE)
                convolve_block(TILE, &v, b, part, mine);
            else
                convolve_block(TILE / 2, &v, b, part, mine);
        }
}

// ---- backward weights ---------------------------------------------------------------------------

// dw (out_c, in_c, 3, 3) += scale * what the sums at all points (point, out_c, in_c) stand for.
static void add_points(Device *d, float *dw, const float *scale, const float *sums, int64_t out_c,
                       int64_t in_c) {
    enum { TAPS = 9 };
    int64_t ld = product_ld(in_c);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < out_c; o++)
        for (int64_t c = 0; c < in_c; c += WIDE) {
            float *out = dw + (o * in_c + c) * TAPS;
            Wide points[POINTS], half[3 * PATCH], g[TAPS];
            for (int p = 0; p < POINTS; p++) points[p] = READ(sums + (p * out_c + o) * ld + c);
            for (int j = 0; j < PATCH; j++) transform_points(half + j, PATCH, points + j, PATCH);
            for (int i = 0; i < 3; i++) transform_points(g + i * 3, 1, half + i * PATCH, 1);
            for (int l = 0; l < WIDE; l++)
                for (int tap = 0; tap < TAPS; tap++) out[l * TAPS + tap] += scale[o] * g[tap][l];
        }
}

// Tiles are taken in blocks: the threads first share the tiles of a block, then its points.
void winograd_weights(Device *d, const ConvProduct *p, float *dw, const float *scale,
                      const float *dz, const float *x) {
    enum { FLOATS = 1 << 21, LEAST_BLOCK = 96 };
    const ConvSpec *s = &p->spec;
    const Tiles t = tiles_of(TILE, s->n, s->in_h, s->in_w);
    const Source inputs = {x, s->in_c, p->lanes}, gradients = {dz, s->out_c, p->out_lanes};
    int64_t in_ld = product_ld(s->in_c), out_ld = product_ld(s->out_c);
    int64_t block = FLOATS / (POINTS * (in_ld + out_ld));
    block = least(t.count, block < LEAST_BLOCK ? LEAST_BLOCK : block);
    int64_t in_step = block * in_ld, out_step = block * out_ld, point = s->out_c * in_ld;
    int64_t floats = POINTS * (in_step + out_step + point);
    float *in = product_scratch(d, rounded_up(floats, d->threads));
    if (!in) return;
    float *z = in + POINTS * in_step, *sums = z + POINTS * out_step;
    for (int64_t first = 0; first < t.count && !d->failed; first += block) {
        int64_t count = least(block, t.count - first);
#pragma omp parallel num_threads(d->threads)
        {
#pragma omp for
            for (int64_t i = 0; i < count; i++) {
                inputs_of_tile(TILE, &t, &inputs, first + i, in + i * in_ld, in_step);
                gradients_of_tile(&t, &gradients, first + i, z + i * out_ld, out_step);
            }
#pragma omp for schedule(dynamic)
            for (int64_t q = 0; q < POINTS; q++)
                cpu_gemm(d, 'T', 'N', s->out_c, s->in_c, count, 1, z + q * out_step, out_ld,
                         in + q * in_step, in_ld, first > 0, sums + q * point, in_ld);
        }
    }
    add_points(d, dw, scale, sums, s->out_c, s->in_c);
}
