// SPDX-License-Identifier: Apache-2.0
// Times: when an observation was captured and its state measured, when an action is due, and which
// action of a chunk that is. All in seconds of the monotonic clock.
//
// N steps of a chunk, A values of an action, S of a state.
#ifndef TACT_RUNTIME_SCHEDULE_H
#define TACT_RUNTIME_SCHEDULE_H

#include "base/error.h"
#include "tact.h"

enum { SCHEDULE_STATES = 32 };
typedef struct Schedule {
    double camera, robot, gripper;       // delays of what is observed
    double robot_action, gripper_action; // and of what is commanded
    double captured;                     // when the newest observation's frames were
    bool by_clock;                       // its actions are chosen by the clock, not by counting
    double moment;                       // when it was given, until the action of that step is
    bool at_moment;                      // whether there is one
    double asked_captured;               // the same of the newest one that was predicted from
    bool asked_by_clock;                 //
    double chunk_captured;               // and of the one that the played chunk comes from
    bool chunk_by_clock;                 //
    double due, given;                   // when the next action is, and when the last was
    bool has_due;                        //
    int64_t states;                      // seen in this episode
    double *state;                       // (SCHEDULE_STATES, S) the last ones as given
    double state_at[SCHEDULE_STATES][2]; // when their values were measured, and their grippers
    double *at_capture;                  // (S) scratch
} Schedule;
CHECKED bool schedule_init(tact_policy *p, const tact_options *o, Error *err);
void schedule_free(Schedule *s); // a zeroed struct is allowed
void schedule_reset(tact_policy *p);
// Seconds from a step to the next; 0: not known (yet).
double schedule_step(const tact_policy *p);

// Whether the times of an observation, which has been checked otherwise, can be.
CHECKED bool schedule_check(const tact_policy *p, const tact_observation *o, Error *err);
// Takes the times and the state of one that will be remembered. Returns the state (S) at the time
// of its frames: o->state itself, or one between those that were given, until the next call.
const double *schedule_observed(tact_policy *p, const tact_observation *o);

// The action, 0 to N-1, with which the chunk that was predicted last begins to be played; `counted`
// by counting steps.
int schedule_first(const tact_policy *p, int counted);
// The action, p->queue_at to N (none of them any more), of the chunk that is played now that is due
// when action `first` of the chunk that was predicted last is.
int schedule_played(const tact_policy *p, int first);
// That the chunk that was predicted last is played from now on.
void schedule_took_over(tact_policy *p);
// How many actions of the chunk that is played are to be left out now, because they are past.
int schedule_past(const tact_policy *p);
// That the next action, p->queue_at - 1 of its chunk, is given out and is the handle's last: notes
// its time and writes the plan that tact_at follows.
void schedule_given(tact_policy *p);

#endif
