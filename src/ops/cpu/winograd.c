// SPDX-License-Identifier: Apache-2.0
// Winograd's F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2016): 36 products where a direct convolution has 144, for a few more roundings. A tile is 4 x 4
// outputs, and the 6 x 6 inputs that they need; at each of 36 points the tiles of a block are one
// product with that point's filters.
#include "ops/cpu/products.h"

#include <omp.h>
#include <string.h>

enum { TILE = 4, PATCH = 6, POINTS = PATCH * PATCH };

// Channels that one instruction works on.
#ifdef __AVX__
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef float Wide __attribute__((vector_size(WIDE * sizeof(float)), aligned(4)));
typedef int32_t Mask __attribute__((vector_size(WIDE * sizeof(int32_t)), aligned(4)));
#define AT(pointer) (*(Wide *)(pointer))
#define READ(pointer) (*(const Wide *)(pointer))

// ---- transforms along one direction; steps are in vectors ---------------------------------------

// Of six inputs.
static inline void transform_inputs(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by], d = in[3 * by], e = in[4 * by],
               f = in[5 * by];
    const Wide even = e - 4 * c, odd = d - 4 * b, near = e - c, twice = 2 * (d - b);
    out[0] = 4 * a - 5 * c + e;
    out[to] = even + odd;
    out[2 * to] = even - odd;
    out[3 * to] = near + twice;
    out[4 * to] = near - twice;
    out[5 * to] = 4 * b - 5 * d + f;
}

// Of six points to four outputs.
static inline void transform_sums(Wide *out, int to, const Wide *in, int by) {
    const Wide p = in[by] + in[2 * by], q = in[by] - in[2 * by];
    const Wide r = in[3 * by] + in[4 * by], s = in[3 * by] - in[4 * by];
    out[0] = in[0] + p + r;
    out[to] = q + 2 * s;
    out[2 * to] = p + 4 * r;
    out[3 * to] = q + 8 * s + in[5 * by];
}

// The transpose of transform_sums: of four gradients to six points.
static inline void transform_gradients(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by], d = in[3 * by];
    const Wide even = a + c, odd = b + d, even2 = a + 4 * c, odd2 = 2 * b + 8 * d;
    out[0] = a;
    out[to] = even + odd;
    out[2 * to] = even - odd;
    out[3 * to] = even2 + odd2;
    out[4 * to] = even2 - odd2;
    out[5 * to] = d;
}

// Of three weights.
static inline void transform_weights(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by];
    const Wide even = (a + c) * (1.0f / 6), odd = b * (1.0f / 6);
    const Wide even2 = a * (1.0f / 24) + c * (1.0f / 6), odd2 = b * (1.0f / 12);
    out[0] = a * 0.25f;
    out[to] = -even - odd;
    out[2 * to] = odd - even;
    out[3 * to] = even2 + odd2;
    out[4 * to] = even2 - odd2;
    out[5 * to] = c;
}

// The transpose of transform_weights: of six points to three gradients.
static inline void transform_points(Wide *out, int to, const Wide *in, int by) {
    const Wide p = in[by] + in[2 * by], q = in[2 * by] - in[by];
    const Wide r = in[3 * by] + in[4 * by], s = in[3 * by] - in[4 * by];
    out[0] = in[0] * 0.25f - p * (1.0f / 6) + r * (1.0f / 24);
    out[to] = q * (1.0f / 6) + s * (1.0f / 12);
    out[2 * to] = (r - p) * (1.0f / 6) + in[5 * by];
}

// ---- tiles --------------------------------------------------------------------------------------

// The tiles of n images, counted through all of them.
typedef struct Tiles {
    int64_t n, h, w, across, all; // of one image: down * across
    int64_t count;
} Tiles;

