// SPDX-License-Identifier: Apache-2.0
// Private to tact bench.
#ifndef TACT_CLI_BENCH_H
#define TACT_CLI_BENCH_H

#include "model/act.h"
#include "train/optimizer.h"

// Milliseconds of a training step: as training goes, and by its parts, each waited for by itself. On
// a device that computes before its ops return the two are one.
typedef struct BenchTimings {
    double step_ms, p10_ms, p90_ms, mean_ms; // of the steps: median, percentiles, mean
    double serial_ms, forward_ms, backward_ms, optimizer_ms; // medians
    float loss; // of the last step
} BenchTimings;

// bench_steps.c: times `steps` steps, after some to warm up. Error: an op failed, or the loss is not
// finite.
CHECKED bool bench_steps(Act *act, Optimizer *optimizer, const ActInput *in, uint64_t seed,
                         int64_t steps, BenchTimings *out, Error *err);

// What a device can do, measured on the spot with its own ops: the step's figures are held against
// these. Rates are the best of a few runs, on random numbers (a card multiplies zeros faster).
typedef struct BenchPeak {
    int64_t size;           // the products are size^3, at the device's precision
    double forward, dx, dw; // GFLOP/s of linear's three products
    double copy_gbps;       // bytes read and written by copy
} BenchPeak;

// bench_peak.c. Error: no memory, or an op failed.
CHECKED bool bench_peak(Device *d, BenchPeak *out, Error *err);

// bench_loader.c: `tact bench --loader`, a command of its own with its own options.
bool bench_loader_wanted(int argc, char **argv);
int bench_loader(int argc, char **argv);

#endif
