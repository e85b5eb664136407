// SPDX-License-Identifier: Apache-2.0
// Products of any size, by panels that the kernel multiplies (tile_kernel.h).
#include "ops/cpu/tiles.h"

#include "ops/cpu/panels.h"
#include "ops/cpu/tile_kernel.h"

#include <omp.h>
#include <string.h>

#ifdef TACT_TILES

enum {
    DEEP = 1024,           // of the depth that is gone through at once, at most
    BLOCK_BYTES = 1 << 20, // of B, which stays in the second cache
    GROUP = 256,           // rows of A that are packed together
};

// ---- a block ------------------------------------------------------------------------------------

// Part of a product: columns j .. j + n of C, and of the depth k .. k + depth.
typedef struct Block {
    int64_t j, n, k, depth, steps; // steps: depth in tiles, the last filled up with zeros
    int64_t panel;                 // bytes from one panel of B to the next
    bool first;                    // of its depth
} Block;

// The sums of a panel of A, whose first row is i, with one of B, whose first column is j.
static void multiply_edge(const TileProduct *p, const Block *b, int64_t i, int64_t j,
                          const char *rows, const char *columns, Begin begin) {
    float c[SIDE * SIDE];
    const int64_t m = least(p->m - i, SIDE), n = least(p->n - j, SIDE);
    for (int64_t r = 0; r < SIDE; r++)
        for (int64_t s = 0; s < SIDE; s++) {
            bool inside = r < m && s < n;
            c[r * SIDE + s] = !inside || begin == WITH_ZERO ? 0
                              : begin == WITH_BIAS          ? p->bias[j + s]
                                                            : p->c[(i + r) * p->ldc + j + s];
        }
    multiply_panels(rows, columns, b->steps, c, SIDE, WITH_C, NULL, &(Ahead){0});
    for (int64_t r = 0; r < m; r++)
        memcpy(p->c + (i + r) * p->ldc + j, c + r * SIDE, (size_t)n * sizeof *c);
}

// The rows of A that come after those from i on, shared out over the panels of B. Only where the
// depth lies side by side: else whoever packs reads long stretches, which the processor foresees.
static Ahead rows_ahead(const TileProduct *p, const Block *b, int64_t i, int64_t panel,
                        int64_t panels) {
    const int64_t size = p->a.half ? sizeof(bf16) : sizeof(float);
    const int64_t from = i + SIDE + panel * SIDE / panels,
                  to = i + SIDE + (panel + 1) * SIDE / panels;
    if (p->a.column != 1 || to > p->m) return (Ahead){0};
    return (Ahead){.rows = (const char *)p->a.data + (from * p->a.row + b->k) * size,
                   .apart = p->a.row * size,
                   .n = (int)(to - from),
                   .step = (int)(TILE_DEPTH * size)};
}

static void multiply_rows(const TileProduct *p, const Block *b, int64_t i, const char *rows,
                          const char *columns) {
    const Begin begin = b->k > 0 || p->sum ? WITH_C : p->bias ? WITH_BIAS : WITH_ZERO;
    const int64_t panels = rounded_up(b->n, SIDE);
    for (int64_t c = 0; c < panels; c++, columns += b->panel) {
        const int64_t j = b->j + c * SIDE;
        float *to = p->c + i * p->ldc + j;
        Ahead ahead = rows_ahead(p, b, i, c, panels);
        if (c + 1 < panels) ahead.c = to + SIDE;
        if (i + SIDE <= p->m && j + SIDE <= p->n)
            multiply_panels(rows, columns, b->steps, to, p->ldc, begin,
                            p->bias ? p->bias + j : NULL, &ahead);
        else
            multiply_edge(p, b, i, j, rows, columns, begin);
    }
    // A bias goes with what is there already, too.
    if (!p->sum || !p->bias || b->k > 0) return;
    for (int64_t r = i; r < least(i + SIDE, p->m); r++)
        for (int64_t j = b->j; j < b->j + b->n; j++) p->c[r * p->ldc + j] += p->bias[j];
}

static void pack_rows(const TileProduct *p, const Block *b, int64_t i, int64_t n, char *out) {
    const TilePanels panels = {.data = p->a.data,
                               .half = p->a.half,
                               .across = p->a.row,
                               .along = p->a.column,
                               .first = i,
                               .n = n,
                               .from = b->k,
                               .depth = b->depth};
    tile_pack(&panels, false, out);
}

static void pack_columns(const TileProduct *p, const Block *b, int64_t j, int64_t n, char *out) {
    const TilePanels panels = {.data = p->b.data,
                               .half = p->b.half,
                               .across = p->b.column,
                               .along = p->b.row,
                               .first = j,
                               .n = n,
                               .from = b->k,
                               .depth = b->depth};
    tile_pack(&panels, true, out);
}

// Rows from .. to of C, with the packed columns of a block. Rows of A that lie side by side are
// packed together, as many as fit: where that is all of them, `rows` has them until the next depth.
static void multiply_block(const TileProduct *p, const Block *b, int64_t from, int64_t to,
                           char *rows, const char *columns) {
    const int64_t group = p->a.column == 1 ? SIDE : GROUP;
    for (int64_t i = from; i < to; i += group) {
        const int64_t n = least(group, to - i);
        if (b->first || to - from > group) pack_rows(p, b, i, n, rows);
        for (int64_t r = 0; r < n; r += SIDE)
            multiply_rows(p, b, i + r, rows + r / SIDE * b->steps * STEP, columns);
    }
}

// ---- the whole ----------------------------------------------------------------------------------

