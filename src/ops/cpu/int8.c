// SPDX-License-Identifier: Apache-2.0
// Products of bytes: weights in panels, numbers as bytes, and the threads' shares of a product.
#include "ops/cpu/int8.h"

#include "base/memory.h"
#include "ops/cpu/int8_kernel.h"
#include "ops/cpu/panels.h"
#include "ops/cpu/tiles.h"
#include "ops/cpu/vector.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

void int8_weights_free(Int8Weights *w) {
    if (!w) return;
    mem_free(w->panels);
    mem_free(w->scale);
    mem_free(w->offset);
    mem_free(w->at);
    mem_free(w);
}

#ifdef TACT_INT8
#include "ops/cpu/int8_numbers.h"

// ---- weights ------------------------------------------------------------------------------------

// A row of weights in steps of what is returned, which is NaN where one is not finite.
static float round_weights(int8_t *restrict out, const float *restrict w, int64_t depth) {
    float largest = 0;
    int lost = 0;
#pragma omp simd reduction(max : largest) reduction(| : lost)
    for (int64_t i = 0; i < depth; i++) {
        const float size = fabsf(w[i]);
        lost |= !(size <= FLT_MAX);
        largest = size > largest ? size : largest;
    }
    const float step = largest / 127;
    // Of weights so small that a step of them is none, nothing is left.
    if (lost || !(step >= 1e-36f)) {
        memset(out, 0, (size_t)depth);
        return lost ? NAN : 0;
    }
    const float inverse = 1 / step;
#pragma omp simd
    for (int64_t i = 0; i < depth; i++) out[i] = (int8_t)(int32_t)rintf(w[i] * inverse);
    return step;
}

// One output's weights into its place of a panel.
static void pack_output(Int8Weights *w, const int8_t *row, int64_t o) {
    char *to = w->panels + o / INT8_SIDE * w->steps * INT8_STEP + o % INT8_SIDE / 16 * INT8_TILE +
               o % 16 * 4;
    for (int64_t k = 0; k < w->steps; k++, to += INT8_STEP)
        for (int q = 0; q < 16; q++, row += 4) memcpy(to + q * 64, row, 4);
}

Int8Weights *int8_weights_new(Device *d, const float *w, int64_t n, int64_t row,
                              const int32_t *from, int64_t depth, Rounding rounding) {
    const int64_t panels = (n + INT8_SIDE - 1) / INT8_SIDE, steps = int8_steps(depth);
    const int64_t deep = steps * INT8_DEPTH;
    Int8Weights *p = TRY_NEW(Int8Weights, 1);
    int8_t *rounded = mem_try((size_t)(d->threads * deep));
    float *gathered = from ? TRY_NEW(float, d->threads *deep) : NULL;
    if (p) {
        *p = (Int8Weights){
            .source = w, .rounding = rounding, .n = n, .depth = depth, .steps = steps};
        p->panels = mem_try((size_t)(panels * steps * INT8_STEP));
        p->scale = TRY_NEW(float, panels *INT8_SIDE);
        p->offset = TRY_NEW(int32_t, panels * INT8_SIDE);
        p->at = TRY_NEW(int64_t, steps);
    }
    if (!p || !rounded || (from && !gathered) || !p->panels || !p->scale || !p->offset || !p->at) {
        device_fail_memory(d, "%ld weights in 8 bits", (long)(n * depth));
        int8_weights_free(p);
        mem_free(rounded);
        mem_free(gathered);
        return NULL;
    }
    for (int64_t k = 0; k < steps; k++) p->at[k] = k * INT8_DEPTH;
    const int32_t added = int8_bytes(d, rounding).added;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < n; o++) {
        int8_t *mine = rounded + omp_get_thread_num() * deep;
        int32_t sum = 0;
        const float *values = w + o * row;
        if (from) {
            float *in_order = gathered + omp_get_thread_num() * deep;
            for (int64_t i = 0; i < depth; i++) in_order[i] = from[i] < 0 ? 0 : values[from[i]];
            values = in_order;
        }
        p->scale[o] = round_weights(mine, values, depth) * rounding.step;
        for (int64_t i = 0; i < depth; i++) sum += mine[i];
        p->offset[o] = sum * added;
        pack_output(p, mine, o);
    }
    mem_free(rounded);
    mem_free(gathered);
    return p;
}

// ---- numbers as bytes ---------------------------------------------------------------------------

static bool by_tiles(const Device *d) {
    return ((const Cpu *)d->impl)->int8_tiles;
}

Int8Bytes int8_bytes(const Device *d, Rounding r) {
    return (Int8Bytes){.inverse = 1 / r.step,
                       .low = r.positive ? 0 : -127,
                       .high = r.positive ? 255 : 127,
                       // Dot products take unsigned rows only.
                       .added = r.positive || by_tiles(d) ? 0 : 128};
}

