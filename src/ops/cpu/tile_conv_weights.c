// SPDX-License-Identifier: Apache-2.0
// Gradients of the weights of 3x3 convolutions on tiles: for each tap a product whose depth is the
// pixels. Positions are counted as in tile_conv.c, so that a tap is a shift by a number of them. Of
// dz tiles of 16 outputs and 32 positions are made, of x pairs of positions for 32 channels, twice:
// beginning at even ones and at odd ones, and each tap finds its tiles in one of the two. Sums of
// a tap of 32 outputs and channels are one thread's from end to end, so that no order depends on
// the number of threads.
#include "ops/cpu/tile_conv.h"
#include "ops/cpu/tile_pack.h"

#include <omp.h>
#include <string.h>

#ifdef TACT_TILES

enum {
    SIDE = 32,
    STEP = 2 * TILE_BYTES,  // of dz for TILE_DEPTH positions and SIDE outputs
    PAIR = 2 * SIDE * 2,    // bytes of a pair of positions for SIDE channels
    CHUNK_POSITIONS = 6000, // that are prepared together
    SUMS = SIDE * SIDE,     // of a tap
};

// How the work is cut. A strip is `rows` rows of one image; of dz it has `steps` of TILE_DEPTH
// positions, of x `pairs` of positions. The order of sums is the same however it is cut.
typedef struct Cut {
    int64_t wide, rows, an_image, strips, chunk;
    int64_t steps, pairs;
    int64_t outputs, inputs; // panels
} Cut;

// Scratch that all threads share: a chunk of dz and of x, sums, and where each pixel is, or a pixel
// of zeros.
typedef struct Room {
    char *dz, *x;
    float *sums;
    bf16 *zeros;
} Room;

static Cut cut_of(const ConvSpec *s) {
    Cut c = {.wide = s->in_w + 1, .outputs = s->out_c / SIDE, .inputs = s->in_c / SIDE};
    c.an_image = rounded_up(s->in_h * c.wide, CHUNK_POSITIONS);
    c.rows = rounded_up(s->in_h, c.an_image);
    c.an_image = rounded_up(s->in_h, c.rows);
    c.strips = s->n * c.an_image;
    c.steps = rounded_up(c.rows * c.wide, TILE_DEPTH);
    // The last step under the last tap.
    c.pairs = rounded_up(c.steps * TILE_DEPTH + 2 * c.wide + 2, 2) + 1;
    const int64_t fit = CHUNK_POSITIONS / (c.steps * TILE_DEPTH);
    c.chunk = fit < 1 ? 1 : least(fit, c.strips);
    return c;
}

// ---- preparation --------------------------------------------------------------------------------

// The pixel of an image (h, w, channels) at a position counted from its row `top` on, w + 1 to a
// row; zeros in the border.
static inline const bf16 *pixel_at(const bf16 *image, int64_t h, int64_t w, int64_t channels,
                                   int64_t top, int64_t position, const bf16 *zeros) {
    const int64_t y = top + position / (w + 1), x = position % (w + 1);
    const bool inside = y >= 0 && y < h && x < w;
    return inside ? image + (y * w + x) * channels : zeros;
}

// Two pixels of 32 channels, interleaved.
TILES static inline void interleave(const bf16 *a, const bf16 *b, __m512i *low, __m512i *high) {
    const __m512i first =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    const __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
    *low = _mm512_permutex2var_epi16(x, first, y);
    *high = _mm512_permutex2var_epi16(x, second, y);
}

