// SPDX-License-Identifier: Apache-2.0
// From an observation that a program gives to the history.
#ifndef TACT_RUNTIME_OBSERVE_H
#define TACT_RUNTIME_OBSERVE_H

#include "base/error.h"
#include "tact.h"

// Whether it is what the policy wants, of the sizes that this version of tact.h has.
CHECKED bool observation_check(const tact_policy *p, const tact_observation *o, Error *err);
// Adds one that was checked to the history, its images resized to what the model sees.
void observation_remember(tact_policy *p, const tact_observation *o);
// Where frames are kept and a coming prediction will look at the newest ones, encodes them now
// rather than then, so that this prediction is as quick as others.
CHECKED bool observation_encode(tact_policy *p, Error *err);

#endif
