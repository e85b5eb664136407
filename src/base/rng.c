// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <math.h>
#include <string.h>

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

// The logarithm of x in [2^-53, 1], to 4e-16 of itself. The C library's takes one number at a time;
// of plain arithmetic the compiler makes vectors, with the same bits whatever their width.
static inline double log_of(double x) {
    // x = 2^e m with m in [sqrt(1/2), sqrt(2)), of which s = (m-1)/(m+1) is at most 0.172 and
    // log m = 2 atanh s. The bits of x less those of sqrt(1/2) have e where the exponent stands.
    const uint64_t root_half = 0x3fe6a09e00000000, one = 0x3ff0000000000000;
    uint64_t bits;
    double e, m;
    memcpy(&bits, &x, sizeof bits);
    bits += one - root_half;
    // In the last bits of 2^52 a whole number is a double without a conversion, for which old
    // processors have no vectors.
    uint64_t whole = bits >> 52 | 0x4330000000000000;
    memcpy(&e, &whole, sizeof e);
    e -= 0x1p52 + 1023;
    bits = (bits & 0x000fffffffffffff) + root_half;
    memcpy(&m, &bits, sizeof m);
    double s = (m - 1) / (m + 1), z = s * s;
    double series = 1.0 / 21;
    series = series * z + 1.0 / 19;
    series = series * z + 1.0 / 17;
    series = series * z + 1.0 / 15;
    series = series * z + 1.0 / 13;
    series = series * z + 1.0 / 11;
    series = series * z + 1.0 / 9;
    series = series * z + 1.0 / 7;
    series = series * z + 1.0 / 5;
    series = series * z + 1.0 / 3;
    return e * M_LN2 + (2 * s + 2 * s * (z * series));
}

// The cosine of 2 pi v, v in [0, 1), to 4e-16 of itself: the sine of the way from the nearer of the
// two quarters of a turn where it is zero, which is exact.
static inline double cos_of_turns(double v) {
    double x = 2 * M_PI * (fabs(v - 0.5) - 0.25), z = x * x; // |x| <= pi/2
    double series = 1.0 / 51090942171709440000.0;            // 21!
    series = series * z - 1.0 / 121645100408832000.0;        // 19!
    series = series * z + 1.0 / 355687428096000.0;           // and so on
    series = series * z - 1.0 / 1307674368000.0;
    series = series * z + 1.0 / 6227020800.0;
    series = series * z - 1.0 / 39916800.0;
    series = series * z + 1.0 / 362880.0;
    series = series * z - 1.0 / 5040.0;
    series = series * z + 1.0 / 120.0;
    series = series * z - 1.0 / 6.0;
    return x + x * (z * series);
}

// u in [0, 1), so that the logarithm is finite.
static inline double normal_from_uniforms(double u, double v) {
    return sqrt(-2.0 * log_of(1.0 - u)) * cos_of_turns(v);
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
