// SPDX-License-Identifier: Apache-2.0
// Private to train/: what the caller's hooks say, whichever of them there are.
#ifndef TACT_TRAIN_HOOKS_H
#define TACT_TRAIN_HOOKS_H

#include "train/train.h"

// Whether the user asked to stop.
static inline bool hooks_stopping(const TrainHooks *h) {
    return h->stop && *h->stop;
}

// Takes the progress bar away before a line is printed.
static inline void hooks_clear_progress(const TrainHooks *h) {
    if (h->clear) h->clear(h->user);
}

#endif
