// SPDX-License-Identifier: Apache-2.0
// Training samples without their state: a policy that has learnt to act on images alone as well
// does not lean on where the robot happened to be while demonstrations were recorded.
#ifndef TACT_LOADER_STATE_DROPOUT_H
#define TACT_LOADER_STATE_DROPOUT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct StateDropout {
    double probability; // 0: none
    uint64_t seed;
} StateDropout;

// Whether the sample at `row` is shown without its state: a function of (seed, epoch, row) alone,
// and so the same in whatever batch, piece or process the row is.
bool state_dropout_at(StateDropout d, int64_t epoch, int64_t row);

#endif
