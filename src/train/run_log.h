// SPDX-License-Identifier: Apache-2.0
// Private to train/: what a run says of itself before its first step.
#ifndef TACT_TRAIN_RUN_LOG_H
#define TACT_TRAIN_RUN_LOG_H

#include "train/run.h"

// Which of the two kinds of policy it is, and how to get the other.
void log_policy_kind(const TrainConfig *config);
// Everything a reader of the log wants to know of an open run, in LeRobot's lines and in ours.
void log_run(const Run *r);

#endif
