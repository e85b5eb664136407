// SPDX-License-Identifier: Apache-2.0
// Which episodes a policy was trained on.
#ifndef TACT_EVAL_TRAINING_H
#define TACT_EVAL_TRAINING_H

#include "config/config.h"
#include "dataset/dataset.h"

typedef enum EvalSeen {
    SEEN_UNKNOWN, // the checkpoint does not say, or was trained on another dataset
    SEEN_TRAINED,
    SEEN_HELD_OUT, // of the dataset it was trained on, but not trained on
} EvalSeen;

// "trained on", "held out", "unknown".
const char *eval_seen_name(EvalSeen seen);

typedef struct EvalTraining {
    bool known;                 // the checkpoint says which episodes it was trained on
    bool same_dataset;          // and that is the dataset at hand
    const char *root, *repo_id; // of the training's dataset; may be NULL
    int64_t step;               // of the checkpoint; -1: not known
    IntList chosen;             // --dataset.episodes of the training, sorted; no values: all
    IntList split;              // of those, the ones that --dataset.eval_split held out, sorted
    Arena arena;
} EvalTraining;

// Reads train_config.json, tact.json and ../training_state of a checkpoint's pretrained_model
// directory. Where these files are missing, or the split cannot be worked out because some episodes
// are missing, `known` stays false; that is no error. The dataset at hand is the training's when it
// is in the same directory or, where the training's directory no longer exists, has the same
// repo_id.
void eval_training_read(const char *dir, const char *root, const char *repo_id, EvalTraining *out);
void eval_training_free(EvalTraining *t); // a zeroed struct is allowed
EvalSeen eval_seen(const EvalTraining *t, int64_t episode);

#endif
