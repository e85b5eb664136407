// SPDX-License-Identifier: Apache-2.0
// Quantiles as numpy's and LeRobot's default: linear between neighbours.
#ifndef TACT_BASE_QUANTILE_H
#define TACT_BASE_QUANTILE_H

#include <stdint.h>

// Ascending; none of the n values may be NaN.
void sort_doubles(double *values, int64_t n);
// The q-quantile (0 to 1) of n >= 1 values in ascending order: the position of q is (n - 1) q.
double quantile(const double *sorted, int64_t n, double q);

#endif
