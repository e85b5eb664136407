// SPDX-License-Identifier: Apache-2.0
// Opening and closing a handle.
#ifndef TACT_RUNTIME_OPEN_H
#define TACT_RUNTIME_OPEN_H

#include "base/error.h"
#include "tact.h"

// As tact_open, whose arguments have been checked. first: a handle whose policy this one shares, or
// NULL. After a failure the message is in open_error.
tact_status handle_open(const char *path, const tact_options *options, const tact_policy *first,
                        tact_policy **policy);
void handle_close(tact_policy *p);
// The message of this thread's last failed opening, which has no handle to keep it in.
Error *open_error(void);

// As tact_open of the same policy, whose files are not looked at again and whose weights the
// handles share, where both compute in host memory. first may be in use by another thread
// meanwhile, but not be closed; afterwards they are closed in any order. Statistics are first's,
// whatever options->dataset says.
tact_status policy_open_beside(const tact_policy *first, const tact_options *options,
                               tact_policy **policy);

#endif
