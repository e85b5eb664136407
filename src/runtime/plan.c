// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan.h"

#include "base/memory.h"

enum { PLAN_FRESH = 4 };

bool plan_board_init(PlanBoard *b, int most, int width, Error *err) {
    *b = (PlanBoard){.back = 0, .front = 2, .most = most, .width = width};
    atomic_init(&b->middle, 1);
    for (int i = 0; i < 3; i++) {
        b->plans[i].times = TRY_NEW(double, most);
        b->plans[i].actions = TRY_NEW(double, (size_t)most *(size_t)width);
        if (!b->plans[i].times || !b->plans[i].actions)
            return fail_memory(err, "a plan of %d actions", most);
    }
    return true;
}

void plan_board_free(PlanBoard *b) {
    for (int i = 0; i < 3; i++) {
        mem_free(b->plans[i].times);
        mem_free(b->plans[i].actions);
    }
}

Plan *plan_to_write(PlanBoard *b) {
    return &b->plans[b->back];
}

void plan_publish(PlanBoard *b) {
    b->back = atomic_exchange(&b->middle, b->back | PLAN_FRESH) & ~PLAN_FRESH;
}

const Plan *plan_held(const PlanBoard *b) {
    return &b->plans[b->front];
}

int plan_is_newer(PlanBoard *b) {
    return (atomic_load(&b->middle) & PLAN_FRESH) != 0;
}

const Plan *plan_take(PlanBoard *b) {
    b->front = atomic_exchange(&b->middle, b->front) & ~PLAN_FRESH;
    return plan_held(b);
}
