// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: functions that the compiler turns into vector code when inlined in a loop.
#ifndef TACT_OPS_CPU_VECTOR_H
#define TACT_OPS_CPU_VECTOR_H

#include "ops/ops.h"
#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

// e^x for x <= 88, to about 1e-7 relative; below -87 it is e^-87; NaN stays NaN. Cody-Waite
// reduction to |r| <= ln2/2, a degree-6 polynomial, and the exponent put in by bits.
static inline float exp_fast(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.3888889e-3f;
    p = p * r + 8.3333333e-3f;
    p = p * r + 4.1666667e-2f;
    p = p * r + 1.6666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits; // unsigned: of a NaN, n becomes a number whose shift is 0, and p stays NaN
    memcpy(&bits, &p, sizeof bits);
    bits += (uint32_t)(int32_t)n << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
}

static inline float float_of_bf16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// To nearest, ties to even; NaN stays NaN.
static inline uint16_t bf16_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(x == x ? rounded : 0x7fc0);
}

// Element i of what lies in memory as float32, or as bfloat16 if half: where `half` is a constant,
// loops of these become vector code.
#define IN_LOOPS static inline __attribute__((always_inline))
IN_LOOPS float value_at(const void *x, bool half, int64_t i) {
    return half ? float_of_bf16(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}
IN_LOOPS void set_value(void *x, bool half, int64_t i, float value) {
    if (half)
        ((uint16_t *)x)[i] = bf16_of_float(value);
    else
        ((float *)x)[i] = value;
}

// The least random word whose rng_unit is at least p: words from it on keep their entry.
static inline uint32_t dropout_least(float p) {
    return (uint32_t)ceil((double)p * 16777216.0) << 8;
}

// dropout_scales: scale[i] = 0 or 1/(1-p) for columns [chunk*32, chunk*32 + 32) of a row.
enum { DROPOUT_CHUNK = 32 }; // columns made at a time: eight counters in step

#ifdef __AVX512F__
static inline __mmask16 first_of_16(int64_t n) {
    return (__mmask16)(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
}

// A counter's words stand in the low halves of 64-bit lanes, so that a product's high word is one
// shift away; the high halves are never read. Lanes hold the counters 0 4 1 5 2 6 3 7: interleaved,
// they come out in order.
static inline void dropout_kept(__m512 scale[2], __m512i least, __m512 keep, __m512i c0, __m512i c1,
                                __m512i c2, __m512i c3) {
    __m512i c01 = _mm512_mask_blend_epi32(0xAAAA, c0, _mm512_slli_epi64(c1, 32));
    __m512i c23 = _mm512_mask_blend_epi32(0xAAAA, c2, _mm512_slli_epi64(c3, 32));
    __m512i low = _mm512_unpacklo_epi64(c01, c23), high = _mm512_unpackhi_epi64(c01, c23);
    scale[0] = _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(low, least), keep);
    scale[1] = _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(high, least), keep);
}

static inline void dropout_vectors(__m512 scale[2], Dropout drop, uint32_t row, uint32_t chunk) {
    enum { XOR3 = 0x96 };
    const __m512i m0 = _mm512_set1_epi64(PHILOX_M0), m1 = _mm512_set1_epi64(PHILOX_M1);
    uint32_t k0 = (uint32_t)drop.key.seed, k1 = (uint32_t)(drop.key.seed >> 32);
    __m512i c0 = _mm512_add_epi64(_mm512_set1_epi64((int64_t)chunk * 8),
                                  _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
    __m512i c1 = _mm512_set1_epi64((uint32_t)(drop.key.first_row + row));
    __m512i c2 = _mm512_set1_epi64(drop.key.site), c3 = _mm512_set1_epi64(drop.key.step);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        __m512i p0 = _mm512_mul_epu32(c0, m0), p1 = _mm512_mul_epu32(c2, m1);
        c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, _mm512_set1_epi64(k0), XOR3);
        c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, _mm512_set1_epi64(k1), XOR3);
        c1 = p1;
        c3 = p0;
        k0 += PHILOX_K0;
        k1 += PHILOX_K1;
    }
    const __m512i least = _mm512_set1_epi32((int32_t)dropout_least(drop.p));
    dropout_kept(scale, least, _mm512_set1_ps(1.0f / (1.0f - drop.p)), c0, c1, c2, c3);
}

