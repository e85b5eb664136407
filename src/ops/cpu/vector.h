// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: functions that the compiler turns into vector code when inlined in a loop.
#ifndef TACT_OPS_CPU_VECTOR_H
#define TACT_OPS_CPU_VECTOR_H

#include "ops/ops.h"
#include <math.h>
#include <string.h>

// e^x for x <= 88, to about 1e-7 relative; below -87 it is e^-87; NaN stays NaN. Cody-Waite reduction to
// |r| <= ln2/2, a degree-6 polynomial, and the exponent put in by bits.
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

enum { DROPOUT_CHUNK = 32 }; // columns made at a time: eight counters in step

// scale[i] = 0 or 1/(1-p) for columns [chunk*32, chunk*32 + 32) of a row: eight counters side by side.
static inline void dropout_scales(float scale[DROPOUT_CHUNK], Dropout drop, uint32_t row,
                                  uint32_t chunk) {
    enum { LANES = 8 };
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    for (int i = 0; i < LANES; i++) {
        c0[i] = chunk * LANES + (uint32_t)i;
        c1[i] = row;
        c2[i] = drop.key.site;
        c3[i] = drop.key.step;
    }
    philox_rounds(c0, c1, c2, c3, LANES, drop.key.seed);
    float keep = 1.0f / (1.0f - drop.p);
    for (int i = 0; i < LANES; i++) {
        scale[4 * i + 0] = rng_unit(c0[i]) >= drop.p ? keep : 0.0f;
        scale[4 * i + 1] = rng_unit(c1[i]) >= drop.p ? keep : 0.0f;
        scale[4 * i + 2] = rng_unit(c2[i]) >= drop.p ? keep : 0.0f;
        scale[4 * i + 3] = rng_unit(c3[i]) >= drop.p ? keep : 0.0f;
    }
}

#endif
