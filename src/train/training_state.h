// SPDX-License-Identifier: Apache-2.0
// training_state/ of a checkpoint: what a run needs beside its policy to go on as if it had never
// stopped.
#ifndef TACT_TRAIN_TRAINING_STATE_H
#define TACT_TRAIN_TRAINING_STATE_H

#include "train/metrics.h"
#include "train/optimizer.h"

// Our own part, tact_state.json.
typedef struct TrainingState {
    int64_t step;         // steps taken; the random numbers of a step follow from it and the seed
    int64_t next_step;    // of the data, counted over epochs; what a halted step saw counts
    int64_t step_samples; // samples of a step, of the run that saved it
    int64_t frames, seed, threads; // likewise
    bool eval_due;                 // an evaluation after this step was still to come
    int64_t ema_updates;           // steps in the moving average; -1: there is none
    MetricSums sums;               // since the last log line
    bool ours; // reading: false for a checkpoint of LeRobot's, which has step alone
} TrainingState;

// Writes training_step.json, rng_state.safetensors, optimizer_state.safetensors,
// optimizer_param_groups.json, tact_state.json and, with a schedule, scheduler_state.json into a
// directory that exists. The random state is a freshly seeded one: tact itself needs none, LeRobot
// wants one to be there.
CHECKED bool training_state_write(const char *dir, const TrainConfig *config, const Optimizer *o,
                                  const TrainingState *state, Error *err);
// Of a training_state that was written with eval_due: the evaluation has been made. The file is
// replaced as a whole, or stays as it was.
CHECKED bool training_state_evaluated(const char *dir, Error *err);
// rng_state.c
CHECKED bool rng_state_write(const char *dir, uint64_t seed, Error *err);

// Reads where the run stood from the directory training_state.
CHECKED bool training_state_read(const char *dir, TrainingState *state, Error *err);
// Reads moments and number of steps into the optimizer. A tensor that is missing, of another shape,
// negative where it cannot be or not finite is an error that names it. LeRobot optimisers of one
// group are read too. new_times: the temporal table is new, and
// has no moments yet.
CHECKED bool optimizer_state_read(const char *dir, int64_t step, bool new_times, Optimizer *o,
                                  Error *err);

#endif
