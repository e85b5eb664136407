// SPDX-License-Identifier: Apache-2.0
// Statistics of vectors, and quantiles by the default of numpy and LeRobot: linear between
// neighbours.
#ifndef TACT_BASE_STATS_H
#define TACT_BASE_STATS_H

#include <stdint.h>

// What the vectors of one feature look like, value by value. An array that is not known is NULL.
typedef struct Stats {
    int dim;
    double *min, *max, *mean, *std; // (dim) each, std with ddof 0; owned, for mem_free
    int64_t count;                  // vectors that went in
} Stats;
void stats_free(Stats *s); // zeroed afterwards; a zeroed struct is allowed

// Sorts n values in ascending order; none may be NaN.
void sort_doubles(double *values, int64_t n);
// The q-quantile (0 to 1) of n >= 1 values in ascending order: the position of q is (n - 1) q.
double quantile(const double *sorted, int64_t n, double q);

#endif
