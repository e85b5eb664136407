// SPDX-License-Identifier: Apache-2.0
// From a prediction to what the robot takes.
//
// A values of an action as the robot takes it, D as the policy gives it.
#ifndef TACT_RUNTIME_ACTIONS_H
#define TACT_RUNTIME_ACTIONS_H

#include "base/error.h"
#include "normalize/normalize.h"
#include "tact.h"

// y (rows, D) normalised -> out (rows, A). arms 0: as recorded; else relative poses (10 an arm),
// made absolute with base (7 an arm), their rotation vectors each nearest to the row before, the
// first to base. plus_state (A): values that base is added to, or NULL. base may be NULL where
// neither needs it. scratch (D).
void actions_from_prediction(const Normalizer *n, const float *y, int rows, const double *base,
                             int arms, const bool *plus_state, double *scratch, double *out);
// The other way for one action (A): y (D) normalised. scratch (D).
void action_to_policy(const Normalizer *n, const double *action, const double *base, int arms,
                      const bool *plus_state, double *scratch, float *y);
// Writes each rotation vector of an action (A) as the one nearest to that of `before`.
void actions_continue(double *action, const double *before, int arms);
// out (A): a share of the way from one action to another, positions and numbers on a straight line,
// rotations by the shorter turn (pose_between); above 1 it goes on beyond. out is neither of them.
void actions_between(const double *from, const double *to, double share, int width, int arms,
                     double *out);
// Actions that stand for `every` steps each become one a step, in place: (rows, A) -> (rows *
// every, A), A being width. Those between two of them are on the way from one to the other
// (pose_between; numbers on a straight line), and the last one is held.
void actions_fill_in(double *actions, int rows, int every, int width, int arms);
// The last check of actions (count values in all) before they are given out: where observation and
// chunk are finite, their sum, composition or mean may still not be.
tact_status actions_check(const double *actions, size_t count, Error *err);
// The form in which actions can be averaged, and back: per arm 13 values, the rotation as its
// matrix. arms 0: copies of width values.
enum { LINEAR_ARM = 13 };
void action_to_linear(const double *action, int width, int arms, double *out);
void action_from_linear(const double *linear, int width, int arms, double *out);

#endif
