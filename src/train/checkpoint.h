// SPDX-License-Identifier: Apache-2.0
// OUTPUT_DIR/checkpoints/STEP: LeRobot's layout, there whole or not at all.
#ifndef TACT_TRAIN_CHECKPOINT_H
#define TACT_TRAIN_CHECKPOINT_H

#include "policy/policy_stats.h"
#include "train/training_state.h"

// What is saved. Everything is borrowed.
typedef struct CheckpointParts {
    const TrainConfig *config;
    const Params *params;
    const Params *average; // the moving average for pretrained_model_ema, or NULL
    const PolicyStats *stats;
    const Optimizer *optimizer; // NULL: no training_state
    const TrainingState *state; // step, and with optimizer the rest
} CheckpointParts;

// Writes pretrained_model/, pretrained_model_ema/ and training_state/ into a temporary directory,
// syncs and renames it, then moves the relative `last` link. A directory of that step that is there
// already is swapped for the new one. path gets the checkpoint directory. On an error the temporary
// directory is gone and every earlier checkpoint is as it was; only when the link alone failed is
// the new one there, and path says so.
CHECKED bool checkpoint_write(const CheckpointParts *what, char *path, size_t path_size,
                              Error *err);
// Makes the directory `dir` and writes the policy into it as a pretrained_model, with `params` for
// weights; then checks it (checkpoint_check_policy). After an error the caller removes what is
// there.
CHECKED bool checkpoint_write_policy(const char *dir, const CheckpointParts *what,
                                     const Params *params, Error *err);
// The name of a step's checkpoint, NNNNNN: at least six digits, and more when `steps` has more.
void checkpoint_step_name(char *out, size_t size, int64_t step, int64_t steps);

// ---- checkpoint_check.c: read again with what will load it ------------------------------------
// Whether a pretrained_model holds the settings, the statistics and tensors for all of `params`.
CHECKED bool checkpoint_check_policy(const char *dir, const CheckpointParts *what,
                                     const Params *params, Error *err);
// Whether a training_state holds the state, and moments for all that is trained.
CHECKED bool checkpoint_check_state(const char *dir, const CheckpointParts *what, Error *err);

// ---- checkpoint_dir.c: the directory that holds the checkpoints -------------------------------
// Moves a finished temporary directory to its name, in one step where the file system can swap
// names.
CHECKED bool checkpoint_publish(const char *temporary, const char *path, Error *err);
// `last` in the directory points to `name`; an old link is replaced in one step.
CHECKED bool checkpoint_point_last(const char *checkpoints, const char *name, Error *err);
// Removes what a run that was killed left behind: temporary directories, half-removed checkpoints.
CHECKED bool checkpoints_clean(const char *checkpoints, Error *err);
// Removes all but the last `keep` of the checkpoints up to `step`, and never the one that `last`
// points to.
CHECKED bool checkpoints_prune(const char *checkpoints, int64_t step, int64_t keep, Error *err);

#endif
