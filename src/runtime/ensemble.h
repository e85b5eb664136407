// SPDX-License-Identifier: Apache-2.0
// Means of all predictions of one moment: temporal ensembling.
#ifndef TACT_RUNTIME_ENSEMBLE_H
#define TACT_RUNTIME_ENSEMBLE_H

#include "base/error.h"

typedef struct Ensemble {
    int chunk, width;
    double coeff;
    int left;       // moments that have a mean: 0 .. left-1, the first one is now
    double *mean;   // (chunk, width)
    double *weight; // (chunk) sum of the weights that went in
    int *count;     // (chunk) predictions that went in
} Ensemble;
// Whether all weights of a chunk of that length are finite, and so is their sum.
bool ensemble_possible(int chunk, double coeff);
CHECKED bool ensemble_init(Ensemble *e, int chunk, int width, double coeff, Error *err);
void ensemble_free(Ensemble *e); // a zeroed struct is allowed
// Adds a prediction of the moments from now on, (chunk, width).
void ensemble_add(Ensemble *e, const double *chunk);
// The mean for now; time goes on. left must not be 0.
void ensemble_take(Ensemble *e, double *out);

#endif