// The tiles of 32 outputs, from o on, of a strip.
TILES static void prepare_dz(const ConvSpec *s, const Cut *c, const bf16 *dz, int64_t strip,
                             int64_t o, const bf16 *zeros, char *out) {
    const int64_t top = strip % c->an_image * c->rows, positions = c->rows * c->wide;
    const bf16 *image = dz + strip / c->an_image * s->in_h * s->in_w * s->out_c + o;
    for (int64_t k = 0; k < c->steps; k++, out += STEP) {
        __m512i low[16], high[16];
        for (int i = 0; i < 16; i++) {
            const bf16 *pair[2];
            for (int j = 0; j < 2; j++) {
                const int64_t at = k * TILE_DEPTH + 2 * i + j;
                pair[j] = at < positions
                              ? pixel_at(image, s->in_h, s->in_w, s->out_c, top, at, zeros)
                              : zeros;
            }
            interleave(pair[0], pair[1], &low[i], &high[i]);
        }
        tile_turn(low);
        tile_turn(high);
        for (int i = 0; i < 16; i++) {
            _mm512_store_si512(out + 64 * i, low[i]);
            _mm512_store_si512(out + TILE_BYTES + 64 * i, high[i]);
        }
    }
}

// The pairs of 32 channels, from i on, of a strip: those that begin at even positions, then those
// at odd ones.
TILES static void prepare_x(const ConvSpec *s, const Cut *c, const bf16 *x, int64_t strip,
                            int64_t i, const bf16 *zeros, char *out) {
    const int64_t top = strip % c->an_image * c->rows, odd = c->pairs * PAIR;
    const bf16 *image = x + strip / c->an_image * s->in_h * s->in_w * s->in_c + i;
    // The border comes first: position 0 is left of the pixel above the first.
    const bf16 *at = zeros;
    for (int64_t k = 0; k < c->pairs; k++, out += PAIR) {
        const bf16 *next[2];
        for (int j = 0; j < 2; j++)
            next[j] = pixel_at(image, s->in_h, s->in_w, s->in_c, top - 1, 2 * k + j, zeros);
        __m512i low, high;
        interleave(at, next[0], &low, &high);
        _mm512_store_si512(out, low);
        _mm512_store_si512(out + 64, high);
        interleave(next[0], next[1], &low, &high);
        _mm512_store_si512(out + odd, low);
        _mm512_store_si512(out + odd + 64, high);
        at = next[1];
    }
}

static int64_t dz_bytes(const Cut *c) {
    return c->chunk * c->steps * STEP;
}

static int64_t x_bytes(const Cut *c) {
    return c->chunk * 2 * c->pairs * PAIR;
}

static void prepare(const ConvSpec *s, const Cut *c, const bf16 *dz, const bf16 *x, int64_t first,
                    int64_t count, const Room *r) {
#pragma omp for collapse(2) schedule(static) nowait
    for (int64_t p = 0; p < c->outputs; p++)
        for (int64_t i = 0; i < count; i++)
            prepare_dz(s, c, dz, first + i, p * SIDE, r->zeros,
                       r->dz + p * dz_bytes(c) + i * c->steps * STEP);
#pragma omp for collapse(2) schedule(static)
    for (int64_t p = 0; p < c->inputs; p++)
        for (int64_t i = 0; i < count; i++)
            prepare_x(s, c, x, first + i, p * SIDE, r->zeros,
                      r->x + p * x_bytes(c) + i * 2 * c->pairs * PAIR);
}

// ---- sums ---------------------------------------------------------------------------------------

// Adds a chunk to the sums (32, 32) of one tap, which lies `shift` positions on. Sums: tiles 0 to
// 3; A: 4 and 5; B: 6 and 7.
TILES static void multiply_tap(const Cut *c, int64_t count, const char *dz, const char *x,
                               int64_t shift, bool begin, float *sums) {
    const int64_t row = SIDE * (int64_t)sizeof *sums;
    x += (shift % 2 * c->pairs + shift / 2) * PAIR;
    if (begin) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums, row);
        _tile_loadd(1, sums + 16, row);
        _tile_loadd(2, sums + 16 * SIDE, row);
        _tile_loadd(3, sums + 16 * SIDE + 16, row);
    }
    for (int64_t i = 0; i < count; i++, x += 2 * c->pairs * PAIR) {
        const char *b = x;
        for (int64_t k = 0; k < c->steps; k++, dz += STEP, b += 16 * PAIR) {
            _tile_loadd(4, dz, 64);
            _tile_loadd(6, b, PAIR);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 64, PAIR);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, dz + TILE_BYTES, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, row);
    _tile_stored(1, sums + 16, row);
    _tile_stored(2, sums + 16 * SIDE, row);
    _tile_stored(3, sums + 16 * SIDE + 16, row);
}

