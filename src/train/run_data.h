// SPDX-License-Identifier: Apache-2.0
// Private to train/: the recordings of a run, what of them it is trained on, and what it normalises
// with.
#ifndef TACT_TRAIN_RUN_DATA_H
#define TACT_TRAIN_RUN_DATA_H

#include "config/config.h"
#include "dataset/dataset.h"
#include "policy/policy_stats.h"

typedef struct RunData {
    Dataset *dataset;
    int64_t *train_rows, *eval_rows; // whole episodes are either trained on or held out
    int64_t n_train, n_eval, train_episodes;
} RunData;

// Opens the dataset, fills in config->policy from it, and writes where it was found into the
// configuration.
CHECKED bool run_data_open(RunData *data, TrainConfig *config, Error *err);
// Splits the rows of the open dataset by --dataset.eval_split. Errors: nothing can be held out
// though it was asked for, or fewer rows are left than a batch has.
CHECKED bool run_data_split(RunData *data, const TrainConfig *config, Error *err);
void run_data_close(RunData *data); // a zeroed struct is allowed

// run_statistics.c: what the run normalises with, found once before its first step.
typedef struct RunStatistics {
    PolicyStats policy; // as a checkpoint holds them
    Normalizer state, env, action;
} RunStatistics;

// From the dataset, or those of the checkpoint, which are never recomputed in a run that goes on.
CHECKED bool run_statistics_find(RunStatistics *s, const TrainConfig *config, const RunData *data,
                                 Error *err);
void run_statistics_free(RunStatistics *s); // a zeroed struct is allowed

// other_data.c: a warning where a run goes on from a checkpoint with data of another rate, or of
// another place.
void warn_of_other_data(const TrainConfig *c, const Dataset *ds);

#endif
