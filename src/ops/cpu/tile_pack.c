// SPDX-License-Identifier: Apache-2.0
// A tile as 16 vectors of 16 pairs: a pair is two values that follow each other along the depth.
// Where the depth lies side by side in memory a vector has the pairs of one row (or column); where
// rows do, it has one pair of all 16. The one becomes the other by turning 16 x 16 pairs.
#include "ops/cpu/tile_kernel.h"

#ifdef TACT_TILES

typedef uint16_t Half;

// What is packed lies in 16 or 32 rows, more than a processor foresees: so many values further in
// each are fetched, two or four tiles before they are needed.
enum { AHEAD = 64 };

// Pairs of one row: 32 values side by side along the depth, of which n are there.
TILES static __m512i pairs_along(const TilePanels *p, int64_t i, int64_t k, int64_t n) {
    int64_t at = i * p->across + k;
    if (p->half) {
        __mmask32 there = n >= 32 ? 0xffffffffu : (1u << n) - 1;
        return _mm512_maskz_loadu_epi16(there, (const Half *)p->data + at);
    }
    const float *x = (const float *)p->data + at;
    __builtin_prefetch(x + AHEAD, 0, 3);
    __builtin_prefetch(x + AHEAD + 16, 0, 3);
    __m512 low = _mm512_maskz_loadu_ps(first_of_16(n), x);
    __m512 high = _mm512_maskz_loadu_ps(first_of_16(n - 16), x + 16);
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

// One pair of 16 rows, of which n are there, side by side in memory; second: whether its second
// value is there.
TILES static __m512i pairs_across(const TilePanels *p, int64_t i, int64_t k, int64_t n,
                                  bool second) {
    const __m512i interleave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    int64_t at = i + k * p->along;
    __mmask16 there = first_of_16(n), also = second ? there : 0;
    __m512i both;
    if (p->half) {
        const Half *x = (const Half *)p->data + at;
        __m256i low = _mm256_maskz_loadu_epi16(there, x);
        __m256i high = _mm256_maskz_loadu_epi16(also, x + p->along);
        both = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    } else {
        const float *x = (const float *)p->data + at;
        __builtin_prefetch(x + AHEAD, 0, 3);
        __builtin_prefetch(x + p->along + AHEAD, 0, 3);
        __m512 low = _mm512_maskz_loadu_ps(there, x);
        __m512 high = _mm512_maskz_loadu_ps(also, x + p->along);
        both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    }
    return _mm512_permutexvar_epi16(interleave, both);
}

// The tile of rows i .. i + 15, of which n are there, and the depth k .. k + 31, of which d are.
TILES static void pack_tile(const TilePanels *p, int64_t i, int64_t n, int64_t k, int64_t d,
                            bool turned, char *out) {
    __m512i v[16];
    const bool along = p->along == 1;
    for (int r = 0; r < 16; r++) {
        bool there = along ? r < n : 2 * r < d;
        v[r] = !there  ? _mm512_setzero_si512()
               : along ? pairs_along(p, i + r, k, d)
                       : pairs_across(p, i, k + 2 * r, n, 2 * r + 1 < d);
    }
    if (along == turned) tile_turn(v);
    for (int r = 0; r < 16; r++) _mm512_store_si512(out + 64 * r, v[r]);
}

// Two whole tiles of rows that lie side by side as bfloat16: 32 in a line of cache.
TILES static void pack_lines(const TilePanels *p, int64_t i, int64_t k, bool turned, char *out) {
    enum { NEXT = TILE_DEPTH }; // of the depth: a line of cache has no other columns to fetch
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    const Half *x = (const Half *)p->data + i + k * p->along;
    __m512i v[16], w[16];
    for (int r = 0; r < 16; r++, x += 2 * p->along) {
        __m512i first = _mm512_loadu_si512(x), second = _mm512_loadu_si512(x + p->along);
        __builtin_prefetch(x + NEXT * p->along, 0, 3);
        __builtin_prefetch(x + (NEXT + 1) * p->along, 0, 3);
        v[r] = _mm512_permutex2var_epi16(first, low, second);
        w[r] = _mm512_permutex2var_epi16(first, high, second);
        if (turned) {
            _mm512_store_si512(out + 64 * r, v[r]);
            _mm512_store_si512(out + TILE_BYTES + 64 * r, w[r]);
        }
    }
    if (turned) return;
    tile_turn(v);
    for (int r = 0; r < 16; r++) _mm512_store_si512(out + 64 * r, v[r]);
    tile_turn(w);
    for (int r = 0; r < 16; r++) _mm512_store_si512(out + TILE_BYTES + 64 * r, w[r]);
}

// The two tiles of a panel, 32 rows from i on, at a depth of k.
static void pack_step(const TilePanels *p, int64_t i, int64_t k, bool turned, char *out) {
    if (p->half && p->along != 1 && p->n - i >= 32 && p->depth - k >= TILE_DEPTH) {
        pack_lines(p, p->first + i, p->from + k, turned, out);
        return;
    }
    for (int half = 0; half < 2; half++, i += 16, out += TILE_BYTES)
        pack_tile(p, p->first + i, p->n - i, p->from + k, p->depth - k, turned, out);
}

// In the order in which the values lie in memory.
void tile_pack(const TilePanels *p, bool turned, char *out) {
    const int64_t steps = (p->depth + TILE_DEPTH - 1) / TILE_DEPTH, panel = steps * 2 * TILE_BYTES;
    if (p->along == 1) {
        for (int64_t i = 0; i < p->n; i += 32)
            for (int64_t k = 0; k < steps; k++, out += 2 * TILE_BYTES)
                pack_step(p, i, k * TILE_DEPTH, turned, out);
        return;
    }
    for (int64_t k = 0; k < steps; k++)
        for (int64_t i = 0; i < p->n; i += 32)
            pack_step(p, i, k * TILE_DEPTH, turned, out + i / 32 * panel + k * 2 * TILE_BYTES);
}

#else

void tile_pack(const TilePanels *p, bool turned, char *out) {
    (void)p, (void)turned, (void)out;
}

#endif
