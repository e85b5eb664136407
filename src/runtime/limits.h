// SPDX-License-Identifier: Apache-2.0
// The safety limits on actions that are poses.
#ifndef TACT_RUNTIME_LIMITS_H
#define TACT_RUNTIME_LIMITS_H

#include "base/error.h"
#include <stdint.h>

typedef struct Limits {
    double low[3], high[3], translation, rotation; // infinite: off
    int64_t outside, far, turned;                  // actions changed
} Limits;
CHECKED bool limits_check(const Limits *l, int arms, Error *err);
// Changes action (7 an arm) as tact.h says; previous (7 an arm).
void limits_apply(Limits *l, const double *previous, int arms, double *action);

#endif
