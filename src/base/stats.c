// SPDX-License-Identifier: Apache-2.0
#include "base/stats.h"

#include "base/memory.h"
#include <stdlib.h>

void stats_free(Stats *s) {
    mem_free(s->min);
    mem_free(s->max);
    mem_free(s->mean);
    mem_free(s->std);
    *s = (Stats){0};
}

static int ascending_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_doubles(double *values, int64_t n) {
    qsort(values, (size_t)n, sizeof *values, ascending_doubles);
}

double quantile(const double *sorted, int64_t n, double q) {
    double at = (double)(n - 1) * q;
    int64_t below = (int64_t)at;
    if (below >= n - 1) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}
