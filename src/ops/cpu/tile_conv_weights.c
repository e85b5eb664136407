// SPDX-License-Identifier: Apache-2.0
// Gradients of the weights of convolutions on tiles: for each tap a product whose depth is the
// pixels. Positions are counted as in tile_conv.c, so that a tap is a shift by a number of them. Of
// x rows of positions are made, one for each channel: a tile of 16 channels and 32 positions can
// begin anywhere in them, and the taps of a row of the kernel read nearly the same. Of dz pairs of
// positions are made for 32 outputs. Sums of a row of taps for 16 channels and 32 outputs are one
// thread's from end to end, so that no order depends on the number of threads.
#include "ops/cpu/tile_conv.h"
#include "ops/cpu/tile_kernel.h"

#include <omp.h>
#include <string.h>

#ifdef TACT_TILES

enum {
    PAIR = 2 * SIDE * 2,   // bytes of a pair of positions of them
    ROWS = 16,             // channels of a tile
    CHUNK_BYTES = 5 << 18, // prepared for SIDE outputs and channels, which stay in the second cache
    SUMS = ROWS * SIDE,    // of a tap
};

// Every `stride`th pixel of an image: position (y, x) is the pixel (stride * y - up, stride * x -
// left), counted through rows of one more than dz's; and a tap's shift in it.
typedef struct Plane {
    int up, left;
} Plane;

typedef struct PlaneTap {
    int plane;
    int64_t shift;
} PlaneTap;

// How the work is cut. A strip is `rows` rows of dz of one image, of which it has `steps` of
// TILE_DEPTH positions; of each plane of x a channel has a row of `row` bytes. The order of sums is
// the same however it is cut.
typedef struct Cut {
    int64_t wide, rows, an_image, strips, chunk;
    int64_t steps, row;
    int64_t outputs, inputs; // panels
    int kernel, planes;
    Plane plane[4];
    PlaneTap tap[9];
} Cut;

// Scratch that all threads share: a chunk of dz and of x, sums, and a pixel of zeros.
typedef struct Room {
    char *dz, *x;
    float *sums;
    bf16 *zeros;
} Room;

// With a stride of 2 the pixels left of positions, which are those right of them too, and the ones
// at positions lie in planes of their own; so do rows.
static void cut_planes(const ConvSpec *s, Cut *c) {
    c->kernel = s->kernel;
    for (int t = 0; t < s->kernel * s->kernel; t++) {
        const int y = t / s->kernel, x = t % s->kernel;
        const bool apart = s->stride == 2 && s->padding;
        const Plane plane = {apart ? (y + 1) % 2 : s->padding, apart ? (x + 1) % 2 : s->padding};
        int p = 0;
        while (p < c->planes && (c->plane[p].up != plane.up || c->plane[p].left != plane.left)) p++;
        if (p == c->planes) c->plane[c->planes++] = plane;
        c->tap[t] = (PlaneTap){p, apart ? y / 2 * c->wide + x / 2 : y * c->wide + x};
    }
}

static Cut cut_of(const TileConv *conv) {
    const ConvSpec *s = &conv->spec;
    Cut c = {.wide = conv->out_w + 1, .outputs = s->out_c / SIDE, .inputs = s->in_c / SIDE};
    cut_planes(s, &c);
    const int64_t most = CHUNK_BYTES / (s->out_c * 2 + c.planes * SIDE * 2);
    c.an_image = rounded_up(conv->out_h * c.wide, most);
    c.rows = rounded_up(conv->out_h, c.an_image);
    c.an_image = rounded_up(conv->out_h, c.rows);
    c.strips = s->n * c.an_image;
    c.steps = rounded_up(c.rows * c.wide, TILE_DEPTH);
    // Up to the last step under the last tap; rows that lie a power of two apart share lines of
    // cache.
    c.row = rounded_up(c.steps * TILE_DEPTH + 2 * c.wide + 2, TILE_DEPTH);
    c.row = (c.row | 1) * TILE_DEPTH * (int64_t)sizeof(bf16);
    const int64_t fit = most / (c.steps * TILE_DEPTH);
    c.chunk = fit < 1 ? 1 : least(fit, c.strips);
    return c;
}

