// SPDX-License-Identifier: Apache-2.0
// Normalisation as LeRobot's processors do it, per timestep, over the last dimension.
#ifndef TACT_NORMALIZE_NORMALIZE_H
#define TACT_NORMALIZE_NORMALIZE_H

#include "base/error.h"
#include "base/stats.h"
#include <stdint.h>

typedef enum NormMode { NORM_IDENTITY, NORM_MEAN_STD, NORM_MIN_MAX } NormMode;

// y = x * scale + offset.
typedef struct Normalizer {
    NormMode mode;
    int dim;
    double *scale, *offset;                 // (dim)
    double *inverse_scale, *inverse_offset; // (dim) x = y * inverse_scale + inverse_offset
} Normalizer;

// What keeps LeRobot's divisions finite: added to a deviation, put in the place of a range of 0.
// Its steps each have their own: the one that normalises, and the one that undoes it for actions.
typedef struct NormEps {
    double forward, inverse;
} NormEps;
#define NORM_EPS_DEFAULT 1e-8 // LeRobot's

// MEAN_STD: (x - mean) / (std + eps), and back y * std + mean. MIN_MAX: 2 (x - min) / (max - min)
// - 1. A dimension that does not vary (std below 1e-8; max == min) gives what LeRobot gives for the
// constant itself (0; -1) but has scale 1, where LeRobot's is 1e8 or 2e8, so that it can never blow
// up; its inverse is always the constant. A checkpoint whose eps is larger means it: then a range
// of 0 is eps, as LeRobot computes. `name` is the feature. Statistics that are missing (NULL), of
// another length than dim, not finite, or with min > max or std < 0 are an error: nothing is ever
// passed through silently.
CHECKED bool normalizer_init(Normalizer *n, const char *name, NormMode mode, const Stats *stats,
                             int dim, Error *err); // with NORM_EPS_DEFAULT
CHECKED bool normalizer_init_eps(Normalizer *n, const char *name, NormMode mode, const Stats *stats,
                                 int dim, NormEps eps, Error *err);
void normalizer_free(Normalizer *n);
// rows of dim values each; y may be float while x is double.
void normalizer_apply(const Normalizer *n, const double *x, float *y, int64_t rows);
// The inverse.
void normalizer_invert(const Normalizer *n, const float *x, double *y, int64_t rows);

#endif
