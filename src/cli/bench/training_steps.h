// SPDX-License-Identifier: Apache-2.0
// The clock of training steps.
#ifndef TACT_CLI_BENCH_TRAINING_STEPS_H
#define TACT_CLI_BENCH_TRAINING_STEPS_H

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

#endif