// ---- preparation --------------------------------------------------------------------------------

// Goes through positions of an image (h, w, channels): from the row `y` on, every step-th row and
// pixel, those from `left` pixels left of the first. There are `wide` in a row; what lies outside
// the image, and from the row `end` on, is zeros.
typedef struct Walk {
    const bf16 *image, *zeros, *row; // row: NULL outside
    int64_t h, w, channels, step, left, wide, y, end, at;
} Walk;

static inline void find_row(Walk *k) {
    k->row =
        k->y >= 0 && k->y < k->h && k->y < k->end ? k->image + k->y * k->w * k->channels : NULL;
    k->at = 0;
}

static inline const bf16 *next_pixel(Walk *k) {
    const int64_t x = k->at * k->step - k->left;
    const bf16 *pixel = k->row && x >= 0 && x < k->w ? k->row + x * k->channels : k->zeros;
    if (++k->at == k->wide) {
        k->y += k->step;
        find_row(k);
    }
    return pixel;
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

// The pairs of positions of 32 outputs, from o on, of a strip.
TILES static void prepare_dz(const TileConv *conv, const Cut *c, const bf16 *dz, int64_t strip,
                             int64_t o, const bf16 *zeros, char *out) {
    const int64_t top = strip % c->an_image * c->rows, channels = conv->spec.out_c;
    Walk walk = {.image = dz + strip / c->an_image * conv->out_h * conv->out_w * channels + o,
                 .zeros = zeros,
                 .h = conv->out_h,
                 .w = conv->out_w,
                 .channels = channels,
                 .step = 1,
                 .wide = c->wide,
                 .y = top,
                 .end = top + c->rows};
    find_row(&walk);
    for (int64_t k = 0; k < c->steps * TILE_DEPTH / 2; k++, out += PAIR) {
        const bf16 *first = next_pixel(&walk), *second = next_pixel(&walk);
        __m512i low, high;
        interleave(first, second, &low, &high);
        _mm512_store_si512(out, low);
        _mm512_store_si512(out + 64, high);
    }
}

// The rows of 32 channels, from i on, of a plane of a strip.
TILES static void prepare_x(const ConvSpec *s, const Cut *c, const bf16 *x, int64_t strip,
                            const Plane *plane, int64_t i, const bf16 *zeros, char *out) {
    Walk walk = {.image = x + strip / c->an_image * s->in_h * s->in_w * s->in_c + i,
                 .zeros = zeros,
                 .h = s->in_h,
                 .w = s->in_w,
                 .channels = s->in_c,
                 .step = s->stride,
                 .left = plane->left,
                 .wide = c->wide,
                 .y = s->stride * (strip % c->an_image * c->rows) - plane->up,
                 .end = s->in_h};
    find_row(&walk);
    for (int64_t k = 0; k < c->row; k += 64) {
        __m512i low[16], high[16];
        for (int p = 0; p < 16; p++) {
            const bf16 *first = next_pixel(&walk), *second = next_pixel(&walk);
            interleave(first, second, &low[p], &high[p]);
        }
        tile_turn(low);
        tile_turn(high);
        for (int r = 0; r < ROWS; r++) {
            _mm512_store_si512(out + r * c->row + k, low[r]);
            _mm512_store_si512(out + (ROWS + r) * c->row + k, high[r]);
        }
    }
}

static int64_t dz_bytes(const Cut *c) {
    return c->chunk * c->steps * STEP;
}

static int64_t plane_bytes(const Cut *c) {
    return SIDE * c->row;
}

static int64_t x_bytes(const Cut *c) {
    return c->chunk * c->planes * plane_bytes(c);
}

// Of x a plane's strips lie side by side.
static void prepare(const TileConv *conv, const Cut *c, const bf16 *dz, const bf16 *x,
                    int64_t first, int64_t count, const Room *r) {
#pragma omp for collapse(2) schedule(static) nowait
    for (int64_t p = 0; p < c->outputs; p++)
        for (int64_t i = 0; i < count; i++)
            prepare_dz(conv, c, dz, first + i, p * SIDE, r->zeros,
                       r->dz + p * dz_bytes(c) + i * c->steps * STEP);
#pragma omp for collapse(3) schedule(static)
    for (int64_t p = 0; p < c->inputs; p++)
        for (int64_t plane = 0; plane < c->planes; plane++)
            for (int64_t i = 0; i < count; i++)
                prepare_x(&conv->spec, c, x, first + i, &c->plane[plane], p * SIDE, r->zeros,
                          r->x + p * x_bytes(c) + (plane * c->chunk + i) * plane_bytes(c));
}

// ---- sums ---------------------------------------------------------------------------------------

// Where the tiles of a unit begin: of x for each tap of a row of the kernel.
typedef struct Unit {
    const char *dz, *x[3];
    int64_t count; // strips
} Unit;

TILES static void begin_sums(bool zero, const float *sums) {
    enum { ROW = SIDE * sizeof *sums };
    settle_memory(sums);
    if (zero) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        _tile_zero(4);
        _tile_zero(5);
    } else {
        _tile_loadd(0, sums, ROW);
        _tile_loadd(1, sums + 16, ROW);
        _tile_loadd(2, sums + SUMS, ROW);
        _tile_loadd(3, sums + SUMS + 16, ROW);
        _tile_loadd(4, sums + 2 * SUMS, ROW);
        _tile_loadd(5, sums + 2 * SUMS + 16, ROW);
    }
}

