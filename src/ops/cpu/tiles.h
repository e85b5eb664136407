// SPDX-License-Identifier: Apache-2.0
// Matrix products on a processor's matrix unit (Intel's AMX): bfloat16 factors, float32 sums, which
// are rounded at the end if C is bfloat16. Rows of a factor A in bfloat16 are tiles where they lie.
// Every other factor is put into tiles, in blocks that stay in cache; one that lies in memory as
// float32 is rounded then: what was never written needs no reading.
#ifndef TACT_OPS_CPU_TILES_H
#define TACT_OPS_CPU_TILES_H

#include "ops/cpu/cpu.h"

// Element (i, j) of a factor is at data[i * row + j * column]; one of the two is 1.
typedef struct TileFactor {
    const void *data; // float, or bf16 if half
    int64_t row, column;
    bool half;
} TileFactor;

// C (m, n) = A (m, k) B (k, n), plus the bias (n) unless that is NULL, plus C if `sum`.
typedef struct TileProduct {
    int64_t m, n, k, ldc;
    TileFactor a, b;
    const void *packed; // B as tiles_pack left it, and b does not count; NULL: no
    const float *bias;
    void *c;     // float, or bf16 if half_c
    bool half_c; // of a sum of bfloat16, what was there is read as it is, and rounded once again
    bool sum;
} TileProduct;

// Whether this processor has a matrix unit, the system lets this process use it, and oneDNN may.
bool tiles_here(void);
// Bytes of a factor B (k, n) that is kept in tiles, for weights that last; and puts it there.
int64_t tiles_bytes(int64_t k, int64_t n);
void tiles_pack(const Device *d, const TileFactor *b, int64_t k, int64_t n, void *out);

// All of C by the device's threads. Every sum is made in the same order, whatever their number. The
// device fails without memory.
void tiles_multiply(Device *d, const TileProduct *p);

#endif