// dw (O, I, 9) of a tap, whose outputs begin at o and whose channels begin at i.
TILES static void add_sums(const ConvSpec *s, int64_t o, int64_t i, int tap, const float *sums,
                           const float *scale, float *dw) {
    const __m512i nine =
        _mm512_setr_epi32(0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99, 108, 117, 126, 135);
    for (int64_t r = 0; r < SIDE; r++)
        for (int64_t half = 0; half < SIDE; half += 16) {
            float *to = dw + ((o + r) * s->in_c + i + half) * 9 + tap;
            const __m512 sum = _mm512_loadu_ps(sums + r * SIDE + half);
            const __m512 old = _mm512_i32gather_ps(nine, to, sizeof *to);
            _mm512_i32scatter_ps(to, nine, _mm512_fmadd_ps(_mm512_set1_ps(scale[o + r]), sum, old),
                                 sizeof *to);
        }
}

// A thread's share of a chunk: a unit is a row of taps for 32 channels and outputs; neighbours
// share their channels.
static void multiply_chunk(const ConvSpec *s, const Cut *c, const Room *r, int64_t first,
                           int64_t count, const float *scale, float *dw) {
    const int64_t me = omp_get_thread_num(), threads = omp_get_num_threads();
    const int64_t units = c->inputs * 3 * c->outputs;
    for (int64_t u = units * me / threads; u < units * (me + 1) / threads; u++) {
        const int64_t o = u % c->outputs, dy = u / c->outputs % 3, i = u / c->outputs / 3;
        for (int64_t dx = 0; dx < 3; dx++) {
            float *sums = r->sums + (3 * u + dx) * SUMS;
            multiply_tap(c, count, r->dz + o * dz_bytes(c), r->x + i * x_bytes(c),
                         dy * c->wide + dx, first == 0, sums);
            if (first + count == c->strips)
                add_sums(s, o * SIDE, i * SIDE, (int)(dy * 3 + dx), sums, scale, dw);
        }
    }
}

void tile_conv_weights(Device *d, const TileConv *conv, float *dw, const float *scale,
                       const bf16 *dz, const bf16 *x) {
    const ConvSpec *s = &conv->spec;
    if (d->failed || s->n < 1) return;
    const Cut c = cut_of(s);
    const int64_t zeros = (s->in_c > s->out_c ? s->in_c : s->out_c) * (int64_t)sizeof *x;
    const int64_t of_dz = c.outputs * dz_bytes(&c), of_x = c.inputs * x_bytes(&c);
    Room r = {.dz = cpu_grow(d, &cpu_of(d)->tiles, (size_t)(of_dz + of_x + zeros))};
    r.sums = cpu_grow(d, &cpu_of(d)->gradients, (size_t)(9 * s->in_c * s->out_c) * sizeof *r.sums);
    if (!r.dz || !r.sums) return;
    r.x = r.dz + of_dz;
    r.zeros = (bf16 *)(r.x + of_x);
    memset(r.zeros, 0, (size_t)zeros);
#pragma omp parallel num_threads(d->threads)
    {
        tiles_begin();
        for (int64_t first = 0; first < c.strips; first += c.chunk) {
            const int64_t count = least(c.chunk, c.strips - first);
            prepare(s, &c, dz, x, first, count, &r);
            multiply_chunk(s, &c, &r, first, count, scale, dw);
#pragma omp barrier
        }
        tiles_end();
    }
}

#else

void tile_conv_weights(Device *d, const TileConv *c, float *dw, const float *scale, const bf16 *dz,
                       const bf16 *x) {
    (void)d, (void)c, (void)dw, (void)scale, (void)dz, (void)x;
}

#endif
