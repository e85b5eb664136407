// SPDX-License-Identifier: Apache-2.0
// Forward and backward data. Rows of an image are copied with a border of zeros, so that under each
// tap of the kernel a run of pixels is a run of pixels: a tile of 16 of them and 32 of their
// channels is loaded from where they lie, nothing is unfolded. Positions are counted through rows
// of one more than the image's, whose border is both the right one of a row and the left one of
// the next; what is summed there is thrown away. With a stride of 2 even and odd rows lie apart.
#include "ops/cpu/tile_conv.h"

#include "base/memory.h"
#include "ops/cpu/tile_kernel.h"
#include "ops/cpu/vector.h"

#include <omp.h>
#include <string.h>

#ifdef TACT_TILES

enum {
    CHUNK_BYTES = 1 << 20, // of copied rows, which stay in the second cache
};

// ---- plans --------------------------------------------------------------------------------------

static int64_t pass_steps(const TilePass *p) {
    return p->taps * p->channels / TILE_DEPTH;
}

static int64_t weights_bytes(const TilePass *p) {
    return p->outputs / SIDE * pass_steps(p) * STEP;
}

static void plan_weights(Device *d, TilePass *p) {
    if (p->taps) p->weights = d->alloc(d, (size_t)weights_bytes(p));
}

static void plan_forward(Device *d, TileConv *c) {
    const ConvSpec *s = &c->spec;
    TilePass *p = &c->forward;
    *p = (TilePass){.n = s->n,
                    .h = s->in_h,
                    .w = s->in_w,
                    .channels = s->in_c,
                    .grid_h = c->out_h,
                    .grid_w = c->out_w,
                    .stride = s->stride,
                    .to_h = c->out_h,
                    .to_w = c->out_w,
                    .outputs = s->out_c,
                    .step = 1};
    for (int t = 0; t < s->kernel * s->kernel; t++) {
        const int dy = t / s->kernel + 1 - s->padding, dx = t % s->kernel + 1 - s->padding;
        p->from[p->taps] = t;
        p->tap[p->taps++] = dy * 3 + dx;
    }
    plan_weights(d, p);
}

// dx at (stride * y + top) takes dz at y + (top + padding - ky) / stride, where that divides.
static void plan_data(Device *d, TileConv *c, TilePass *p, int top, int left) {
    const ConvSpec *s = &c->spec;
    *p = (TilePass){.n = s->n,
                    .h = c->out_h,
                    .w = c->out_w,
                    .channels = s->out_c,
                    .grid_h = rounded_up(s->in_h - top, s->stride),
                    .grid_w = rounded_up(s->in_w - left, s->stride),
                    .stride = 1,
                    .to_h = s->in_h,
                    .to_w = s->in_w,
                    .outputs = s->in_c,
                    .step = s->stride,
                    .top = top,
                    .left = left};
    for (int t = s->kernel * s->kernel - 1; t >= 0; t--) {
        const int y = top + s->padding - t / s->kernel, x = left + s->padding - t % s->kernel;
        if (y % s->stride || x % s->stride) continue;
        p->from[p->taps] = t;
        p->tap[p->taps++] = (y / s->stride + 1) * 3 + x / s->stride + 1;
    }
    plan_weights(d, p);
}

TileConv *tile_conv_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]) {
    TileConv *c = TRY_NEW(TileConv, 1);
    if (!c) {
        device_fail_memory(d, "a convolution's plan");
        return NULL;
    }
    c->spec = *s;
    c->out_h = conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation);
    c->out_w = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation);
    memcpy(c->used, used, sizeof c->used);
    if (used[FORWARD]) plan_forward(d, c);
    for (int i = 0; used[BACKWARD_DATA] && i < s->stride * s->stride; i++)
        plan_data(d, c, &c->data[i], i / s->stride, i % s->stride);
    if (!d->failed) return c;
    tile_conv_free(c);
    return NULL;
}

void tile_conv_free(TileConv *c) {
    if (!c) return;
    mem_free(c->forward.weights);
    for (int i = 0; i < 4; i++) mem_free(c->data[i].weights);
    mem_free(c);
}

// ---- weights ------------------------------------------------------------------------------------

