// SPDX-License-Identifier: Apache-2.0
// The clock of training steps.
#ifndef TACT_CLI_BENCH_TRAINING_STEPS_H
#define TACT_CLI_BENCH_TRAINING_STEPS_H

#include "cli/bench.h"
#include "cli/bench/op_times.h"
#include "cli/bench/peak.h"
#include "model/act.h"
#include "train/optimizer.h"

// Milliseconds of a training step: as training goes, and by its parts, each waited for by itself.
// On a device that computes before its ops return the two are one.
typedef struct StepTimings {
    double step_ms, p10_ms, p90_ms, mean_ms; // of the steps: median, percentiles, mean
    double serial_ms, forward_ms, backward_ms, optimizer_ms; // medians
    double resident_mb; // the process' largest resident memory after them
    float loss;         // of the last step
} StepTimings;

// Times `steps` steps, after some to warm up. Error: an op failed, or a step's loss or
// gradient norm is not finite.
CHECKED bool time_training_steps(Act *act, Optimizer *optimizer, const ActInput *in, uint64_t seed,
                                 int64_t steps, StepTimings *out, Error *err);

// Seconds of the parts of one training step, the device waited for after each.
typedef struct StepParts {
    double forward, backward, update; // forward: with the upload of the batch
    float loss;
} StepParts;
// The errors of time_training_steps.
CHECKED bool time_step_parts(Act *act, Optimizer *optimizer, const ActInput *in, uint64_t seed,
                             StepParts *out, Error *err);

// training_report.c: what tact bench says of a training step.
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
