// SPDX-License-Identifier: Apache-2.0
// What a device can do, measured on the spot with its own ops: the figures of a bench are held
// against these.
#ifndef TACT_CLI_BENCH_PEAK_H
#define TACT_CLI_BENCH_PEAK_H

#include "ops/ops.h"

// Rates are the best of a few runs, on random numbers (a card multiplies zeros faster).
typedef struct BenchPeak {
    int64_t size;           // the products are size^3, at the device's precision
    double forward, dx, dw; // GFLOP/s of linear's three products
    double copy_gbps;       // bytes read and written by copy
} BenchPeak;

// Error: no memory, or an op failed.
CHECKED bool bench_peak(Device *d, BenchPeak *out, Error *err);

#endif