// The steps of the depth: for each row of taps, and each 32 channels, the taps of the row, so that
// pixels that were read are read again at once. first: the row's first tap, which has `count`.
typedef struct TapRow {
    int first, count;
} TapRow;

static TapRow tap_row(const TilePass *p, int first) {
    TapRow r = {.first = first};
    while (first + r.count < p->taps && p->tap[first + r.count] / 3 == p->tap[first] / 3) r.count++;
    return r;
}

// A row of w (I, taps) in bfloat16, as (taps, I), the taps `apart`. No compiler but gcc gives the
// loop of a team of threads its function's instructions: the team is the caller's.
TILES static void round_row(bf16 *out, int64_t apart, const float *w, int64_t inputs,
                            int64_t taps) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)taps));
    for (int64_t i = 0; i < inputs; i += TILE_DEPTH)
        for (int64_t t = 0; t < taps; t++) {
            const float *from = w + i * taps + t;
            const __m512 low = _mm512_i32gather_ps(at, from, sizeof *from);
            const __m512 high = _mm512_i32gather_ps(at, from + 16 * taps, sizeof *from);
            _mm512_storeu_si512(out + t * apart + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
}

// w (O, I, taps) in bfloat16, as (taps, O, I).
static void round_weights(const Device *d, bf16 *out, const float *w, int64_t outputs,
                          int64_t inputs, int64_t taps) {
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < outputs; o++)
        round_row(out + o * inputs, outputs * inputs, w + o * inputs * taps, inputs, taps);
}

// turned: of backward data, whose depth goes over O.
static void pack_weights(const Device *d, const TilePass *p, const bf16 *halves, bool turned) {
    const int64_t inputs = turned ? p->outputs : p->channels, all = p->outputs * p->channels;
    if (!p->taps) return;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t j = 0; j < p->outputs; j += SIDE) {
        char *out = p->weights + j / SIDE * pass_steps(p) * STEP;
        for (TapRow r = tap_row(p, 0); r.count; r = tap_row(p, r.first + r.count))
            for (int64_t k = 0; k < p->channels; k += TILE_DEPTH)
                for (int t = r.first; t < r.first + r.count; t++, out += STEP) {
                    const TilePanels panel = {.data = halves + p->from[t] * all,
                                              .half = true,
                                              .across = turned ? 1 : inputs,
                                              .along = turned ? inputs : 1,
                                              .first = j,
                                              .n = SIDE,
                                              .from = k,
                                              .depth = TILE_DEPTH};
                    tile_pack(&panel, true, out);
                }
    }
}

void tile_conv_load(Device *d, TileConv *c, const float *w) {
    const ConvSpec *s = &c->spec;
    const int64_t taps = s->kernel * s->kernel;
    if (!c->used[FORWARD] && !c->used[BACKWARD_DATA]) return;
    bf16 *halves =
        cpu_grow(d, &cpu_of(d)->tiles, (size_t)(s->out_c * s->in_c * taps) * sizeof *halves);
    if (!halves) return;
    round_weights(d, halves, w, s->out_c, s->in_c, taps);
    if (c->used[FORWARD]) pack_weights(d, &c->forward, halves, false);
    for (int i = 0; c->used[BACKWARD_DATA] && i < s->stride * s->stride; i++)
        pack_weights(d, &c->data[i], halves, true);
}

// ---- a block ------------------------------------------------------------------------------------

// What becomes of the sums of 32 positions: row r goes to y + at[r], unless that is negative.
typedef struct Finish {
    const float *sums; // NULL: there are none
    const int64_t *at;
    bf16 *y;
    const bf16 *residual;
    const float *shift;
    float least; // 0 with a relu, else -INFINITY
} Finish;

TILES static inline __m512 floats_of(const bf16 *x) {
    const __m256i halves = _mm256_loadu_si256((const __m256i *)x);
    return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}