static Tiles tiles_of(int64_t n, int64_t h, int64_t w) {
    Tiles t = {.n = n, .h = h, .w = w, .across = rounded_up(w, TILE)};
    t.all = rounded_up(h, TILE) * t.across;
    t.count = n * t.all;
    return t;
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
static void inputs_of_tile(const Tiles *t, const Source *x, int64_t tile, float *out,
                           int64_t step) {
    int64_t top = tile % t->all / t->across * TILE - 1;
    int64_t left = tile % t->all % t->across * TILE - 1;
    for (int64_t c = 0; c < x->channels; c += WIDE) {
        Wide d[POINTS], half[POINTS];
        read_tile(d, PATCH, t, source_plane(x, t, tile, c), x->lanes, top, left);
        for (int j = 0; j < PATCH; j++) transform_inputs(half + j, PATCH, d + j, PATCH);
        for (int i = 0; i < PATCH; i++) transform_inputs(d + i * PATCH, 1, half + i * PATCH, 1);
        for (int p = 0; p < POINTS; p++) AT(out + p * step + c) = d[p];
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
static void store_tile(const Tiles *t, const Sink *s, int64_t tile, int64_t c, int64_t count,
                       const float *sums, int64_t step) {
    int64_t top = tile % t->all / t->across * TILE, left = tile % t->all % t->across * TILE;
    int64_t down = least(TILE, t->h - top), across = least(TILE, t->w - left);
    for (int64_t end = c + count; c < end; c += WIDE, sums += WIDE) {
        Wide m[POINTS], half[TILE * PATCH], y[TILE * TILE];
        for (int p = 0; p < POINTS; p++) m[p] = READ(sums + p * step);
        for (int j = 0; j < PATCH; j++) transform_sums(half + j, PATCH, m + j, PATCH);
        for (int i = 0; i < TILE; i++) transform_sums(y + i * TILE, 1, half + i * PATCH, 1);
        const Wide shift = s->shift ? READ(s->shift + c) : (Wide){0};
        int64_t at = image_at(s->channels, s->lanes, t->h, t->w, tile / t->all, c, top, left);
        for (int64_t i = 0; i < down; i++)
            for (int64_t j = 0; j < across; j++) {
                int64_t pixel = at + (i * t->w + j) * s->lanes;
                Wide v = y[i * TILE + j] + shift;
                if (s->residual) v += READ(s->residual + pixel);
                if (s->relu) v = (Wide)((Mask)v & ~(Mask)(v < 0)); // NaN stays NaN
                AT(s->y + pixel) = v;
            }
    }
}

// ---- forward and backward data ------------------------------------------------------------------

int64_t winograd_filter_floats(int64_t rows, int64_t columns) {
    return POINTS * rows * product_ld(columns);
}

void winograd_filters(Device *d, float *out, const float *w, int64_t out_c, int64_t in_c,
                      bool turned) {
    enum { TAPS = 9 };
    int64_t rows = turned ? in_c : out_c, columns = turned ? out_c : in_c;
    int64_t ld = product_ld(columns), down = turned ? TAPS : in_c * TAPS;
    int64_t across = turned ? in_c * TAPS : TAPS;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t c = 0; c < columns; c += WIDE)
        for (int64_t r = 0; r < rows; r++) {
            const float *in = w + r * down + c * across;
            Wide g[TAPS], half[PATCH * 3], points[POINTS];
            for (int t = 0; t < TAPS; t++)
                for (int l = 0; l < WIDE; l++) g[t][l] = in[l * across + (turned ? 8 - t : t)];
            for (int j = 0; j < 3; j++) transform_weights(half + j, 3, g + j, 3);
            for (int i = 0; i < PATCH; i++)
                transform_weights(points + i * PATCH, 1, half + i * 3, 1);
            for (int p = 0; p < POINTS; p++) AT(out + (p * rows + r) * ld + c) = points[p];
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
    c.outputs = rounded_up(rounded_up(outputs, c.parts), 16) * 16;
    c.parts = rounded_up(outputs, c.outputs);
    return c;
}

void winograd_convolve(Device *d, const Sink *y, const float *x, const float *filters, int64_t n,
                       int64_t channels, int64_t lanes) {
    const Tiles t = tiles_of(n, y->h, y->w);
    const Source source = {x, channels, lanes};
    const Cut c = cut_of(d, &t, y->channels);
    int64_t in_ld = product_ld(channels), out_ld = product_ld(c.outputs);
    int64_t in_step = c.block * in_ld, out_step = c.block * out_ld;
    int64_t floats = POINTS * (in_step + out_step);
    float *scratch = product_scratch(d, floats);
    if (!scratch) return;
#pragma omp parallel for num_threads(d->threads) collapse(2) schedule(dynamic)
    for (int64_t b = 0; b < c.blocks; b++)
        for (int64_t part = 0; part < c.parts; part++) {
            float *in = scratch + omp_get_thread_num() * floats, *sums = in + POINTS * in_step;
            int64_t first = b * c.block, count = least(c.block, t.count - first);
            int64_t o = part * c.outputs, outputs = least(c.outputs, y->channels - o);
            for (int64_t i = 0; i < count; i++)
                inputs_of_tile(&t, &source, first + i, in + i * in_ld, in_step);
            for (int64_t p = 0; p < POINTS; p++)
                cpu_gemm(d, 'N', 'T', count, outputs, channels, 1, in + p * in_step, in_ld,
                         filters + (p * y->channels + o) * in_ld, in_ld, 0, sums + p * out_step,
                         out_ld);
            for (int64_t i = 0; i < count; i++)
                store_tile(&t, y, first + i, o, outputs, sums + i * out_ld, out_step);
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
    const Tiles t = tiles_of(s->n, s->in_h, s->in_w);
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
                inputs_of_tile(&t, &inputs, first + i, in + i * in_ld, in_step);
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
