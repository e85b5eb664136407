// SPDX-License-Identifier: Apache-2.0
// One training step on a device: inputs, forward, loss, backward, optimiser. Starting a step and
// fetching its figures are two calls, so that a device that works beside the host is never waited
// for: step n+1 may be started before step n is finished. Two steps may be under way.
#ifndef TACT_TRAIN_STEP_H
#define TACT_TRAIN_STEP_H

#include "model/act.h"
#include "train/optimizer.h"

typedef struct Step {
    Device *device;
    Act *act; // borrowed, as the optimizer
    Optimizer *optimizer;
    Record *record;            // the device's recording of the ops of a step
    int64_t started, finished; // steps
} Step;

typedef struct StepResult {
    ActLosses losses;
    float grad_norm; // before clipping
} StepResult;

void step_init(Step *s, Act *act, Optimizer *optimizer);
void step_free(Step *s); // a zeroed struct is allowed

// Issues optimizer step number optimizer->step + 1 on the batch. Its memory stays in use until
// step_inputs_free or the next step_start. Once a step's loss or gradient was not finite, no later
// step changes the weights.
void step_start(Step *s, const ActInput *in, uint64_t seed);
void step_inputs_free(Step *s);
// The figures of the oldest step that is under way; waits for it. False, with the device's error,
// when an op failed.
CHECKED bool step_finish(Step *s, StepResult *out, Error *err);

#endif
