// SPDX-License-Identifier: Apache-2.0
// One training step on a device: inputs, forward, loss, backward, optimiser. A step is done in one
// piece or in several, whose gradients add up (--gradient_accumulation_steps). Where the device has
// joined others (Device.join), losses and gradients are added up over all of them, those that
// backward is done with while it goes on. Starting a step and
// fetching its figures are two calls, so that a device that works beside the host is never waited
// for: step n+1 may be started before step n is finished. Two steps may be under way.
#ifndef TACT_TRAIN_STEP_H
#define TACT_TRAIN_STEP_H

#include "model/act.h"
#include "train/optimizer.h"

// Most parts in which gradients go while backward goes on.
enum { STEP_BUCKETS = 24 };

typedef struct Step {
    Device *device;
    Act *act; // borrowed, as the optimizer
    Optimizer *optimizer;
    int pieces, piece;         // of a step; issued of the one that is being started
    Record **records;          // (pieces) the device's recordings of their ops
    StepNumbers numbers;       // of the step that is being started
    int64_t started, finished; // steps
    // Gradients of a last piece that are being added up, in order, and those that are ready and
    // wait for more, so that not too little goes at once.
    ParamRange sent[STEP_BUCKETS], waiting;
    int n_sent;
} Step;

typedef struct StepResult {
    ActLosses losses;
    float grad_norm; // before clipping
} StepResult;

// pieces: batches of a step, at least 1.
void step_init(Step *s, Act *act, Optimizer *optimizer, int pieces);
void step_free(Step *s); // a zeroed struct is allowed

// Issues the next piece of optimizer step number optimizer->step + 1; the last one starts the step.
// The batch's memory stays in use until step_inputs_free or the next step_piece. Once a step's loss
// or gradient was not finite, no later step changes the weights. Error: another process is lost;
// the weights are those of the step before, and gradients are of no use any more.
CHECKED bool step_piece(Step *s, const ActInput *in, uint64_t seed, Error *err);
void step_inputs_free(Step *s);
// The figures of the oldest step that is under way; waits for it. False, with the device's error,
// when an op failed.
CHECKED bool step_finish(Step *s, StepResult *out, Error *err);

#endif
