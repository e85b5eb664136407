// SPDX-License-Identifier: Apache-2.0
// What tact_at does: the curve through the actions of the plan, followed by a controller's thread.
//
// A values of an action; of arms * 7 of them the poses (positions and rotations) may have another
// delay than the grippers, the second group. Without arms all values are of the first group.
#ifndef TACT_RUNTIME_FOLLOW_H
#define TACT_RUNTIME_FOLLOW_H

#include "base/error.h"
#include "runtime/plan.h"
#include "tact.h"
#include <stdbool.h>

enum { FOLLOW_GROUPS = 2 };

// A place on the curve, and how fast it goes on there.
typedef struct Moment {
    double time[FOLLOW_GROUPS];
    double *values, *rates;    // (A); of a rotation: its vector, and the rate in its own frame
    double (*rotations)[3][3]; // (arms)
} Moment;

// All of it is the controller's.
typedef struct Follower {
    int width, arms;
    double ahead[FOLLOW_GROUPS]; // seconds that a command is given before its effect
    const double *low, *high;    // (3) the box that positions stay in
    bool moving;                 // `newest` is a moment of this episode
    int64_t episode;
    Moment newest; // where the last call was
    // Where it was when the plan last changed: from there the curve goes on, with the speed it had,
    // to the action `target` of the plan, per group; -1: to the last one, which is past.
    bool anchored;
    Moment anchor;
    int target[FOLLOW_GROUPS];
    double *goal;                    // (2, A) the action that the curve was on the way to,
    double goal_time[FOLLOW_GROUPS]; // and when it was to be there; of each group
} Follower;
CHECKED bool follower_init(Follower *f, int width, int arms, const double ahead[FOLLOW_GROUPS],
                           const double *low, const double *high, Error *err);
void follower_free(Follower *f); // a zeroed struct is allowed
// As tact_at.
tact_status follower_at(Follower *f, PlanBoard *board, double time, double *action);

#endif
