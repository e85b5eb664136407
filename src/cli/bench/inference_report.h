// SPDX-License-Identifier: Apache-2.0
// What tact bench --infer says of a policy.
#ifndef TACT_CLI_BENCH_INFERENCE_REPORT_H
#define TACT_CLI_BENCH_INFERENCE_REPORT_H

#include "cli/bench.h"
#include "cli/bench/inference_steps.h"
#include "cli/bench/peak.h"

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
