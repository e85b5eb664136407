// SPDX-License-Identifier: Apache-2.0
// Where a device's time goes, op by op.
#ifndef TACT_OPS_PROFILE_H
#define TACT_OPS_PROFILE_H

#include "ops/ops.h"

typedef struct ProfileEntry {
    const char *op; // as in Device
    int64_t calls;
    double seconds;
} ProfileEntry;

// From now on every op of the device is timed (and waited for). Not within a recording.
CHECKED bool profile_start(Device *d, Error *err);
// All ops, called or not; borrowed until profile_stop. Returns how many.
int profile_entries(const Device *d, const ProfileEntry **out);
void profile_reset(Device *d);
void profile_stop(Device *d); // nothing if it was not started

#endif
