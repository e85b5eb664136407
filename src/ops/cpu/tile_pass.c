// SPDX-License-Identifier: Apache-2.0
// One pass of tiles over images. Rows are copied with a border of zeros, so that under each tap of
// the kernel a run of pixels is a run of pixels: a tile of 16 of them and 32 of their channels is
// loaded from where they lie, nothing is unfolded. Positions are counted through rows of one border
// more than the image's, which is both the right one of a row and the left one of the next; what is
// summed there is thrown away. With a stride of 2 even and odd rows lie apart.
#include "ops/cpu/tile_conv.h"

#include "ops/cpu/tile_kernel.h"
#include "ops/cpu/vector.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#ifdef TACT_TILES

enum {
    CHUNK_BYTES = 1 << 20, // of copied rows, which stay in the second cache
};

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
    TileTapRow row[3];
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
    int64_t plane_rows;
    int64_t tiles, chunk; // tiles of a strip; strips that are copied together
    bool by_panels;       // each thread has some of the outputs, else of the strips
} Cut;

// Zeros behind the last row: the right border, and what its taps may read behind that.
static int64_t tail_pixels(const TilePass *p) {
    return p->pixel < 64 ? rounded_up(64, p->pixel) : 1;
}

// Up to the last one of so many rows that counts.
static int64_t positions(const TilePass *p, const Cut *c, int64_t rows) {
    return (rows - 1) * c->wide + p->grid_w;
}

static void cut_rows(const TilePass *p, Cut *c, int64_t an_image) {
    c->rows = rounded_up(p->grid_h, an_image);
    c->an_image = rounded_up(p->grid_h, c->rows);
    c->strips = p->n * c->an_image;
    c->wide = p->stride == 1 ? p->w + p->border : p->grid_w + rounded_up(p->border, 2);
    c->row = p->stride * c->wide;
    c->plane_rows = c->rows + (p->reach - 1) / p->stride;
    c->plane = c->plane_rows * c->row + tail_pixels(p);
    c->pixels = least(p->stride, p->reach) * c->plane;
    c->tiles = rounded_up(positions(p, c, c->rows), 16);
}

static Cut cut_of(const TilePass *p, int64_t threads) {
    Cut c = {0};
    const int64_t read = p->n * p->h * p->w * p->pixel;
    c.by_panels = p->outputs / SIDE >= threads && tile_pass_bytes(p) > read;
    int64_t parts = 1;
    if (!c.by_panels && p->n < 8 * threads && p->n % threads)
        parts = least(rounded_up(8 * threads, p->n), rounded_up(p->grid_h, 4));
    cut_rows(p, &c, parts);
    while (c.rows > 1 && c.pixels * p->pixel > CHUNK_BYTES) cut_rows(p, &c, ++parts);
    const int64_t fit = CHUNK_BYTES / (c.pixels * p->pixel);
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
    return rounded_up((c->chunk * c->pixels + 16 * p->stride) * p->pixel + 64, 64) * 64;
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
    const int64_t pixel = p->pixel, row = p->w * pixel;
    const bool inside = y >= 0 && y < p->h;
    const int64_t border = p->border * pixel, kept = least(row, c->row * pixel - border);
    memset(to, 0, (size_t)border);
    if (inside)
        memcpy(to + border, image + y * row, (size_t)kept);
    else
        memset(to + border, 0, (size_t)kept);
    memset(to + border + kept, 0, (size_t)(c->row * pixel - border - kept));
}

static void copy_strip(const TilePass *p, const Cut *c, const char *image, int64_t top, char *to) {
    const int64_t pixel = p->pixel, rows = c->plane_rows;
    for (int64_t plane = 0; plane < least(p->stride, p->reach); plane++, to += c->plane * pixel) {
        for (int64_t r = 0; r < rows; r++)
            copy_row(p, c, image, (top + r) * p->stride + plane - p->border,
                     to + r * c->row * pixel);
        memset(to + rows * c->row * pixel, 0, (size_t)(tail_pixels(p) * pixel));
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
    const int64_t pixel = p->pixel, image = p->h * p->w * pixel;
    int64_t tiles = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = (from + i) / c->an_image, top = (from + i) % c->an_image * c->rows;
        const int64_t begin = i * c->pixels * pixel, rows = least(c->rows, p->grid_h - top);
        copy_strip(p, c, (const char *)x + n * image, top, s->pixels + begin);
        for (int64_t q = 0; q < positions(p, c, rows); q += 16, tiles++) {
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
    const int64_t pixel = p->pixel;
    Reading v = {.apart = p->stride * pixel};
    for (int t = 0; t < p->taps; t++) {
        const int64_t dy = p->tap_y[t];
        v.tap[t] = (dy % p->stride * c->plane + dy / p->stride * c->row + p->tap_x[t]) * pixel;
    }
    // Of a single step a tap the order is that of one row.
    if (p->channels == TILE_DEPTH) {
        v.row[v.rows++] = (TileTapRow){0, p->taps};
        return v;
    }
    for (TileTapRow r = tile_tap_row(p, 0); r.count; r = tile_tap_row(p, r.first + r.count))
        v.row[v.rows++] = r;
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
                           p->weights + j * tile_pass_steps(p) * STEP, sums[which], &f);
            f.sums = sums[which];
            f.at = s->at + 16 * t;
            f.y = y + j * SIDE;
            f.residual = residual ? residual + j * SIDE : NULL;
            f.shift = shift ? shift + j * SIDE : none;
        }
    for (int r = 0; f.sums && r < SIDE; r++) finish_row(&f, r);
}

// Positions without a tap.
static void write_zeros(const Device *d, const TilePass *p, bf16 *y) {
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t i = 0; i < p->grid_h; i++)
            for (int64_t j = 0; j < p->grid_w; j++) {
                const int64_t to_y = i * p->step + p->top, to_x = j * p->step + p->left;
                memset(y + ((n * p->to_h + to_y) * p->to_w + to_x) * p->outputs, 0,
                       (size_t)p->outputs * sizeof *y);
            }
}

void tile_pass_run(Device *d, const TilePass *p, const bf16 *x, bf16 *y, const float *shift,
                   const bf16 *residual, bool relu) {
    const Finish f = {.y = y, .residual = residual, .shift = shift, .least = relu ? 0 : -INFINITY};
    if (d->failed || p->grid_h < 1 || p->grid_w < 1) return;
    if (!p->taps) {
        write_zeros(d, p, y);
        return;
    }
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
            convolve(p, &v, &s, tiles, first, last, f);
        }
        tiles_end();
    }
}

#endif