// The depth in even parts of at most DEEP, and as many columns as fill a block.
static Block first_block(const TileProduct *p) {
    int64_t parts = rounded_up(p->k, DEEP);
    Block b = {.depth = rounded_up(rounded_up(p->k, parts), TILE_DEPTH) * TILE_DEPTH};
    b.n = BLOCK_BYTES / (b.depth * (int64_t)sizeof(bf16)) / SIDE * SIDE;
    return b;
}

// A block of columns j .. end, at the depth k.
static Block block_at(const TileProduct *p, const Block *whole, int64_t j, int64_t end, int64_t k) {
    Block b = {
        .j = j, .n = least(whole->n, end - j), .k = k, .depth = least(whole->depth, p->k - k)};
    b.steps = rounded_up(b.depth, TILE_DEPTH);
    b.panel = (p->packed ? rounded_up(p->k, TILE_DEPTH) : b.steps) * STEP;
    return b;
}

// Where thread `me` of `all` begins, of n rows or columns: at a multiple of SIDE.
static int64_t share_begins(int64_t n, int me, int all) {
    return least(rounded_up(n, SIDE) * me / all * SIDE, n);
}

// The panels of B are packed by all threads, and each multiplies rows of its own with all of them.
static void share_rows(const TileProduct *p, const Block *whole, char *columns, char *rows,
                       int64_t room, int threads) {
#pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        tiles_begin();
        for (int64_t k = 0; k < p->k; k += whole->depth)
            for (int64_t j = 0; j < p->n; j += whole->n) {
                Block b = block_at(p, whole, j, p->n, k);
                b.first = j == 0;
                const int64_t c = share_begins(b.n, me, all);
                pack_columns(p, &b, j + c, share_begins(b.n, me + 1, all) - c,
                             columns + c / SIDE * b.steps * STEP);
#pragma omp barrier
                multiply_block(p, &b, share_begins(p->m, me, all), share_begins(p->m, me + 1, all),
                               rows + me * room, columns);
#pragma omp barrier
            }
        tiles_end();
    }
}

// Few rows, or columns that are packed: each thread has columns of its own, and packs all it needs
// of both factors.
static void share_columns(const TileProduct *p, const Block *whole, char *columns, char *rows,
                          int64_t room, int threads) {
    const int64_t own = whole->n * whole->depth * (int64_t)sizeof(bf16);
#pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        const int64_t begin = share_begins(p->n, me, all), end = share_begins(p->n, me + 1, all);
        tiles_begin();
        for (int64_t k = 0; k < p->k; k += whole->depth)
            for (int64_t j = begin; j < end; j += whole->n) {
                Block b = block_at(p, whole, j, end, k);
                b.first = j == begin;
                const char *packed = p->packed;
                if (packed)
                    packed += j / SIDE * b.panel + k / TILE_DEPTH * STEP;
                else
                    pack_columns(p, &b, j, b.n, columns + me * own);
                multiply_block(p, &b, 0, p->m, rows + me * room,
                               packed ? packed : columns + me * own);
            }
        tiles_end();
    }
}

int64_t tiles_bytes(int64_t k, int64_t n) {
    return rounded_up(n, SIDE) * rounded_up(k, TILE_DEPTH) * STEP;
}

void tiles_pack(const Device *d, const TileFactor *b, int64_t k, int64_t n, void *out) {
    const int64_t panel = rounded_up(k, TILE_DEPTH) * STEP;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t c = 0; c < rounded_up(n, SIDE); c++) {
        const TileProduct p = {.b = *b, .n = n, .k = k};
        const Block all = {.depth = k};
        pack_columns(&p, &all, c * SIDE, least(SIDE, n - c * SIDE), (char *)out + c * panel);
    }
}

void tiles_multiply(Device *d, const TileProduct *p) {
    if (d->failed || p->m < 1 || p->n < 1 || p->k < 1) return;
    const Block whole = first_block(p);
    const int64_t threads = d->threads, deep = whole.depth * (int64_t)sizeof(bf16);
    const bool by_rows = !p->packed && rounded_up(p->m, SIDE) >= 2 * threads;
    const int64_t columns = p->packed ? 0 : whole.n * deep * (by_rows ? 1 : threads);
    const int64_t rows = (p->a.column == 1 ? SIDE : GROUP) * deep;
    char *room = cpu_grow(d, &cpu_of(d)->tiles, (size_t)(columns + threads * rows));
    if (!room) return;
    (by_rows ? share_rows : share_columns)(p, &whole, room, room + columns, rows, (int)threads);
}

// ---- whether it is there ------------------------------------------------------------------------

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

bool tiles_here(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; // arch_prctl's ARCH_REQ_XCOMP_PERM
    enum { BF16 = 1 << 22, TILE = 1 << 24, AVX512_BF16 = 1 << 5 };
    unsigned a, b, c, d, a1;
    if (dnnl_get_effective_cpu_isa() < dnnl_cpu_isa_avx512_core_amx) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & BF16) == 0 || (d & TILE) == 0)
        return false;
    if (!__get_cpuid_count(7, 1, &a1, &b, &c, &d) || (a1 & AVX512_BF16) == 0) return false;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

#else

bool tiles_here(void) {
    return false;
}

int64_t tiles_bytes(int64_t k, int64_t n) {
    return (void)k, (void)n, 0;
}

void tiles_pack(const Device *d, const TileFactor *b, int64_t k, int64_t n, void *out) {
    (void)d, (void)b, (void)k, (void)n, (void)out;
}

void tiles_multiply(Device *d, const TileProduct *p) {
    (void)p;
    device_fail(d, "this processor has no matrix unit");
}

#endif