TILES static inline void finish_row(const Finish *f, int64_t r) {
    const int64_t at = f->at[r];
    if (at < 0) return;
    const __m512 least = _mm512_set1_ps(f->least);
    __m512 low = _mm512_loadu_ps(f->sums + r * SIDE) + _mm512_loadu_ps(f->shift);
    __m512 high = _mm512_loadu_ps(f->sums + r * SIDE + 16) + _mm512_loadu_ps(f->shift + 16);
    if (f->residual) {
        low += floats_of(f->residual + at);
        high += floats_of(f->residual + at + 16);
    }
    // Of a pair with a NaN the second is the greater one.
    low = _mm512_max_ps(least, low);
    high = _mm512_max_ps(least, high);
    _mm512_storeu_si512(f->y + at, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// How tiles are read for a pass: bytes from position to position, between 32 channels of a pixel,
// and to each tap.
typedef struct Reading {
    int64_t apart, tap[9];
    int rows;
    TapRow row[3];
} Reading;

// The sums (32, 32) of two tiles of positions with a panel of weights, while those of the block
// before are finished. Sums: tiles 0 to 3; A: 4 and 5; B: 6 and 7.
TILES static void convolve_block(const Reading *v, int64_t channels, const char *x0, const char *x1,
                                 const char *b, float *sums, const Finish *f) {
    int64_t done = f->sums ? 0 : SIDE;
    settle_memory(x0);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int r = 0; r < v->rows; r++)
        for (int64_t c = 0; c < channels * (int64_t)sizeof(bf16); c += 64)
            for (int t = v->row[r].first; t < v->row[r].first + v->row[r].count; t++, b += STEP) {
                const int64_t at = v->tap[t] + c;
                _tile_loadd(4, x0 + at, v->apart);
                _tile_loadd(6, b, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, b + TILE_BYTES, 64);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, x1 + at, v->apart);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
                if (done >= SIDE) continue;
                finish_row(f, done++);
                finish_row(f, done++);
            }
    while (done < SIDE) finish_row(f, done++);
    _tile_stored(0, sums, SIDE * sizeof *sums);
    _tile_stored(1, sums + 16, SIDE * sizeof *sums);
    _tile_stored(2, sums + 16 * SIDE, SIDE * sizeof *sums);
    _tile_stored(3, sums + 16 * SIDE + 16, SIDE * sizeof *sums);
}

// ---- strips -------------------------------------------------------------------------------------

// How a pass is cut. A strip is `rows` rows of the grid of one image; its pixels are copied to
// `pixels` places of `apart` bytes. Nothing here changes a sum.
typedef struct Cut {
    int64_t rows, an_image, strips; // strips of an image, and of all
    int64_t wide;                   // positions from a row of the grid to the next
    int64_t row, plane, pixels;     // places of a copied row, of all even (or odd) ones, of a strip
    int64_t tiles, chunk;           // tiles of a strip; strips that are copied together
    bool by_panels;                 // each thread has some of the outputs, else of the strips
} Cut;

static int64_t pixel_bytes(const TilePass *p) {
    return p->channels * (int64_t)sizeof(bf16);
}

static void cut_rows(const TilePass *p, Cut *c, int64_t an_image) {
    c->rows = rounded_up(p->grid_h, an_image);
    c->an_image = rounded_up(p->grid_h, c->rows);
    c->strips = p->n * c->an_image;
    c->wide = (p->stride == 1 ? p->w : p->grid_w) + 1;
    c->row = p->stride * c->wide;
    c->plane = (c->rows + (p->stride == 1 ? 2 : 1)) * c->row + 1;
    c->pixels = p->stride * c->plane;
    c->tiles = rounded_up(c->rows * c->wide - 1, 16);
}

static Cut cut_of(const TilePass *p, int64_t threads) {
    Cut c = {0};
    const int64_t read = p->n * p->h * p->w * pixel_bytes(p);
    c.by_panels = p->outputs / SIDE >= threads && weights_bytes(p) > read;
    int64_t parts = 1;
    if (!c.by_panels && p->n < 8 * threads && p->n % threads)
        parts = least(rounded_up(8 * threads, p->n), rounded_up(p->grid_h, 4));
    cut_rows(p, &c, parts);
    while (c.rows > 1 && c.pixels * pixel_bytes(p) > CHUNK_BYTES) cut_rows(p, &c, ++parts);
    const int64_t fit = CHUNK_BYTES / (c.pixels * pixel_bytes(p));
    c.chunk = fit < 1 ? 1 : least(fit, c.strips);
    return c;
}

// Scratch of a thread: copied pixels, with some more that the last tile may read; where each tile
// begins; and where its sums go.
typedef struct Scratch {
    char *pixels;
    int64_t *begins, *at;
} Scratch;

