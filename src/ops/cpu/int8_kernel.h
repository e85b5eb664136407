// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: 32 x 32 sums of bytes by dot products. TACT_INT8: of the levels that have
// them.
#ifndef TACT_OPS_CPU_INT8_KERNEL_H
#define TACT_OPS_CPU_INT8_KERNEL_H

#include "ops/cpu/int8.h"
#include "ops/cpu/tile_kernel.h"

#if defined(__AVX512BW__) && defined(__x86_64__)
#define TACT_INT8
#include <immintrin.h>
#include <string.h>
#define DOTS __attribute__((target("avx512vnni")))

// Rows are unsigned, `apart` bytes from one to the next; 64 of the depth from step k on are at[k]
// bytes behind a row's beginning.
DOTS static inline void int8_sums_by_dots(const uint8_t *a, int64_t apart, const int64_t *at,
                                          const char *b, int64_t steps, int32_t *sums) {
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
                    memcpy(&four, a + i * apart + at[k] + q * 4, sizeof four);
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

#elif defined(__AVX2__)
#define TACT_INT8
#include <immintrin.h>
#include <string.h>
#define DOTS __attribute__((target("avxvnni")))

// The sums of some rows with the 16 outputs of a tile. Two products begin in a cycle and take five
// cycles, so ten sums keep them busy that do not wait for each other; the registers hold twelve.
DOTS static inline __attribute__((always_inline)) void
int8_rows_by_dots(const int rows, const uint8_t *a, int64_t apart, const int64_t *at, const char *b,
                  int64_t steps, int32_t *sums) {
    enum { MOST = 6 };
    __m256i s[MOST][2];
    for (int i = 0; i < rows; i++) s[i][0] = s[i][1] = _mm256_setzero_si256();
    for (int64_t k = 0; k < steps; k++, b += INT8_STEP)
        for (int q = 0; q < 16; q++) {
            const __m256i low = _mm256_load_si256((const __m256i *)(b + q * 64));
            const __m256i high = _mm256_load_si256((const __m256i *)(b + q * 64 + 32));
            for (int i = 0; i < rows; i++) {
                int32_t four;
                memcpy(&four, a + i * apart + at[k] + q * 4, sizeof four);
                const __m256i x = _mm256_set1_epi32(four);
                s[i][0] = _mm256_dpbusd_avx_epi32(s[i][0], x, low);
                s[i][1] = _mm256_dpbusd_avx_epi32(s[i][1], x, high);
            }
        }
    for (int i = 0; i < rows; i++, sums += INT8_SIDE) {
        _mm256_store_si256((__m256i *)sums, s[i][0]);
        _mm256_store_si256((__m256i *)(sums + 8), s[i][1]);
    }
}

// As at AVX-512.
DOTS static inline void int8_sums_by_dots(const uint8_t *a, int64_t apart, const int64_t *at,
                                          const char *b, int64_t steps, int32_t *sums) {
    enum { FIVES = 4, FIVE = 5, SIX = 6 }; // 4 * 5 + 2 * 6 rows
    for (int half = 0; half < 2; half++, b += INT8_TILE) {
        const uint8_t *row = a;
        int32_t *to = sums + 16 * half;
        for (int i = 0; i < FIVES; i++, row += FIVE * apart, to += FIVE * INT8_SIDE)
            int8_rows_by_dots(FIVE, row, apart, at, b, steps, to);
        for (int i = 0; i < 2; i++, row += SIX * apart, to += SIX * INT8_SIDE)
            int8_rows_by_dots(SIX, row, apart, at, b, steps, to);
    }
}

#endif
#endif
