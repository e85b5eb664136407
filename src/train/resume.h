// SPDX-License-Identifier: Apache-2.0
// Private to train/: how a run goes on from a checkpoint.
#ifndef TACT_TRAIN_RESUME_H
#define TACT_TRAIN_RESUME_H

#include "train/run.h"

// Brings the open model of a run, its optimiser and its counters to where the checkpoint of
// config->resume_from left them. The weights are the checkpoint's already.
CHECKED bool run_resume(Run *r, Error *err);

#endif
