// SPDX-License-Identifier: Apache-2.0
// Private to train/: what a run normalises with, found once before its first step.
#ifndef TACT_TRAIN_RUN_STATISTICS_H
#define TACT_TRAIN_RUN_STATISTICS_H

#include "policy/policy_stats.h"
#include "train/run_data.h"

typedef struct RunStatistics {
    PolicyStats policy; // as a checkpoint holds them
    Normalizer state, env, action;
} RunStatistics;

// From the dataset, or those of the checkpoint, which are never recomputed in a run that goes on.
CHECKED bool run_statistics_find(RunStatistics *s, const TrainConfig *config, const RunData *data,
                                 Error *err);
void run_statistics_free(RunStatistics *s); // a zeroed struct is allowed

#endif
