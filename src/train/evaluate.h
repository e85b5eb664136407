// SPDX-License-Identifier: Apache-2.0
// Private to train/: how good the weights are, between two steps.
#ifndef TACT_TRAIN_EVALUATE_H
#define TACT_TRAIN_EVALUATE_H

#include "train/run.h"

// Which evaluations follow a step.
typedef struct Evaluations {
    bool held_out; // mean l1 over the held-out rows (at most max_eval_samples of them, evenly
                   // spaced)
    bool rollouts; // episodes in the task of --env.type
} Evaluations;

// The evaluations that the run has and that are due after a step; at the end all it has.
Evaluations run_evaluations_due(const Run *r, int64_t step, bool end);
// Evaluates the weights, and with ema.use_for_eval their moving average, and logs and writes what
// it finds. A stop signal leaves all of it, with eval_due set, to the process that goes on with the
// run: the lines of an evaluation are written together or not at all.
CHECKED bool run_evaluate(Run *r, int64_t step, Evaluations what, Error *err);

// rollouts.c: episodes with the weights `params`; suffix: "" or "_ema", of the folder of videos. A
// stop signal ends it early; *out is not to be read then.
CHECKED bool run_rollouts(Run *r, int64_t step, const Params *params, const char *suffix,
                          TrainRollouts *out, Error *err);

// OUTPUT_DIR/eval/videos_step_NNNNNN, with `suffix` behind it, where LeRobot puts videos.
void rollouts_video_dir(const TrainConfig *c, int64_t step, const char *suffix, char *out,
                        size_t size);

#endif
