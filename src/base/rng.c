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
