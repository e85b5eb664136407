// SPDX-License-Identifier: Apache-2.0
// How often sizes of numbers occur, of numbers that come bit by bit and of which nobody knows how
// large they will be; and how far they are best kept, when they become integers of 8 bits.
#ifndef TACT_EVAL_HISTOGRAM_H
#define TACT_EVAL_HISTOGRAM_H

#include "ops/ops.h"

enum { HISTOGRAM_BINS = 2048 };

typedef struct Histogram {
    double width; // of a bin; 0: nothing but zeros so far
    int64_t count[HISTOGRAM_BINS], zeros;
    float largest; // size
    bool negative; // there was a number below 0
    bool lost;     // one was not finite
} Histogram;

void histogram_add(Histogram *h, const float *x, int64_t n);

typedef enum Clip {
    CLIP_MSE,        // the least mean of squared errors
    CLIP_PERCENTILE, // one number in 10,000 is farther away
    CLIP_MAX,        // none is
    CLIPS,
} Clip;
extern const char *const clip_names[CLIPS]; // "mse", "percentile", "max"

// The rounding for numbers like these; step 0 where all were 0.
Rounding histogram_rounding(const Histogram *h, Clip clip);

#endif
