// SPDX-License-Identifier: Apache-2.0
// Private to train/: the device that a run computes on.
#ifndef TACT_TRAIN_RUN_DEVICE_H
#define TACT_TRAIN_RUN_DEVICE_H

#include "config/config.h"
#include "ops/ops.h"

// That of --policy.device; else the one the checkpoint was trained on, where it is there; else the
// CPU. Writes the choice into config->policy.
CHECKED bool run_device_open(TrainConfig *config, Device **out, Error *err);
// Logs how much memory the run will take, before it is taken. The policy's shapes are filled in.
// Error: the device has less.
CHECKED bool run_device_check_memory(const TrainConfig *config, Device *d, Error *err);

#endif
