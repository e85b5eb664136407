// SPDX-License-Identifier: Apache-2.0
// Factors of a product put into tiles. Private to ops/cpu.
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
