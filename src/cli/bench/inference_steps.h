// SPDX-License-Identifier: Apache-2.0
// The clock of control steps, as a robot's program sees them through include/tact.h.
#ifndef TACT_CLI_BENCH_INFERENCE_STEPS_H
#define TACT_CLI_BENCH_INFERENCE_STEPS_H

#include "cli/bench.h"
#include "cli/bench/op_times.h"
#include "cli/bench/peak.h"
#include "config/config.h"

// Milliseconds of control steps that each predict.
typedef struct Latency {
    double p50, p95, p99;
} Latency;

typedef struct InferenceTimings {
    double load_ms;     // tact_open
    double first_ms;    // the first step after it
    double start_ms;    // from the process' start to the first action; NAN where nobody can tell
    double resident_mb; // the process' largest resident memory after the steps with the cache
    Latency cached, uncached; // with the frame cache (one new frame a camera), and without it
    OpTimes ops;              // of a step with the cache, where asked for
} InferenceTimings;

// Opens the policy at `path` with the configuration's device, precision and threads and times
// `steps` steps on random frames, after some to warm up. With the frame cache (`cache`) it fills
// all of `out` but uncached, without it only that. Error: what tact_open or a step says.
CHECKED bool time_inference(const TrainConfig *config, const char *path, bool cache, int64_t steps,
                            bool ops, InferenceTimings *out, Error *err);

// inference_report.c: what tact bench --infer says of a policy.
typedef struct InferenceReport {
    const BenchOptions *options;
    const PolicyConfig *policy;
    const Device *device; // one of the kind and precision that the policy ran on
    InferenceTimings timings;
    double cached_gflop, uncached_gflop; // arithmetic of one step, with the frame cache and without
    BenchPeak peak;
} InferenceReport;

// Prints it to stdout, as text or with options->json as JSON.
void inference_report_print(const InferenceReport *report);

#endif
