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
    for (int i = 0; i < LANES; i++) {
        out[0][i] = (uint32_t)(block + (uint64_t)i);
        out[1][i] = (uint32_t)((block + (uint64_t)i) >> 32);
        out[2][i] = key.site;
        out[3][i] = key.step;
    }
    philox_rounds(out[0], out[1], out[2], out[3], LANES, key.seed);
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

double rng_between(RngStream *s, double low, double high) {
    return low + (high - low) * rng_double(s);
}

// u in [0, 1), so that the logarithm is finite.
static double normal_from_uniforms(double u, double v) {
    return sqrt(-2.0 * log(1.0 - u)) * cos(2 * M_PI * v);
}

void rng_normals(RngStream *s, double *out, int64_t n) {
    enum { AT_ONCE = 512 };
    double x[2 * AT_ONCE];
    for (int64_t i = 0; i < n; i += AT_ONCE) {
        int64_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
        rng_doubles(s, x, 2 * some);
        for (int64_t k = 0; k < some; k++)
            out[i + k] = normal_from_uniforms(x[2 * k], x[2 * k + 1]);
    }
}