static inline void dropout_scales(float scale[DROPOUT_CHUNK], Dropout drop, uint32_t row,
                                  uint32_t chunk) {
    __m512 vectors[2];
    dropout_vectors(vectors, drop, row, chunk);
    _mm512_storeu_ps(scale, vectors[0]);
    _mm512_storeu_ps(scale + 16, vectors[1]);
}
#elif defined(__AVX2__)
// The same with four counters at a time, from `first` on, which lanes hold in the order 0 2 1 3.
static inline void dropout_sixteen(float scale[DROPOUT_CHUNK / 2], Dropout drop, uint32_t row,
                                   uint32_t first) {
    const __m256i m0 = _mm256_set1_epi64x(PHILOX_M0), m1 = _mm256_set1_epi64x(PHILOX_M1);
    uint32_t k0 = (uint32_t)drop.key.seed, k1 = (uint32_t)(drop.key.seed >> 32);
    __m256i c0 = _mm256_add_epi64(_mm256_set1_epi64x(first), _mm256_setr_epi64x(0, 2, 1, 3));
    __m256i c1 = _mm256_set1_epi64x((uint32_t)(drop.key.first_row + row));
    __m256i c2 = _mm256_set1_epi64x(drop.key.site), c3 = _mm256_set1_epi64x(drop.key.step);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        __m256i p0 = _mm256_mul_epu32(c0, m0), p1 = _mm256_mul_epu32(c2, m1);
        c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1),
                              _mm256_set1_epi64x(k0));
        c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3),
                              _mm256_set1_epi64x(k1));
        c1 = p1;
        c3 = p0;
        k0 += PHILOX_K0;
        k1 += PHILOX_K1;
    }
    const __m256i least = _mm256_set1_epi32((int32_t)dropout_least(drop.p));
    const __m256i keep = _mm256_castps_si256(_mm256_set1_ps(1.0f / (1.0f - drop.p)));
    __m256i c01 = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xAA);
    __m256i c23 = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xAA);
    __m256i words[2] = {_mm256_unpacklo_epi64(c01, c23), _mm256_unpackhi_epi64(c01, c23)};
    for (int i = 0; i < 2; i++) {
        // AVX2 has no unsigned comparison: a word is at least `least` where it is the greater one.
        __m256i kept = _mm256_cmpeq_epi32(_mm256_max_epu32(words[i], least), words[i]);
        _mm256_storeu_ps(scale + 8 * i, _mm256_castsi256_ps(_mm256_and_si256(kept, keep)));
    }
}

static inline void dropout_scales(float scale[DROPOUT_CHUNK], Dropout drop, uint32_t row,
                                  uint32_t chunk) {
    for (uint32_t half = 0; half < 2; half++)
        dropout_sixteen(scale + half * (DROPOUT_CHUNK / 2), drop, row, chunk * 8 + half * 4);
}
#else
static inline void dropout_scales(float scale[DROPOUT_CHUNK], Dropout drop, uint32_t row,
                                  uint32_t chunk) {
    enum { LANES = 8 };
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    for (int i = 0; i < LANES; i++) {
        c0[i] = chunk * LANES + (uint32_t)i;
        c1[i] = drop.key.first_row + row;
        c2[i] = drop.key.site;
        c3[i] = drop.key.step;
    }
    philox_rounds(c0, c1, c2, c3, LANES, drop.key.seed);
    uint32_t least = dropout_least(drop.p);
    float keep = 1.0f / (1.0f - drop.p);
    for (int i = 0; i < LANES; i++) {
        scale[4 * i + 0] = c0[i] >= least ? keep : 0.0f;
        scale[4 * i + 1] = c1[i] >= least ? keep : 0.0f;
        scale[4 * i + 2] = c2[i] >= least ? keep : 0.0f;
        scale[4 * i + 3] = c3[i] >= least ? keep : 0.0f;
    }
}
#endif

#endif
