// SPDX-License-Identifier: Apache-2.0
// One policy in memory for all handles that were opened beside the one that read it.
#ifndef TACT_RUNTIME_SHARED_POLICY_H
#define TACT_RUNTIME_SHARED_POLICY_H

#include "base/error.h"
#include "ops/ops.h"
#include "policy/policy_load.h"
#include "tact.h"
#include <stdatomic.h>

// Nobody changes the policy.
typedef struct SharedPolicy {
    Policy policy;
    Device *device; // of that handle: its parameters are this device's, which is closed with them
    atomic_int users;
} SharedPolicy;

// Gives the handle, whose device is open, a policy: that of `first`, a handle to share with, where
// the device is first's or both compute in host memory; else, or where first is NULL, one that is
// read (policy_load).
CHECKED bool shared_policy_join(tact_policy *p, const char *path, const char *dataset,
                                const tact_policy *first, Error *err);
// For a handle that closes, its device too. With the last user's handle the device that the
// parameters belong to is closed as well.
void shared_policy_leave(tact_policy *p);

#endif
