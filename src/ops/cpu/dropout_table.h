// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: the factors of dropout_vectors (vector.h) for many rows, with what depends on
// columns alone made once: the first rounds of the random numbers have little else.
#ifndef TACT_OPS_CPU_DROPOUT_TABLE_H
#define TACT_OPS_CPU_DROPOUT_TABLE_H

#include "ops/cpu/vector.h"

#ifdef __AVX512F__

enum { TABLE_ROUNDS = 3, ROW_ROUNDS = PHILOX_ROUNDS - TABLE_ROUNDS };

// A counter has the words (column / 4, row, site, step). After round 2 its third word is the
// exclusive or of something of the column and something of the row, and its first and second have
// nothing of the row. Lanes are those of dropout_vectors.
typedef struct DropoutColumns { // of 32 columns
    __m512i third;              // after round 2, without the row's part
    __m512i second;             // after round 2, with the next key
    __m512i next_third;         // after round 3, without the row's part
    __m512i next_fourth;        // after round 3
} DropoutColumns;

typedef struct DropoutTable {
    Dropout drop;
    const DropoutColumns *columns;
    uint64_t key0[ROW_ROUNDS], key1[ROW_ROUNDS]; // of the rounds that are left
    uint32_t least;                              // of the words that are kept
    float keep;                                  // the factor of what is kept
} DropoutTable;

static inline __m512i high_word(__m512i product) {
    return _mm512_srli_epi64(product, 32);
}

// The table of `chunks` times 32 columns, which lie in `columns` as long as it is used.
static inline DropoutTable dropout_table(Dropout drop, DropoutColumns *columns, int64_t chunks) {
    const __m512i m0 = _mm512_set1_epi64(PHILOX_M0), m1 = _mm512_set1_epi64(PHILOX_M1);
    const uint32_t k0 = (uint32_t)drop.key.seed, k1 = (uint32_t)(drop.key.seed >> 32);
    const uint32_t site = PHILOX_M1 * drop.key.site; // the second word after round 1
    DropoutTable t = {.drop = drop,
                      .columns = columns,
                      .least = dropout_least(drop.p),
                      .keep = 1.0f / (1.0f - drop.p)};
    for (uint32_t i = 0; i < ROW_ROUNDS; i++) {
        t.key0[i] = (uint32_t)(k0 + (i + TABLE_ROUNDS) * PHILOX_K0);
        t.key1[i] = (uint32_t)(k1 + (i + TABLE_ROUNDS) * PHILOX_K1);
    }
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        __m512i c0 = _mm512_add_epi64(_mm512_set1_epi64(chunk * 8),
                                      _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
        __m512i p0 = _mm512_mul_epu32(c0, m0); // its low word is the fourth after round 1
        __m512i c2 = _mm512_xor_si512(high_word(p0), _mm512_set1_epi64(drop.key.step ^ k1));
        __m512i p1 = _mm512_mul_epu32(c2, m1);
        c0 = _mm512_xor_si512(high_word(p1), _mm512_set1_epi64(site ^ (k0 + PHILOX_K0)));
        DropoutColumns *to = &columns[chunk];
        to->third = _mm512_xor_si512(p0, _mm512_set1_epi64((uint32_t)(k1 + PHILOX_K1)));
        to->second = _mm512_xor_si512(p1, _mm512_set1_epi64((uint32_t)(k0 + 2 * PHILOX_K0)));
        p0 = _mm512_mul_epu32(c0, m0);
        to->next_third =
            _mm512_xor_si512(high_word(p0), _mm512_set1_epi64((uint32_t)(k1 + 2 * PHILOX_K1)));
        to->next_fourth = p0;
    }
    return t;
}

// The row's part: in the high word that of the third word after round 2, in the low one that of
// round 3.
static inline uint64_t dropout_row(const DropoutTable *t, uint32_t row) {
    const uint64_t site = (uint64_t)PHILOX_M1 * t->drop.key.site;
    const uint32_t c0 =
        (uint32_t)(site >> 32) ^ (t->drop.key.first_row + row) ^ (uint32_t)t->drop.key.seed;
    return (uint64_t)PHILOX_M0 * c0;
}

// dropout_vectors's, of the row whose part is `row`.
static inline void dropout_by_table(__m512 scale[2], const DropoutTable *t, uint64_t row,
                                    int64_t chunk) {
    enum { XOR3 = 0x96 };
    const __m512i m0 = _mm512_set1_epi64(PHILOX_M0), m1 = _mm512_set1_epi64(PHILOX_M1);
    const DropoutColumns *c = &t->columns[chunk];
    __m512i c1 =
        _mm512_mul_epu32(_mm512_xor_si512(c->third, _mm512_set1_epi64((int64_t)(row >> 32))), m1);
    __m512i c0 = _mm512_xor_si512(high_word(c1), c->second), c3 = c->next_fourth;
    __m512i c2 = _mm512_xor_si512(c->next_third, _mm512_set1_epi64((uint32_t)row));
    for (int i = 0; i < ROW_ROUNDS; i++) {
        __m512i p0 = _mm512_mul_epu32(c0, m0), p1 = _mm512_mul_epu32(c2, m1);
        c0 = _mm512_ternarylogic_epi64(high_word(p1), c1, _mm512_set1_epi64((int64_t)t->key0[i]),
                                       XOR3);
        c2 = _mm512_ternarylogic_epi64(high_word(p0), c3, _mm512_set1_epi64((int64_t)t->key1[i]),
                                       XOR3);
        c1 = p1;
        c3 = p0;
    }
    dropout_kept(scale, _mm512_set1_epi32((int32_t)t->least), _mm512_set1_ps(t->keep), c0, c1, c2,
                 c3);
}

#endif
#endif
