// SPDX-License-Identifier: Apache-2.0
// Products of any size, by panels that the kernel multiplies (tile_kernel.h).
#include "ops/cpu/tiles.h"

#include "ops/cpu/panels.h"
#include "ops/cpu/tile_kernel.h"
#include "ops/cpu/vector.h"

#include <omp.h>

#ifdef TACT_TILES

enum {
    DEEP = 768,   // of the depth that is gone through at once: rows stay in the first cache
    WHOLE = 1024, // a depth that is not cut where C is bfloat16, for sums are written aside
    BLOCK_BYTES = 1 << 20, // of B, which stays in the second cache
    GROUP = 256,           // rows of A that are packed together, at least
    KEPT_BYTES = 2 << 20,  // of rows of A that are packed once for all blocks of B
};

// ---- a block ------------------------------------------------------------------------------------

// Part of a product: columns j .. j + n of C, and of the depth k .. k + depth.
typedef struct Block {
    int64_t j, n, k, depth, steps; // steps: depth in tiles, the last filled up with zeros
    int64_t panel;                 // bytes from one panel of B to the next
    bool first;                    // of its depth
} Block;

// A product, and where its threads have what.
typedef struct Work {
    const TileProduct *p;
    Block whole;
    char *columns, *rows; // packed
    int64_t group;        // rows of A that are packed together
    int64_t room;         // bytes of a thread's rows
    // Of a C in bfloat16 that takes more than one block of depth: its sums until the last of them.
    float *sums;
    int64_t sums_row;
} Work;

// m x n of C's values, plus the bias unless that is NULL, into c; 0 where there are none.
static void read_sums(const TileProduct *p, int64_t i, int64_t j, const float *bias, float *c,
                      int64_t ld) {
    const int64_t m = least(p->m - i, SIDE), n = least(p->n - j, SIDE);
    for (int64_t r = 0; r < SIDE; r++)
        for (int64_t s = 0; s < SIDE; s++)
            c[r * ld + s] = r >= m || s >= n ? 0
                                             : value_at(p->c, p->half_c, (i + r) * p->ldc + j + s) +
                                                   (bias ? bias[j + s] : 0);
}

TILES static void write_sums(const TileProduct *p, int64_t i, int64_t j, const float *c,
                             int64_t ld) {
    const int64_t m = least(p->m - i, SIDE), n = least(p->n - j, SIDE);
    const __mmask16 low = first_of_16(n), high = first_of_16(n - 16);
    for (int64_t r = 0; r < m; r++, c += ld) {
        const int64_t at = (i + r) * p->ldc + j;
        const __m512 first = _mm512_load_ps(c), second = _mm512_load_ps(c + 16);
        if (p->half_c) {
            _mm512_mask_storeu_epi16((bf16 *)p->c + at, (__mmask32)high << 16 | low,
                                     (__m512i)_mm512_cvtne2ps_pbh(second, first));
        } else {
            _mm512_mask_storeu_ps((float *)p->c + at, low, first);
            _mm512_mask_storeu_ps((float *)p->c + at + 16, high, second);
        }
    }
}

// The sums of rows of A, the first of which is i, with a panel of B, whose first column is j, where
// they cannot be made in C itself.
static void multiply_aside(const Work *w, const Block *b, int64_t i, int64_t j, TileRows rows,
                           const char *columns, const Ahead *ahead) {
    const TileProduct *p = w->p;
    _Alignas(64) float own[SIDE * SIDE];
    float *c = w->sums ? w->sums + i * w->sums_row + j : own;
    const int64_t ld = w->sums ? w->sums_row : SIDE;
    const bool begun = b->k > 0;
    Begin begin = begun && w->sums ? WITH_C : p->bias && !begun ? WITH_BIAS : WITH_ZERO;
    if (begun ? !w->sums : p->sum) {
        read_sums(p, i, j, begun ? NULL : p->bias, c, ld);
        begin = WITH_C;
    } else if (begin == WITH_BIAS && p->n - j < SIDE) {
        for (int64_t s = 0; s < SIDE * SIDE; s++)
            c[s / SIDE * ld + s % SIDE] = j + s % SIDE < p->n ? p->bias[j + s % SIDE] : 0;
        begin = WITH_C;
    }
    const float *bias = p->bias ? p->bias + j : NULL;
    if (p->m - i <= SIDE / 2)
        multiply_few_rows(rows, columns, b->steps, c, ld, begin, bias, ahead);
    else
        multiply_rows(rows, columns, b->steps, c, ld, begin, bias, ahead);
    if (!w->sums || b->k + b->depth == p->k) write_sums(p, i, j, c, ld);
}

