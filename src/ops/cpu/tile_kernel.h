// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: the kernel that all products on the matrix unit are made of.
//
// A tile has 16 rows of 64 bytes: 16 x 16 sums, or 16 x 32 factors. The unit multiplies pairs: of A
// a tile's row is a row of the matrix, of B a tile's row is a pair of its rows, interleaved. A
// panel is what a step of the kernel reads of a factor: 32 rows of A, or 32 columns of B, two tiles
// for every 32 of the depth.
#ifndef TACT_OPS_CPU_TILE_KERNEL_H
#define TACT_OPS_CPU_TILE_KERNEL_H

#include "ops/cpu/tile_pack.h"
#include "ops/cpu/vector.h"

#ifdef TACT_TILES

enum {
    SIDE = 32,             // rows and columns of C that a call of the kernel makes
    STEP = 2 * TILE_BYTES, // of a panel for TILE_DEPTH of the depth
};

// GCC's functions for tiles do not tell that they read memory: with this, what was written before
// is there. (That they write it they do tell.)
static inline void settle_memory(const void *written) {
    __asm__ volatile("" : : "r"(written) : "memory");
}

// What a kernel begins its sums with.
typedef enum Begin { WITH_ZERO, WITH_C, WITH_BIAS } Begin;

// What a thread does before it uses its tiles, all eight of 16 rows of 64 bytes, and afterwards.
TILES static inline void tiles_begin(void) {
    // In memory that lasts: GCC 12's function does not say that it reads all of it, so that what is
    // written just before may never be.
    static const struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16]; // of a row of each tile
        uint8_t rows[16];
    } full = {.palette = 1,
              .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
              .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&full);
}

TILES static inline void tiles_end(void) {
    _tile_release();
}

// What will be read and written next, so that it is on its way while this is multiplied.
typedef struct Ahead {
    const char *rows; // of a factor, as it lies in memory; NULL: none
    int64_t apart;    // bytes from row to row
    int n, step;      // rows; bytes of a row for a step of the depth
    char *c;          // the next columns of C; NULL: none
    int64_t c_apart;  // bytes from row to row
    int c_bytes;      // of a row
} Ahead;

static inline void look_ahead(const Ahead *a, int64_t k) {
    for (int i = 0; i < a->n; i++)
        for (int at = 0; at < a->step; at += 64)
            __builtin_prefetch(a->rows + i * a->apart + k * a->step + at, 0, 2);
    if (!a->c || k >= SIDE / 2) return;
    for (int64_t r = 2 * k; r < 2 * k + 2; r++)
        for (int at = 0; at < a->c_bytes; at += 64)
            __builtin_prefetch(a->c + r * a->c_apart + at, 1, 3);
}

// 32 rows of A, in tiles of a panel or in memory as bfloat16: all in bytes.
typedef struct TileRows {
    const char *at;
    int64_t apart; // from row to row
    int64_t below; // from the first 16 rows to the others
    int64_t step;  // along the depth
} TileRows;

// C (32, 32) from rows of A and a panel of B. Sums: tiles 0 to 3; A: 4 and 5; B: 6 and 7. The rows
// are multiplied with many panels, and should stay in the first cache; a panel passes through it.
// both: else there are 16 rows of A and of C, or fewer, at half of the work.
TILES static inline __attribute__((always_inline)) void
multiply_tiles(TileRows rows, const char *b, int64_t steps, float *c, int64_t ldc, Begin begin,
               const float *bias, const Ahead *ahead, bool both) {
    const int64_t row = ldc * (int64_t)sizeof *c;
    const char *a = rows.at, *under = rows.at + rows.below;
    settle_memory(a);
    if (begin == WITH_ZERO) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        // The bias is the same in every row, which lie 0 bytes apart then.
        const float *from = begin == WITH_C ? c : bias;
        const int64_t apart = begin == WITH_C ? row : 0, below = begin == WITH_C ? 16 * ldc : 0;
        _tile_loadd(0, from, apart);
        _tile_loadd(1, from + 16, apart);
        if (both) _tile_loadd(2, from + below, apart);
        if (both) _tile_loadd(3, from + below + 16, apart);
    }
    for (int64_t k = 0; k < steps; k++, a += rows.step, under += rows.step, b += STEP) {
        _tile_loadd(4, a, rows.apart);
        _tile_stream_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_stream_loadd(7, b + TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        if (both) {
            _tile_loadd(5, under, rows.apart);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        look_ahead(ahead, k);
    }
    _tile_stored(0, c, row);
    _tile_stored(1, c + 16, row);
    if (!both) return;
    _tile_stored(2, c + 16 * ldc, row);
    _tile_stored(3, c + 16 * ldc + 16, row);
}

TILES static inline void multiply_rows(TileRows rows, const char *b, int64_t steps, float *c,
                                       int64_t ldc, Begin begin, const float *bias,
                                       const Ahead *ahead) {
    multiply_tiles(rows, b, steps, c, ldc, begin, bias, ahead, true);
}

TILES static inline void multiply_few_rows(TileRows rows, const char *b, int64_t steps, float *c,
                                           int64_t ldc, Begin begin, const float *bias,
                                           const Ahead *ahead) {
    multiply_tiles(rows, b, steps, c, ldc, begin, bias, ahead, false);
}

static inline TileRows rows_of_panel(const char *panel) {
    return (TileRows){.at = panel, .apart = 64, .below = TILE_BYTES, .step = STEP};
}

// The same from two panels.
TILES static inline void multiply_panels(const char *a, const char *b, int64_t steps, float *c,
                                         int64_t ldc, Begin begin, const float *bias,
                                         const Ahead *ahead) {
    multiply_rows(rows_of_panel(a), b, steps, c, ldc, begin, bias, ahead);
}

// 16 x 16 values of 32 bits, turned: rows become columns. Two rounds within lanes of four, two of
// whole lanes.
TILES static inline void tile_turn(__m512i v[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#endif
#endif
