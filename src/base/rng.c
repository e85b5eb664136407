// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <math.h>

uint32_t rng_next(RngStream *s) {
    uint32_t words[4];
    uint64_t block = s->next / 4;
    rng_words(words, s->key, (uint32_t)(block >> 32), (uint32_t)block);
    return words[s->next++ % 4];
}

static uint64_t next64(RngStream *s) {
    uint64_t high = rng_next(s);
    return high << 32 | rng_next(s);
}

// As rng_words for LANES blocks at once, so that the compiler can use vectors.
enum { LANES = 32 };

static void many_words(uint32_t out[4][LANES], RngKey key, uint64_t block) {
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    for (int i = 0; i < LANES; i++) {
        c0[i] = (uint32_t)(block + (uint64_t)i);
        c1[i] = (uint32_t)((block + (uint64_t)i) >> 32);
        c2[i] = key.site;
        c3[i] = key.step;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < LANES; i++) {
        out[0][i] = c0[i];
        out[1][i] = c1[i];
        out[2][i] = c2[i];
        out[3][i] = c3[i];
    }
}

void rng_doubles(RngStream *s, double *out, int64_t n) {
    uint32_t words[4][LANES];
    int64_t i = 0;
    for (; i < n && s->next % 4; i++) out[i] = rng_double(s);
    for (; n - i >= 2 * LANES; i += 2 * LANES, s->next += 4 * LANES) {
        many_words(words, s->key, s->next / 4);
        for (int k = 0; k < LANES; k++) {
            uint64_t first = (uint64_t)words[0][k] << 32 | words[1][k];
            uint64_t second = (uint64_t)words[2][k] << 32 | words[3][k];
            out[i + 2 * k] = (double)(first >> 11) * 0x1p-53;
            out[i + 2 * k + 1] = (double)(second >> 11) * 0x1p-53;
        }
    }
    for (; i < n; i++) out[i] = rng_double(s);
}

uint64_t rng_below(RngStream *s, uint64_t n) {
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;
    do x = next64(s);
    while (x >= limit);
    return x % n;
}

double rng_double(RngStream *s) {
    return (double)(next64(s) >> 11) * 0x1p-53;
}

double rng_normal(RngStream *s) {
    double u = 1.0 - rng_double(s); // in (0, 1]: the logarithm is finite
    double v = rng_double(s);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