static int64_t scratch_pixels(const TilePass *p, const Cut *c) {
    return (c->chunk * c->pixels + 16 * p->stride) * pixel_bytes(p);
}

static int64_t scratch_bytes(const TilePass *p, const Cut *c) {
    const int64_t tiles = c->chunk * c->tiles + 1;
    return rounded_up(scratch_pixels(p, c) + tiles * 17 * (int64_t)sizeof(int64_t), 64) * 64;
}

static Scratch scratch_at(const TilePass *p, const Cut *c, char *room) {
    int64_t *begins = (int64_t *)(room + scratch_pixels(p, c));
    return (Scratch){.pixels = room, .begins = begins, .at = begins + c->chunk * c->tiles + 1};
}

// One row of an image, or zeros outside it, with the border.
static void copy_row(const TilePass *p, const Cut *c, const char *image, int64_t y, char *to) {
    const int64_t pixel = pixel_bytes(p), row = p->w * pixel;
    const bool inside = y >= 0 && y < p->h;
    const int64_t kept = least(row, (c->row - 1) * pixel);
    memset(to, 0, (size_t)pixel);
    if (inside)
        memcpy(to + pixel, image + y * row, (size_t)kept);
    else
        memset(to + pixel, 0, (size_t)kept);
    memset(to + pixel + kept, 0, (size_t)((c->row - 1) * pixel - kept));
}

static void copy_strip(const TilePass *p, const Cut *c, const char *image, int64_t top, char *to) {
    const int64_t pixel = pixel_bytes(p), rows = c->plane / c->row;
    for (int64_t plane = 0; plane < p->stride; plane++, to += c->plane * pixel) {
        for (int64_t r = 0; r < rows; r++)
            copy_row(p, c, image, (top + r) * p->stride + plane - 1, to + r * c->row * pixel);
        memset(to + rows * c->row * pixel, 0, (size_t)pixel);
    }
}

// Where sums of the positions from `q` on of a strip go: 16 offsets.
static void note_places(const TilePass *p, const Cut *c, int64_t image, int64_t top, int64_t q,
                        int64_t *at) {
    const int64_t rows = least(c->rows, p->grid_h - top);
    int64_t y = q / c->wide, x = q % c->wide;
    for (int i = 0; i < 16; i++) {
        const int64_t to_y = (top + y) * p->step + p->top, to_x = x * p->step + p->left;
        const bool inside = y < rows && x < p->grid_w;
        at[i] = inside ? ((image * p->to_h + to_y) * p->to_w + to_x) * p->outputs : -1;
        if (++x == c->wide) x = 0, y++;
    }
}

// Copies the strips from .. from + count; returns the number of tiles, which is even.
static int64_t prepare(const TilePass *p, const Cut *c, const bf16 *x, int64_t from, int64_t count,
                       Scratch *s) {
    const int64_t pixel = pixel_bytes(p), image = p->h * p->w * pixel;
    int64_t tiles = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = (from + i) / c->an_image, top = (from + i) % c->an_image * c->rows;
        const int64_t begin = i * c->pixels * pixel, rows = least(c->rows, p->grid_h - top);
        copy_strip(p, c, (const char *)x + n * image, top, s->pixels + begin);
        for (int64_t q = 0; q < rows * c->wide - 1; q += 16, tiles++) {
            s->begins[tiles] = begin + q * p->stride * pixel;
            note_places(p, c, n, top, q, s->at + 16 * tiles);
        }
    }
    if (tiles % 2 == 0) return tiles;
    s->begins[tiles] = s->begins[tiles - 1];
    for (int i = 0; i < 16; i++) s->at[16 * tiles + i] = -1;
    return tiles + 1;
}

static Reading reading_of(const TilePass *p, const Cut *c) {
    const int64_t pixel = pixel_bytes(p);
    Reading v = {.apart = p->stride * pixel};
    for (int t = 0; t < p->taps; t++) {
        const int64_t dy = p->tap[t] / 3, dx = p->tap[t] % 3;
        v.tap[t] = (dy % p->stride * c->plane + dy / p->stride * c->row + dx) * pixel;
    }
    for (TapRow r = tap_row(p, 0); r.count; r = tap_row(p, r.first + r.count)) v.row[v.rows++] = r;
    return v;
}

