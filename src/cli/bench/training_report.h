// SPDX-License-Identifier: Apache-2.0
// What tact bench says of a training step.
#ifndef TACT_CLI_BENCH_TRAINING_REPORT_H
#define TACT_CLI_BENCH_TRAINING_REPORT_H

#include "cli/bench.h"
#include "cli/bench/op_times.h"
#include "cli/bench/peak.h"
#include "cli/bench/training_steps.h"

typedef struct TrainingReport {
    const BenchOptions *options;
    const TrainConfig *config;
    const Device *device;
    double flops;        // arithmetic operations of one step
    double estimated_mb; // of memory, reckoned before the run
    StepTimings timings;
    BenchPeak peak;
    OpTimes ops; // with options->ops
} TrainingReport;

// Prints it to stdout, as text or with options->json as JSON.
void training_report_print(const TrainingReport *report);

#endif