TILES static void end_sums(float *sums) {
    enum { ROW = SIDE * sizeof *sums };
    _tile_stored(0, sums, ROW);
    _tile_stored(1, sums + 16, ROW);
    _tile_stored(2, sums + SUMS, ROW);
    _tile_stored(3, sums + SUMS + 16, ROW);
    _tile_stored(4, sums + 2 * SUMS, ROW);
    _tile_stored(5, sums + 2 * SUMS + 16, ROW);
}

// Adds a chunk to the sums (3, 16, 32) of three taps: tiles 0 to 5. A: 6; B: 7.
TILES static void multiply_three(const Cut *c, const Unit *u, bool zero, float *sums) {
    const char *b = u->dz;
    begin_sums(zero, sums);
    for (int64_t i = 0; i < u->count; i++) {
        const int64_t from = i * plane_bytes(c);
        const char *x0 = u->x[0] + from, *x1 = u->x[1] + from, *x2 = u->x[2] + from;
        for (int64_t k = 0; k < c->steps; k++, b += STEP, x0 += 64, x1 += 64, x2 += 64) {
            _tile_loadd(6, x0, c->row);
            _tile_loadd(7, b, PAIR);
            _tile_dpbf16ps(0, 6, 7);
            _tile_loadd(7, b + 64, PAIR);
            _tile_dpbf16ps(1, 6, 7);
            _tile_loadd(6, x1, c->row);
            _tile_dpbf16ps(3, 6, 7);
            _tile_loadd(7, b, PAIR);
            _tile_dpbf16ps(2, 6, 7);
            _tile_loadd(6, x2, c->row);
            _tile_dpbf16ps(4, 6, 7);
            _tile_loadd(7, b + 64, PAIR);
            _tile_dpbf16ps(5, 6, 7);
        }
    }
    end_sums(sums);
}

// The same for one tap.
TILES static void multiply_one(const Cut *c, const Unit *u, bool zero, float *sums) {
    const char *b = u->dz;
    begin_sums(zero, sums);
    for (int64_t i = 0; i < u->count; i++) {
        const char *x = u->x[0] + i * plane_bytes(c);
        for (int64_t k = 0; k < c->steps; k++, b += STEP, x += 64) {
            _tile_loadd(6, x, c->row);
            _tile_loadd(7, b, PAIR);
            _tile_dpbf16ps(0, 6, 7);
            _tile_loadd(7, b + 64, PAIR);
            _tile_dpbf16ps(1, 6, 7);
        }
    }
    end_sums(sums);
}