// The outputs of panels from .. to at all positions that were prepared.
static void convolve(const TilePass *p, const Reading *v, const Scratch *s, int64_t tiles,
                     int64_t from, int64_t to, Finish f) {
    float sums[2][SIDE * SIDE] __attribute__((aligned(64)));
    const bf16 *residual = f.residual;
    bf16 *y = f.y;
    const float *shift = f.shift, none[SIDE] = {0};
    int which = 0;
    for (int64_t j = from; j < to; j++)
        for (int64_t t = 0; t < tiles; t += 2, which = !which) {
            convolve_block(v, p->channels, s->pixels + s->begins[t], s->pixels + s->begins[t + 1],
                           p->weights + j * pass_steps(p) * STEP, sums[which], &f);
            f.sums = sums[which];
            f.at = s->at + 16 * t;
            f.y = y + j * SIDE;
            f.residual = residual ? residual + j * SIDE : NULL;
            f.shift = shift ? shift + j * SIDE : none;
        }
    for (int r = 0; f.sums && r < SIDE; r++) finish_row(&f, r);
}

// y, shift, residual and relu are those of `f`.
static void run_pass(Device *d, const TilePass *p, const bf16 *x, const Finish *f) {
    if (d->failed || p->grid_h < 1 || p->grid_w < 1) return;
    const Cut c = cut_of(p, d->threads);
    const Reading v = reading_of(p, &c);
    const int64_t room = scratch_bytes(p, &c), panels = p->outputs / SIDE;
    char *all = cpu_grow(d, &cpu_of(d)->tiles, (size_t)(d->threads * room));
    if (!all) return;
#pragma omp parallel num_threads(d->threads)
    {
        const int64_t me = omp_get_thread_num(), threads = omp_get_num_threads();
        Scratch s = scratch_at(p, &c, all + me * room);
        int64_t from = 0, to = c.strips, first = 0, last = panels;
        if (c.by_panels)
            first = panels * me / threads, last = panels * (me + 1) / threads;
        else
            from = c.strips * me / threads, to = c.strips * (me + 1) / threads;
        tiles_begin();
        for (int64_t i = from; i < to && first < last; i += c.chunk) {
            const int64_t tiles = prepare(p, &c, x, i, least(c.chunk, to - i), &s);
            convolve(p, &v, &s, tiles, first, last, *f);
        }
        tiles_end();
    }
}

// ---- the two directions -------------------------------------------------------------------------

void tile_conv_forward(Device *d, const TileConv *c, bf16 *y, const bf16 *x, const float *shift,
                       const bf16 *residual) {
    const Finish f = {
        .y = y, .residual = residual, .shift = shift, .least = c->spec.relu ? 0 : -INFINITY};
    run_pass(d, &c->forward, x, &f);
}

void tile_conv_data(Device *d, const TileConv *c, bf16 *dx, const bf16 *dz) {
    const Finish f = {.y = dx, .least = -INFINITY};
    for (int i = 0; i < c->spec.stride * c->spec.stride; i++) run_pass(d, &c->data[i], dz, &f);
}

bool tile_conv_pays(const ConvSpec *s, Direction way) {
    if (s->in_c % SIDE || s->out_c % SIDE || s->padding != s->kernel / 2 || s->stride > 2)
        return false;
    if (s->kernel == 1) return way == BACKWARD_WEIGHTS;
    return s->kernel == 3 && s->dilation == 1;
}

#else

bool tile_conv_pays(const ConvSpec *s, Direction way) {
    return (void)s, (void)way, false;
}

TileConv *tile_conv_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]) {
    (void)s, (void)used;
    device_fail(d, "this processor has no matrix unit");
    return NULL;
}

void tile_conv_free(TileConv *c) {
    (void)c;
}

void tile_conv_load(Device *d, TileConv *c, const float *w) {
    (void)d, (void)c, (void)w;
}

void tile_conv_forward(Device *d, const TileConv *c, bf16 *y, const bf16 *x, const float *shift,
                       const bf16 *residual) {
    (void)d, (void)c, (void)y, (void)x, (void)shift, (void)residual;
}

void tile_conv_data(Device *d, const TileConv *c, bf16 *dx, const bf16 *dz) {
    (void)d, (void)c, (void)dx, (void)dz;
}

#endif
