// SPDX-License-Identifier: Apache-2.0
// The statistics of a policy on disk.
#ifndef TACT_POLICY_POLICY_STATS_READ_H
#define TACT_POLICY_POLICY_STATS_READ_H

#include "base/error.h"
#include "policy/policy_stats.h"

// Statistics of a checkpoint of any age: its processor files; else the buffers that LeRobot before
// 0.4 kept among the weights; else meta/stats.json of `dataset`, unless that is NULL. Checked as
// policy_normalizers does.
CHECKED bool policy_read_stats(const char *dir, const char *dataset, const PolicyConfig *p,
                               PolicyStats *out, Error *err);

#endif
