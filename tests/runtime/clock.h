// SPDX-License-Identifier: Apache-2.0
// A policy whose clock the test sets. To be included after fixture.h.
#ifndef TACT_TESTS_RUNTIME_CLOCK_H
#define TACT_TESTS_RUNTIME_CLOCK_H

static double now; // seconds

static inline double test_clock(void) {
    return now;
}

static inline tact_policy *open_timed(const Scene *s, const tact_options *o) {
    tact_policy *p = open_policy(s, o);
    p->rate.clock = test_clock;
    now = 1000;
    return p;
}

#endif
