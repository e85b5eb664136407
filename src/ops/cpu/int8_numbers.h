// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: numbers become bytes, and sums of a product become numbers, in the vectors of
// a level that has products of bytes (int8_kernel.h). Both levels round alike, to the bit.
#ifndef TACT_OPS_CPU_INT8_NUMBERS_H
#define TACT_OPS_CPU_INT8_NUMBERS_H

#include "ops/cpu/int8.h"
#include "ops/cpu/vector.h"

#include <float.h>
#include <math.h>

#if defined(__AVX512BW__) && defined(__x86_64__)
#include <immintrin.h>

static inline __m512 floats_at(const void *x, bool half, int64_t i, __mmask16 there) {
    if (!half) return _mm512_maskz_loadu_ps(there, (const float *)x + i);
    const __m256i halves = _mm256_maskz_loadu_epi16(there, (const bf16 *)x + i);
    return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}

// As int8_round (int8.h).
static inline bool round_numbers(uint8_t *out, const void *x, bool half, int64_t n, Int8Bytes b) {
    enum { NOT_FINITE = 0x99 }; // quiet and signalling NaN, both infinities
    const __m512 inverse = _mm512_set1_ps(b.inverse), low = _mm512_set1_ps(b.low),
                 high = _mm512_set1_ps(b.high);
    const __m512i added = _mm512_set1_epi32(b.added);
    __mmask16 lost = 0;
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 there = first_of_16(n - i);
        const __m512 v = floats_at(x, half, i, there);
        lost |= _mm512_fpclass_ps_mask(v, NOT_FINITE);
        const __m512 q = _mm512_min_ps(high, _mm512_max_ps(low, _mm512_mul_ps(v, inverse)));
        const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(q), added);
        _mm512_mask_cvtepi32_storeu_epi8(out + i, there, whole);
    }
    return !lost;
}

// To nearest, ties to even; NaN stays NaN.
static inline __m256i halves_of(__m512 x) {
    const __m512i bits = (__m512i)x;
    const __m512i odd = _mm512_and_epi32(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(
        _mm512_mask_mov_epi32(_mm512_srli_epi32(up, 16), nan, _mm512_set1_epi32(0x7fc0)));
}

static inline void store_numbers(const Int8Finish *f, int64_t at, __mmask16 there, __m512 x) {
    if (f->half)
        _mm256_mask_storeu_epi16((bf16 *)f->y + at, there, halves_of(x));
    else
        _mm512_mask_storeu_ps((float *)f->y + at, there, x);
}

// The sums of a row (INT8_SIDE of them, aligned to a line) with outputs from j on, of which there
// are n or all 32, become elements of y from `at` on.
static inline void finish_sums(const Int8Finish *to, const Int8Weights *w, const int32_t *sums,
                               int64_t at, int64_t j, int64_t n) {
    for (int i = 0; i < INT8_SIDE; i += 16, j += 16, at += 16) {
        const __mmask16 there = first_of_16(n - i);
        const __m512i sum =
            _mm512_sub_epi32(_mm512_load_si512(sums + i), _mm512_loadu_si512(w->offset + j));
        const __m512 shift =
            to->shift ? _mm512_maskz_loadu_ps(there, to->shift + j) : _mm512_setzero_ps();
        __m512 x = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(w->scale + j), shift);
        if (to->residual) x = _mm512_add_ps(x, floats_at(to->residual, to->half, at, there));
        // Of a pair with a NaN the second is the greater one.
        store_numbers(to, at, there, _mm512_max_ps(_mm512_set1_ps(to->least), x));
    }
}

#else // activations are float32: no processor of this level has bfloat16

// As int8_round (int8.h).
static inline bool round_numbers(uint8_t *restrict out, const void *x, bool half, int64_t n,
                                 Int8Bytes b) {
    const float *values = x;
    int lost = 0;
    (void)half;
#pragma omp simd reduction(| : lost)
    for (int64_t i = 0; i < n; i++) {
        const float v = values[i], q = v * b.inverse;
        lost |= !(fabsf(v) <= FLT_MAX);
        const float enough = q > b.low ? q : b.low, fits = enough < b.high ? enough : b.high;
        out[i] = (uint8_t)((int32_t)rintf(fits) + b.added);
    }
    return !lost;
}

IN_LOOPS void finish_some(const Int8Finish *to, const Int8Weights *w, const int32_t *sums,
                          int64_t at, int64_t j, const int64_t n) {
    static const float none[INT8_SIDE];
    const int32_t *offset = w->offset + j;
    const float *scale = w->scale + j, *shift = to->shift ? to->shift + j : none;
    const float *residual = to->residual ? (const float *)to->residual + at : none;
    const float least = to->least;
    float *y = (float *)to->y + at;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float x = fmaf((float)(sums[i] - offset[i]), scale[i], shift[i]) + residual[i];
        y[i] = x < least ? least : x;
    }
}

// The sums of a row (INT8_SIDE of them) with outputs from j on, of which there are n or all 32,
// become elements of y from `at` on.
static inline void finish_sums(const Int8Finish *to, const Int8Weights *w, const int32_t *sums,
                               int64_t at, int64_t j, int64_t n) {
    if (n >= INT8_SIDE)
        finish_some(to, w, sums, at, j, INT8_SIDE);
    else
        finish_some(to, w, sums, at, j, n);
}

#endif
#endif
