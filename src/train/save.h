// SPDX-License-Identifier: Apache-2.0
// Private to train/: how a run saves what it has learnt.
#ifndef TACT_TRAIN_SAVE_H
#define TACT_TRAIN_SAVE_H

#include "train/run.h"

// Saves a checkpoint of the step last taken and removes old ones; fails only when the checkpoint is
// not there.
CHECKED bool run_save(Run *r, int64_t step, Error *err);

#endif
