// SPDX-License-Identifier: Apache-2.0
#include "base/quantile.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_doubles(double *values, int64_t n) {
    qsort(values, (size_t)n, sizeof *values, ascending);
}

double quantile(const double *sorted, int64_t n, double q) {
    double at = (double)(n - 1) * q;
    int64_t below = (int64_t)at;
    if (below >= n - 1) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}
