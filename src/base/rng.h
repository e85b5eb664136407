// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random
// Numbers: As Easy as 1, 2, 3", SC 2011). A number is a pure function of (seed, step, site, row,
// column), so a dropout mask is never stored: backward, another thread or another device makes it
// again. First numbers, as in the paper's known-answer file: key 0, counter 0 gives
// 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
#ifndef TACT_BASE_RNG_H
#define TACT_BASE_RNG_H

#include <stdint.h>

#ifdef __CUDACC__ // kernels make the same numbers from the same code
#define RNG_INLINE static inline __host__ __device__
#else
#define RNG_INLINE static inline
#endif

// Where in a run a stream of random numbers is used.
typedef struct RngKey {
    uint64_t seed; // of the run
    uint32_t step; // training step
    uint32_t site; // which use within the step; every use has its own
    // What is added to every row: a step that is done in pieces makes the numbers of the whole.
    uint32_t first_row;
} RngKey;

enum { PHILOX_ROUNDS = 10 };
#define PHILOX_M0 0xD2511F53u // multipliers
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_K0 0x9E3779B9u // added to the key from round to round
#define PHILOX_K1 0xBB67AE85u

// The rounds on `lanes` counters (c0[i], c1[i], c2[i], c3[i]) side by side, in place: with a
// constant number of lanes the compiler makes vectors of them.
RNG_INLINE void philox_rounds(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3, int lanes,
                              uint64_t key) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        for (int i = 0; i < lanes; i++) {
            uint64_t p0 = (uint64_t)PHILOX_M0 * c0[i], p1 = (uint64_t)PHILOX_M1 * c2[i];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)p1;
            c3[i] = (uint32_t)p0;
            c0[i] = n0;
            c2[i] = n2;
        }
        k0 += PHILOX_K0;
        k1 += PHILOX_K1;
    }
}

RNG_INLINE void philox4x32(uint32_t out[4], uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                           uint64_t key) {
    philox_rounds(&c0, &c1, &c2, &c3, 1, key);
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// The four 32-bit words for columns 4*block .. 4*block+3 of a row.
RNG_INLINE void rng_words(uint32_t out[4], RngKey key, uint32_t row, uint32_t block) {
    philox4x32(out, block, key.first_row + row, key.site, key.step, key.seed);
}

// Uniform in [0, 1) with 24 bits.
RNG_INLINE float rng_unit(uint32_t word) {
    return (float)(word >> 8) * (1.0f / 16777216.0f);
}

// A stream for host-side use (initialisation, shuffling): the words of row 0, 1, ... in turn.
typedef struct RngStream {
    RngKey key;
    uint64_t next; // number of 32-bit words already taken
} RngStream;

uint32_t rng_next(RngStream *s);
// Uniform integer in [0, n), n > 0, without bias.
uint64_t rng_below(RngStream *s, uint64_t n);
// Uniform in [0, 1) with 53 bits.
double rng_double(RngStream *s);
// Uniform in [low, high).
double rng_between(RngStream *s, double low, double high);
// The n numbers that rng_double would give next, made faster; s moves on past them. s->next must
// be even, as it is when only numbers of two words have been taken before.
void rng_doubles(RngStream *s, double *out, int64_t n);
// n standard normal numbers (Box-Muller; two of rng_double a number), likewise.
void rng_normals(RngStream *s, double *out, int64_t n);

#endif
