// SPDX-License-Identifier: Apache-2.0
// The plan: the actions that were given out last and those that are foreseen, each with its time.
// The policy's thread writes it anew with every action, and the controller's reads it (follow.h).
//
// Neither waits for the other: of three plans one is being written, one is being read, and one is
// the newest in between, which each of the two takes in exchange for its own.
//
// A values of an action.
#ifndef TACT_RUNTIME_PLAN_H
#define TACT_RUNTIME_PLAN_H

#include "base/error.h"
#include <stdatomic.h>
#include <stdint.h>

typedef struct Plan {
    int64_t episode; // changes with tact_reset
    int count;       // 0: there was no action yet
    double step;     // seconds from an action to the next
    double *times;   // (most) seconds, rising
    double *actions; // (most, A), rotation vectors each nearest to the one before
} Plan;

typedef struct PlanBoard {
    Plan plans[3];
    atomic_int middle; // number of the newest one, and PLAN_FRESH as long as nobody has read it
    int back, front;   // the writer's and the reader's
    int most, width;   // actions of a plan, A
} PlanBoard;
CHECKED bool plan_board_init(PlanBoard *b, int most, int width, Error *err);
void plan_board_free(PlanBoard *b); // a zeroed struct is allowed

// For the writer: the plan to fill in, whatever it holds, and that it is filled in.
Plan *plan_to_write(PlanBoard *b);
void plan_publish(PlanBoard *b);
// For the reader: the plan that it has; whether there is a newer one; and that instead.
const Plan *plan_held(const PlanBoard *b);
int plan_is_newer(PlanBoard *b);
const Plan *plan_take(PlanBoard *b);

#endif