// dw (O, I, taps) of a tap, whose outputs begin at o and whose channels begin at i, from sums of 16
// channels and 32 outputs.
TILES static void add_sums(const ConvSpec *s, int64_t o, int64_t i, int64_t tap, const float *sums,
                           const float *scale, float *dw) {
    const int64_t taps = s->kernel * s->kernel;
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i apart = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)taps));
    for (int64_t half = 0; half < SIDE; half += 16) {
        __m512i v[16];
        for (int r = 0; r < ROWS; r++) v[r] = _mm512_loadu_si512(sums + r * SIDE + half);
        tile_turn(v);
        for (int r = 0; r < 16; r++) {
            float *to = dw + ((o + half + r) * s->in_c + i) * taps + tap;
            const __m512 old = _mm512_i32gather_ps(apart, to, sizeof *to);
            const __m512 by = _mm512_set1_ps(scale[o + half + r]);
            _mm512_i32scatter_ps(to, apart, _mm512_fmadd_ps(by, (__m512)v[r], old), sizeof *to);
        }
    }
}

// A thread's share of a chunk: a unit is a row of taps for 16 channels and 32 outputs; neighbours
// share their channels.
static void multiply_chunk(const ConvSpec *s, const Cut *c, const Room *r, int64_t first,
                           int64_t count, const float *scale, float *dw) {
    const int64_t me = omp_get_thread_num(), threads = omp_get_num_threads(), k = c->kernel;
    const int64_t units = c->inputs * 2 * k * c->outputs;
    for (int64_t u = units * me / threads; u < units * (me + 1) / threads; u++) {
        const int64_t y = u % k, o = u / k % c->outputs, i = u / k / c->outputs;
        float *sums = r->sums + 3 * u * SUMS;
        Unit unit = {.dz = r->dz + o * dz_bytes(c), .count = count};
        for (int64_t t = 0; t < k; t++) {
            const PlaneTap *tap = &c->tap[y * k + t];
            unit.x[t] = r->x + i / 2 * x_bytes(c) + tap->plane * c->chunk * plane_bytes(c) +
                        i % 2 * ROWS * c->row + tap->shift * (int64_t)sizeof(bf16);
        }
        (k == 3 ? multiply_three : multiply_one)(c, &unit, first == 0, sums);
        for (int64_t t = 0; first + count == c->strips && t < k; t++)
            add_sums(s, o * SIDE, i * ROWS, y * k + t, sums + t * SUMS, scale, dw);
    }
}

void tile_conv_weights(Device *d, const TileConv *conv, float *dw, const float *scale,
                       const bf16 *dz, const bf16 *x) {
    const ConvSpec *s = &conv->spec;
    if (d->failed || s->n < 1) return;
    const Cut c = cut_of(conv);
    const int64_t zeros = (s->in_c > s->out_c ? s->in_c : s->out_c) * (int64_t)sizeof *x;
    const int64_t of_dz = c.outputs * dz_bytes(&c), of_x = c.inputs * x_bytes(&c);
    Room r = {.dz = cpu_grow(d, &cpu_of(d)->tiles, (size_t)(of_dz + of_x + zeros))};
    r.sums = cpu_grow(d, &cpu_of(d)->gradients,
                      (size_t)(s->in_c * s->out_c * s->kernel * 3) * sizeof *r.sums);
    if (!r.dz || !r.sums) return;
    r.x = r.dz + of_dz;
    r.zeros = (bf16 *)(r.x + of_x);
    memset(r.zeros, 0, (size_t)zeros);
#pragma omp parallel num_threads(d->threads)
    {
        tiles_begin();
        for (int64_t first = 0; first < c.strips; first += c.chunk) {
            const int64_t count = least(c.chunk, c.strips - first);
            prepare(conv, &c, dz, x, first, count, &r);
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