static void multiply_one(const Work *w, const Block *b, int64_t i, int64_t j, TileRows rows,
                         const char *columns, const Ahead *ahead) {
    const TileProduct *p = w->p;
    const bool begun = b->k > 0, whole = i + SIDE <= p->m && j + SIDE <= p->n;
    if (!whole || p->half_c || (p->sum && p->bias && !begun)) {
        multiply_aside(w, b, i, j, rows, columns, ahead);
        return;
    }
    const Begin begin = begun || p->sum ? WITH_C : p->bias ? WITH_BIAS : WITH_ZERO;
    multiply_rows(rows, columns, b->steps, (float *)p->c + i * p->ldc + j, p->ldc, begin,
                  p->bias ? p->bias + j : NULL, ahead);
}

static int64_t size_of(bool half) {
    return half ? sizeof(bf16) : sizeof(float);
}

// The rows of A that come after those from i on, shared out over the panels of B. Only where the
// depth lies side by side: else whoever packs reads long stretches, which the processor foresees.
static Ahead rows_ahead(const TileProduct *p, const Block *b, int64_t i, int64_t panel,
                        int64_t panels) {
    const int64_t size = size_of(p->a.half);
    const int64_t from = i + SIDE + panel * SIDE / panels,
                  to = i + SIDE + (panel + 1) * SIDE / panels;
    if (p->a.column != 1 || to > p->m) return (Ahead){0};
    return (Ahead){.rows = (const char *)p->a.data + (from * p->a.row + b->k) * size,
                   .apart = p->a.row * size,
                   .n = (int)(to - from),
                   .step = (int)(TILE_DEPTH * size)};
}

