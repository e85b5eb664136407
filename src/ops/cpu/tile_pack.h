// SPDX-License-Identifier: Apache-2.0
// Tiles, and factors of a product put into them. Private to the files that use the matrix unit.
#ifndef TACT_OPS_CPU_TILE_PACK_H
#define TACT_OPS_CPU_TILE_PACK_H

#include "ops/cpu/level.h"
#include <stdbool.h>
#include <stdint.h>

// Only processors of the highest level have a matrix unit, and a compiler may be too old to know.
#if defined(__AVX512BW__) && defined(__linux__) && (__GNUC__ >= 11 || __clang_major__ >= 12)
#define TACT_TILES
#include <immintrin.h>
#define TILES __attribute__((target("avx512bf16,amx-tile,amx-bf16")))
#endif

enum { TILE_BYTES = 1024, TILE_DEPTH = 32 };

#ifdef TACT_TILES
// What a thread does before it uses its tiles, all eight of 16 rows of 64 bytes, and afterwards.
TILES static inline void tiles_begin(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16]; // of a row of each tile
        uint8_t rows[16];
    } c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.bytes[i] = 64;
        c.rows[i] = 16;
    }
    _tile_loadconfig(&c);
}

TILES static inline void tiles_end(void) {
    _tile_release();
}

// 16 x 16 pairs, turned: rows become columns. Two rounds within lanes of four, two of whole lanes.
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

// n rows of a factor, or columns: what lies across it, from `first` on; along it goes the depth,
// from `from` on. Element (i, k) is at data[i * across + k * along], of type float, or bfloat16 if
// half; one of the two strides is 1.
typedef struct TilePanels {
    const void *data;
    bool half;
    int64_t across, along, first, n, from, depth;
} TilePanels;

// Panels of 32 rows (columns), one behind the other, each in tiles: two for every 32 of the depth.
// What is beyond n and depth is 0. turned: tiles of a second factor, a row of which has pairs of
// the depth for 16 columns.
void tile_pack(const TilePanels *p, bool turned, char *out);

#endif
