// SPDX-License-Identifier: Apache-2.0
// Private to tact bench.
#ifndef TACT_CLI_BENCH_H
#define TACT_CLI_BENCH_H

#include "model/act.h"
#include "train/optimizer.h"

// Milliseconds of a training step: as training goes, and by its parts, each waited for by itself.
// On a device that computes before its ops return the two are one.
typedef struct BenchTimings {
    double step_ms, p10_ms, p90_ms, mean_ms; // of the steps: median, percentiles, mean
    double serial_ms, forward_ms, backward_ms, optimizer_ms; // medians
    double resident_mb; // the process' largest resident memory after them
    float loss;         // of the last step
} BenchTimings;

// bench_steps.c: times `steps` steps, after some to warm up. Error: an op failed, or the loss is
// not finite.
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

// Milliseconds of control steps that each predict, through include/tact.h.
typedef struct BenchLatency {
    double p50, p95, p99;
    double gflop; // arithmetic of one step
} BenchLatency;

// bench_ops.c: runs `steps` steps with every op of the device timed, after one to warm up, and
// keeps the ops in the order of their time in out (room for BENCH_MAX_OPS); *count of them. seconds
// and calls are of one step. Error: what the step says.
enum { BENCH_MAX_OPS = 64 };
typedef struct BenchOp {
    const char *op;
    double calls, seconds;
} BenchOp;
typedef bool (*BenchStep)(void *user, Error *err);
CHECKED bool bench_ops(Device *d, BenchStep step, void *user, int64_t steps, BenchOp *out,
                       int *count, Error *err);
void bench_ops_print(const BenchOp *ops, int count);
struct json_t *bench_ops_json(const BenchOp *ops, int count); // a new reference

typedef struct BenchInfer {
    double load_ms;     // tact_open
    double first_ms;    // the first step after it
    double start_ms;    // from the process' start to the first action; NAN without a checkpoint
    double resident_mb; // the process' largest resident memory after the steps with the cache
    BenchLatency cached, uncached; // with the frame cache (one new frame a camera), without
    BenchOp ops[BENCH_MAX_OPS];    // of a step with the cache, where asked for
    int n_ops;
} BenchInfer;

// bench_infer.c: latency of a policy on synthetic frames. path: a checkpoint, or NULL for one of
// random weights with the configuration's shapes, which is written to a temporary directory and
// removed. The device, precision and threads are the configuration's. shape: becomes the policy's
// configuration (the caller's to free). Error: what tact_open or a step says.
CHECKED bool bench_infer(const TrainConfig *config, const char *path, int64_t steps, bool ops,
                         BenchInfer *out, TrainConfig *shape, Error *err);

// cmd_bench.c: [[HEIGHT, WIDTH], ...] of what the policy's cameras see; a new reference.
struct json_t *bench_sizes_json(const PolicyConfig *policy);

// bench_loader.c: `tact bench --loader`, a command of its own with its own options.
bool bench_loader_wanted(int argc, char **argv);
int bench_loader(int argc, char **argv);

#endif
