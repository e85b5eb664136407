// SPDX-License-Identifier: Apache-2.0
// How often observations come, and whether that is the rate of training.
#ifndef TACT_RUNTIME_RATE_H
#define TACT_RUNTIME_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_INTERVALS = 15 };
typedef struct Rate {
    double (*clock)(void); // seconds
    double fps;            // of training; 0: unknown
    bool check, told;      // whether to warn, and has
    int64_t count;         // observations of this episode
    double times[RATE_INTERVALS + 1];
} Rate;
void rate_observed(Rate *r);
// Observations a second: the inverse of the median of the last intervals; 0 before the second one.
double rate_now(const Rate *r);

#endif
