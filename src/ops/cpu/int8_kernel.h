// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: the two kernels that make 32 x 32 sums of bytes, on a matrix unit and by dot
// products. TACT_INT8: of the level that has them.
#ifndef TACT_OPS_CPU_INT8_KERNEL_H
#define TACT_OPS_CPU_INT8_KERNEL_H

#include "ops/cpu/int8.h"
#include "ops/cpu/tile_kernel.h"

#if defined(__AVX512BW__) && defined(__x86_64__)
#define TACT_INT8
#include <immintrin.h>
#include <string.h>
#define DOTS __attribute__((target("avx512vnni")))

// By dot products of four: rows are unsigned.
DOTS static inline void int8_sums_by_dots(const uint8_t *a, int64_t apart, const char *b,
                                          int64_t steps, int32_t *sums) {
    enum { ROWS = 8 };
    for (int r = 0; r < INT8_SIDE; r += ROWS, a += ROWS * apart) {
        __m512i s[ROWS][2];
        for (int i = 0; i < ROWS; i++) s[i][0] = s[i][1] = _mm512_setzero_si512();
        for (int64_t k = 0; k < steps; k++)
            for (int q = 0; q < 16; q++) {
                const char *from = b + k * INT8_STEP + q * 64;
                const __m512i low = _mm512_load_si512(from);
                const __m512i high = _mm512_load_si512(from + INT8_TILE);
                for (int i = 0; i < ROWS; i++) {
                    int32_t four;
                    memcpy(&four, a + i * apart + k * INT8_DEPTH + q * 4, sizeof four);
                    const __m512i x = _mm512_set1_epi32(four);
                    s[i][0] = _mm512_dpbusd_epi32(s[i][0], x, low);
                    s[i][1] = _mm512_dpbusd_epi32(s[i][1], x, high);
                }
            }
        for (int i = 0; i < ROWS; i++, sums += INT8_SIDE) {
            _mm512_store_si512(sums, s[i][0]);
            _mm512_store_si512(sums + 16, s[i][1]);
        }
    }
}

#ifdef TACT_TILES
#define INT8_TILES __attribute__((target("amx-tile,amx-int8")))

// Sums: tiles 0 to 3; rows: 4 and 5; weights: 6 and 7. Of signed rows, and of unsigned ones.
#define INT8_SUMS_BY_TILES(name, multiply)                                                         \
    INT8_TILES static inline void name(const uint8_t *a, int64_t apart, const char *b,             \
                                       int64_t steps, int32_t *sums) {                             \
        const uint8_t *below = a + 16 * apart;                                                     \
        settle_memory(a);                                                                          \
        _tile_zero(0);                                                                             \
        _tile_zero(1);                                                                             \
        _tile_zero(2);                                                                             \
        _tile_zero(3);                                                                             \
        for (int64_t k = 0; k < steps; k++, b += INT8_STEP) {                                      \
            _tile_loadd(4, a + k * INT8_DEPTH, apart);                                             \
            _tile_loadd(6, b, 64);                                                                 \
            multiply(0, 4, 6);                                                                     \
            _tile_loadd(7, b + INT8_TILE, 64);                                                     \
            multiply(1, 4, 7);                                                                     \
            _tile_loadd(5, below + k * INT8_DEPTH, apart);                                         \
            multiply(2, 5, 6);                                                                     \
            multiply(3, 5, 7);                                                                     \
        }                                                                                          \
        _tile_stored(0, sums, INT8_SIDE * sizeof *sums);                                           \
        _tile_stored(1, sums + 16, INT8_SIDE * sizeof *sums);                                      \
        _tile_stored(2, sums + 16 * INT8_SIDE, INT8_SIDE * sizeof *sums);                          \
        _tile_stored(3, sums + 16 * INT8_SIDE + 16, INT8_SIDE * sizeof *sums);                     \
    }
INT8_SUMS_BY_TILES(int8_sums_signed, _tile_dpbssd)
INT8_SUMS_BY_TILES(int8_sums_unsigned, _tile_dpbusd)
#undef INT8_SUMS_BY_TILES
#endif

#endif
#endif
