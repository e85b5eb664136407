// SPDX-License-Identifier: Apache-2.0
// A policy of random weights, to time where there is no checkpoint.
#ifndef TACT_CLI_BENCH_RANDOM_POLICY_H
#define TACT_CLI_BENCH_RANDOM_POLICY_H

#include "config/config.h"
#include "policy/policy_locate.h"

// Writes a policy with the configuration's shapes and seed into a new temporary directory, which is
// the caller's to remove; dir gets its path, also where the policy could not be written. Error:
// what could not be made.
CHECKED bool random_policy_write(const TrainConfig *config, char dir[POLICY_PATH], Error *err);

#endif
