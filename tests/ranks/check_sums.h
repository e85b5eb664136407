// SPDX-License-Identifier: Apache-2.0
// Numbers for sums that every process can make for all ranks, and what a sum of them has to be.
#ifndef TACT_TESTS_CHECK_SUMS_H
#define TACT_TESTS_CHECK_SUMS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static inline uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// The element i that a rank brings to a sum: signs and sizes differ, so that another order of
// adding shows.
static inline float summand_value(uint64_t sum, int rank, int64_t i) {
    uint64_t x = mix(mix(mix(sum) + (uint64_t)rank) + (uint64_t)i);
    float unit = (float)(x >> 40) / (float)(1 << 23) - 1.0f;
    return ldexpf(unit, (int)(x % 9) - 4);
}

static inline void summand_fill(float *data, uint64_t sum, int rank, int64_t n) {
    for (int64_t i = 0; i < n; i++) data[i] = summand_value(sum, rank, i);
}

// Whether the sum of `count` ranks is near the one in double: each of the count - 1 additions
// rounds by at most 2^-24 of a partial sum, which is at most the sum of all sizes. The first that
// is not is told on stderr.
static inline bool sum_is_right(const float *data, uint64_t sum, int count, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double exact = 0, sizes = 0;
        for (int k = 0; k < count; k++) {
            double v = summand_value(sum, k, i);
            exact += v;
            sizes += fabs(v);
        }
        if (fabs(data[i] - exact) <= count * ldexp(1, -24) * sizes) continue;
        fprintf(stderr, "sum %llu of %d ranks, element %lld of %lld: %.9g, but %.9g is right\n",
                (unsigned long long)sum, count, (long long)i, (long long)n, data[i], exact);
        return false;
    }
    return true;
}

#endif
