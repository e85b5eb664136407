// SPDX-License-Identifier: Apache-2.0
// Opening and closing a handle.
#ifndef TACT_RUNTIME_OPEN_H
#define TACT_RUNTIME_OPEN_H

#include "base/error.h"
#include "tact.h"

// What a handle has in common with the first one, which it is opened beside.
typedef enum Sharing {
    SHARE_WEIGHTS, // the policy, where both compute in host memory
    SHARE_MODEL    // its device and its model as well
} Sharing;

// As tact_open, whose arguments have been checked. first: a handle to share with, or NULL. After a
// failure the message is in open_error.
tact_status handle_open(const char *path, const tact_options *options, const tact_policy *first,
                        Sharing sharing, tact_policy **policy);
void handle_close(tact_policy *p);
// The message of this thread's last failed opening, which has no handle to keep it in.
Error *open_error(void);

// As tact_open of the same policy, whose files are not looked at again and whose weights the
// handles share, where both compute in host memory. first may be in use by another thread
// meanwhile, but not be closed; afterwards they are closed in any order. Statistics are first's,
// whatever options->dataset says.
tact_status policy_open_beside(const tact_policy *first, const tact_options *options,
                               tact_policy **policy);

// A further episode of first: a handle with a history, a queue and limits of its own, whose
// observations go through first's model, so that it takes little memory and no time to open. Of
// these handles and first one may be used at a time, and first is closed last. Device, precision,
// threads and statistics are first's whatever options say; options->asynchronous is refused.
tact_status policy_open_episode(const tact_policy *first, const tact_options *options,
                                tact_policy **policy);

#endif
