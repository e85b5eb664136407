// SPDX-License-Identifier: Apache-2.0
// The next action, from the queue of a chunk, from the means of chunks, or from the worker.
//
// S actions of a chunk, A values of an action.
#ifndef TACT_RUNTIME_NEXT_ACTION_H
#define TACT_RUNTIME_NEXT_ACTION_H

#include "tact.h"

// A new prediction from the history into out (S, A), in the calling thread.
tact_status predict_now(tact_policy *p, double *out);
// The action (A) that is due, continued and limited; there must have been an observation. action is
// untouched after a failure, whose message is the handle's.
tact_status next_action(tact_policy *p, double *action);

#endif