bool int8_round(uint8_t *out, const void *x, bool half, int64_t n, Int8Bytes b) {
    return round_numbers(out, x, half, n, b);
}

// ---- sums to numbers ----------------------------------------------------------------------------

void int8_lose(const Int8Finish *f, int64_t at, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (f->half)
            ((bf16 *)f->y)[at + i] = 0x7fc0;
        else
            ((float *)f->y)[at + i] = NAN;
}

// Sums of a block that are to become outputs from j on, of which n are left.
typedef struct Pending {
    const Int8Product *p;
    const int32_t *sums; // NULL: none are
    const int64_t *places;
    int64_t j, n;
} Pending;

static inline void finish_row(const Pending *f, int64_t r) {
    if (f->places[r] >= 0)
        finish_sums(&f->p->finish, f->p->w, f->sums + r * INT8_SIDE, f->places[r] + f->j, f->j,
                    f->n);
}

// ---- a block ------------------------------------------------------------------------------------

// 32 x 32 sums of rows from a on with a panel of weights, while those of the block before become
// outputs.
typedef void Multiply(const Int8Product *p, const uint8_t *a, const char *b, int32_t *sums,
                      const Pending *f);

DOTS static void multiply_by_dots(const Int8Product *p, const uint8_t *a, const char *b,
                                  int32_t *sums, const Pending *f) {
    int8_sums_by_dots(a, p->apart, p->at, b, p->w->steps, sums);
    for (int r = 0; f->sums && r < INT8_SIDE; r++) finish_row(f, r);
}

#ifdef TACT_TILES

#define INT8_TILES __attribute__((target("amx-tile,amx-int8")))

// Sums: tiles 0 to 3; rows: 4 and 5; weights: 6 and 7.
#define MULTIPLY_BY_TILES(name, multiply)                                                          \
    INT8_TILES static void name(const Int8Product *p, const uint8_t *a, const char *b,             \
                                int32_t *sums, const Pending *f) {                                 \
        const int64_t steps = p->w->steps, apart = p->apart;                                       \
        const int64_t each = rounded_up(INT8_SIDE, steps);                                         \
        int64_t done = f->sums ? 0 : INT8_SIDE;                                                    \
        settle_memory(a);                                                                          \
        _tile_zero(0);                                                                             \
        _tile_zero(1);                                                                             \
        _tile_zero(2);                                                                             \
        _tile_zero(3);                                                                             \
        for (int64_t k = 0; k < steps; k++, b += INT8_STEP) {                                      \
            const uint8_t *rows = a + p->at[k];                                                    \
            _tile_loadd(4, rows, apart);                                                           \
            _tile_loadd(6, b, 64);                                                                 \
            multiply(0, 4, 6);                                                                     \
            _tile_loadd(7, b + INT8_TILE, 64);                                                     \
            multiply(1, 4, 7);                                                                     \
            _tile_loadd(5, rows + 16 * apart, apart);                                              \
            multiply(2, 5, 6);                                                                     \
            multiply(3, 5, 7);                                                                     \
            for (int64_t end = least(done + each, INT8_SIDE); done < end; done++)                  \
                finish_row(f, done);                                                               \
        }                                                                                          \
        _tile_stored(0, sums, INT8_SIDE * sizeof *sums);                                           \
        _tile_stored(1, sums + 16, INT8_SIDE * sizeof *sums);                                      \
        _tile_stored(2, sums + 16 * INT8_SIDE, INT8_SIDE * sizeof *sums);                          \
        _tile_stored(3, sums + 16 * INT8_SIDE + 16, INT8_SIDE * sizeof *sums);                     \
    }
MULTIPLY_BY_TILES(multiply_signed, _tile_dpbssd)
MULTIPLY_BY_TILES(multiply_unsigned, _tile_dpbusd)
#undef MULTIPLY_BY_TILES

#endif

// ---- the threads' shares ------------------------------------------------------------------------

enum { MOST_BLOCKS = 32 }; // of a group

// Blocks that are gone through together, so that a panel of weights is read once for all of them.
static int64_t group_blocks(const Int8Product *p) {
    enum { GROUP_BYTES = 384 << 10 };
    const int64_t fit = GROUP_BYTES / (INT8_SIDE * p->apart);
    return fit < 1 ? 1 : least(fit, MOST_BLOCKS);
}

int64_t int8_room(const Int8Product *p) {
    return p->gathers ? group_blocks(p) * INT8_SIDE * p->apart : 0;
}