static void multiply_columns(const Work *w, const Block *b, int64_t i, TileRows rows,
                             const char *columns) {
    const TileProduct *p = w->p;
    const int64_t panels = rounded_up(b->n, SIDE), size = size_of(p->half_c);
    for (int64_t c = 0; c < panels; c++, columns += b->panel) {
        const int64_t j = b->j + c * SIDE;
        Ahead ahead = rows_ahead(p, b, i, c, panels);
        if (c + 1 < panels && i + SIDE <= p->m) {
            ahead.c = (char *)p->c + (i * p->ldc + j + SIDE) * size;
            ahead.c_apart = p->ldc * size;
            ahead.c_bytes = (int)(SIDE * size);
        }
        multiply_one(w, b, i, j, rows, columns, &ahead);
    }
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

// Whether n rows of A, 32 at most, are tiles where they lie.
static bool lie_in_tiles(const TileProduct *p, const Block *b, int64_t n) {
    return p->a.half && p->a.column == 1 && n % (SIDE / 2) == 0 && b->depth % TILE_DEPTH == 0;
}

static TileRows rows_in_memory(const TileProduct *p, const Block *b, int64_t i) {
    const int64_t row = p->a.row * (int64_t)sizeof(bf16);
    return (TileRows){.at = (const char *)p->a.data + i * row + b->k * (int64_t)sizeof(bf16),
                      .apart = row,
                      .below = 16 * row,
                      .step = TILE_DEPTH * sizeof(bf16)};
}

// Rows from .. to of C, with the packed columns of a block. Where a group is all of them, `rows`
// has them until the next depth.
static void multiply_block(const Work *w, const Block *b, int64_t from, int64_t to, char *rows,
                           const char *columns) {
    const TileProduct *p = w->p;
    for (int64_t i = from; i < to; i += w->group) {
        const int64_t n = least(w->group, to - i);
        if (lie_in_tiles(p, b, n)) {
            multiply_columns(w, b, i, rows_in_memory(p, b, i), columns);
            continue;
        }
        if (b->first || to - from > w->group) pack_rows(p, b, i, n, rows);
        for (int64_t r = 0; r < n; r += SIDE)
            multiply_columns(w, b, i + r, rows_of_panel(rows + r / SIDE * b->steps * STEP),
                             columns);
    }
}

// ---- the whole ----------------------------------------------------------------------------------

// The depth in even parts, and as many columns as fill a block.
static Block first_block(const TileProduct *p) {
    const int64_t parts = p->half_c && p->k <= WHOLE ? 1 : rounded_up(p->k, DEEP);
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
static void share_rows(const Work *w, int threads) {
    const TileProduct *p = w->p;
#pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        tiles_begin();
        for (int64_t k = 0; k < p->k; k += w->whole.depth)
            for (int64_t j = 0; j < p->n; j += w->whole.n) {
                Block b = block_at(p, &w->whole, j, p->n, k);
                b.first = j == 0;
                const int64_t c = share_begins(b.n, me, all);
                pack_columns(p, &b, j + c, share_begins(b.n, me + 1, all) - c,
                             w->columns + c / SIDE * b.steps * STEP);
#pragma omp barrier
                multiply_block(w, &b, share_begins(p->m, me, all), share_begins(p->m, me + 1, all),
                               w->rows + me * w->room, w->columns);
#pragma omp barrier
            }
        tiles_end();
    }
}

// Few rows, or columns that are packed: each thread has columns of its own, and packs all it needs
// of both factors.
static void share_columns(const Work *w, int threads) {
    const TileProduct *p = w->p;
    const int64_t own = w->whole.n * w->whole.depth * (int64_t)sizeof(bf16);
#pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        const int64_t begin = share_begins(p->n, me, all), end = share_begins(p->n, me + 1, all);
        char *rows = w->rows + me * w->room;
        tiles_begin();
        for (int64_t k = 0; k < p->k; k += w->whole.depth)
            for (int64_t j = begin; j < end; j += w->whole.n) {
                Block b = block_at(p, &w->whole, j, end, k);
                b.first = j == begin;
                const char *packed = p->packed;
                if (packed)
                    packed += j / SIDE * b.panel + k / TILE_DEPTH * STEP;
                else
                    pack_columns(p, &b, j, b.n, w->columns + me * own);
                multiply_block(w, &b, 0, p->m, rows, packed ? packed : w->columns + me * own);
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

// Rows of A that a thread with `share` of them packs together. Those that lie side by side are, as
// many as fit: all of them where that spares packing them again for the next block of B.
static int64_t group_of(const TileProduct *p, int64_t share, int64_t deep) {
    if (p->a.column == 1) return SIDE;
    share = rounded_up(share, SIDE) * SIDE;
    return share * deep <= KEPT_BYTES ? share : GROUP;
}

void tiles_multiply(Device *d, const TileProduct *p) {
    if (d->failed || p->m < 1 || p->n < 1 || p->k < 1) return;
    Work w = {.p = p, .whole = first_block(p)};
    const int64_t threads = d->threads, deep = w.whole.depth * (int64_t)sizeof(bf16);
    const bool by_rows = !p->packed && rounded_up(p->m, SIDE) >= 2 * threads;
    const int64_t columns = p->packed ? 0 : w.whole.n * deep * (by_rows ? 1 : threads);
    w.group = group_of(p, by_rows ? rounded_up(p->m, threads) + SIDE : p->m, deep);
    w.room = w.group * deep;
    w.sums_row = rounded_up(p->n, SIDE) * SIDE;
    const int64_t sums = p->half_c && p->k > w.whole.depth
                             ? rounded_up(p->m, SIDE) * SIDE * w.sums_row * (int64_t)sizeof(float)
                             : 0;
    char *room = cpu_grow(d, &cpu_of(d)->tiles, (size_t)(columns + threads * w.room + sums));
    if (!room) return;
    w.columns = room;
    w.rows = room + columns;
    if (sums) w.sums = (float *)(w.rows + threads * w.room);
    (by_rows ? share_rows : share_columns)(&w, (int)threads);
}

// ---- whether it is there ------------------------------------------------------------------------

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

bool tiles_here(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; // arch_prctl's ARCH_REQ_XCOMP_PERM
    enum { BF16 = 1 << 22, TILE = 1 << 24, AVX512_BF16 = 1 << 5 };
    unsigned a, b, c, d, a1;
    if (!onednn_may_use(dnnl_cpu_isa_avx512_core_amx)) return false;
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
