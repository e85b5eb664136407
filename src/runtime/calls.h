// SPDX-License-Identifier: Apache-2.0
// Private to runtime/: what the calls of include/tact.h do, in the order of a policy's life.
//
// N steps of a chunk, A values of an action.
#ifndef TACT_RUNTIME_CALLS_H
#define TACT_RUNTIME_CALLS_H

#include "base/error.h"
#include "tact.h"

// ---- options.c: the settings of tact_open -------------------------------------------------------
tact_options options_default(void);
// given, of any version, or NULL, into o. What the caller's version of the struct does not have
// keeps its default.
CHECKED bool options_from_caller(const tact_options *given, tact_options *o, Error *err);
// How the handle's actions come from chunks: as the caller wishes, else as the checkpoint says. The
// handle's policy must be there.
CHECKED bool options_choose_actions(tact_policy *p, const tact_options *o, Error *err);

// ---- observe.c: from an observation that a program gives to the history -------------------------
// Whether it is what the policy wants, of the sizes that this version of tact.h has.
CHECKED bool observation_check(const tact_policy *p, const tact_observation *o, Error *err);
// Whether there is memory to encode the next one with, where observation_encode will.
CHECKED bool observation_has_memory(const tact_policy *p, Error *err);
// Adds one that was checked to the history, its images resized to what the model sees.
void observation_remember(tact_policy *p, const tact_observation *o);
// Where frames are kept and a coming prediction will look at the newest ones, encodes them now
// rather than then, so that this prediction is as quick as others. What fails is left to that
// prediction, which says so: the observation is in the history, and given again it would be twice.
void observation_encode(tact_policy *p);

// ---- next_action.c: from the queue of a chunk, from the means of chunks, or from the worker -----
// A new prediction from the history into out (N, A), in the calling thread.
tact_status predict_now(tact_policy *p, double *out);
// Makes `chunk` (N, A) the one that is played, from its action `from` on, blended with the one that
// was; its first `given` actions are that one's, so the border is behind them. Returns that one's
// memory.
double *play_chunk(tact_policy *p, double *chunk, int from, int given);
// Leaves out what is past of the chunk that is played.
void skip_past(tact_policy *p);
// The action (A) that is due, continued and limited; there must have been an observation. action is
// untouched after a failure, whose message is the handle's.
tact_status next_action(tact_policy *p, double *action);

#endif