// Into how many parts the blocks are divided, the panels of outputs being divided into all / parts:
// what takes least. In cycles: 64 for a step of a product, 48 to gather rows for one, 200 to bring
// a panel's step from memory, where a thread's weights do not stay in its cache once for every
// group.
static int block_parts(const Int8Product *p, int64_t panels, int all) {
    enum { MULTIPLY = 64, GATHER = 48, FETCH = 200, KEPT = 1 << 20 };
    double best = INFINITY;
    int chosen = 1;
    for (int parts = 1; parts <= all; parts++) {
        if (all % parts) continue;
        const int64_t rows = rounded_up(p->blocks, parts),
                      columns = rounded_up(panels, all / parts);
        const bool kept = columns * p->w->steps * INT8_STEP <= KEPT;
        const int64_t times = kept ? 1 : rounded_up(rows, group_blocks(p));
        const double cycles = (double)(rows * (columns * MULTIPLY + (p->gathers ? GATHER : 0)) +
                                       columns * FETCH * times);
        if (cycles < best) best = cycles, chosen = parts;
    }
    return chosen;
}

// Part of a product: blocks and panels.
typedef struct Share {
    int64_t first, last, from, to;
} Share;

static void multiply_share(const Int8Product *p, uint8_t *room, Share s, Multiply *multiply) {
    int32_t sums[2][INT8_SIDE * INT8_SIDE] __attribute__((aligned(64)));
    int64_t places[MOST_BLOCKS][INT8_SIDE];
    const uint8_t *rows[MOST_BLOCKS];
    const int64_t panel = p->w->steps * INT8_STEP, group = group_blocks(p);
    int which = 0;
    for (int64_t g = s.first; g < s.last; g += group) {
        const int64_t n = least(group, s.last - g);
        Pending f = {.p = p};
        for (int64_t i = 0; i < n; i++)
            rows[i] = p->block(p->user, g + i, room + i * INT8_SIDE * p->apart, places[i]);
        for (int64_t j = s.from; j < s.to; j++)
            for (int64_t i = 0; i < n; i++, which = !which) {
                multiply(p, rows[i], p->w->panels + j * panel, sums[which], &f);
                f.sums = sums[which];
                f.places = places[i];
                f.j = j * INT8_SIDE;
                f.n = p->w->n - f.j;
            }
        for (int r = 0; f.sums && r < INT8_SIDE; r++) finish_row(&f, r);
    }
}

void int8_multiply(const Device *d, const Int8Product *p, uint8_t *room, int me, int all) {
    const int64_t panels = rounded_up(p->w->n, INT8_SIDE);
    const int parts = block_parts(p, panels, all), others = all / parts;
    const int r = me / others, c = me % others;
    const Share s = {.first = p->blocks * r / parts,
                     .last = p->blocks * (r + 1) / parts,
                     .from = panels * c / others,
                     .to = panels * (c + 1) / others};
    if (s.first == s.last || s.from == s.to) return;
#ifdef TACT_TILES
    if (by_tiles(d)) {
        tiles_begin();
        multiply_share(p, room, s, p->w->rounding.positive ? multiply_unsigned : multiply_signed);
        tiles_end();
        return;
    }
#endif
    (void)d;
    multiply_share(p, room, s, multiply_by_dots);
}

#ifdef TACT_TILES
#include <cpuid.h>
#endif

bool int8_tiles_here(void) {
#ifdef TACT_TILES
    enum { TILE_INT8 = 1 << 25 };
    unsigned a, b, c, d;
    return tiles_here() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & TILE_INT8) != 0;
#else
    return false;
#endif
}

#else

bool int8_tiles_here(void) {
    return false;
}

Int8Weights *int8_weights_new(Device *d, const float *w, int64_t n, int64_t row,
                              const int32_t *from, int64_t depth, Rounding rounding) {
    (void)w, (void)n, (void)row, (void)from, (void)depth, (void)rounding;
    device_fail(d, "this processor has no dot products of 8-bit integers");
    return NULL;
}

Int8Bytes int8_bytes(const Device *d, Rounding r) {
    return (void)d, (void)r, (Int8Bytes){0};
}

bool int8_round(uint8_t *out, const void *x, bool half, int64_t n, Int8Bytes b) {
    return (void)out, (void)x, (void)half, (void)n, (void)b, false;
}

int64_t int8_room(const Int8Product *p) {
    return (void)p, 0;
}

void int8_multiply(const Device *d, const Int8Product *p, uint8_t *room, int me, int all) {
    (void)d, (void)p, (void)room, (void)me, (void)all;
}

void int8_lose(const Int8Finish *f, int64_t at, int64_t n) {
    (void)f, (void)at, (void)n;
}

#endif
