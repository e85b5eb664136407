// SPDX-License-Identifier: Apache-2.0
// LeRobot's policy_preprocessor and policy_postprocessor, written.
#ifndef TACT_POLICY_PROCESSORS_WRITE_H
#define TACT_POLICY_PROCESSORS_WRITE_H

#include "base/error.h"
#include "config/config.h"
#include "policy/policy_stats.h"

// Both pipelines, with all steps under LeRobot's names, and their statistics, into the directory.
CHECKED bool processors_write(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                              Error *err);

#endif
