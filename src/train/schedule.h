// SPDX-License-Identifier: Apache-2.0
// LeRobot's learning-rate schedules as a pure function of the step: nothing to save, nothing to
// restore.
#ifndef TACT_TRAIN_SCHEDULE_H
#define TACT_TRAIN_SCHEDULE_H

#include "config/config.h"

// What both learning rates are multiplied with when `taken` steps were taken before this one (the
// first step of a run: 0). steps: of the whole run.
double schedule_factor(const SchedulerConfig *s, int64_t taken, int64_t steps);

#endif
