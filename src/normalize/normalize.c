// SPDX-License-Identifier: Apache-2.0
#include "normalize/normalize.h"

#include "base/memory.h"
#include <math.h>

static const double constant_std = 1e-8; // less is no deviation

// The statistics one mode needs: (low, high) are (min, max) or (mean, std).
static bool check_stats(const char *name, NormMode mode, const Stats *stats, int dim,
                        const double **low, const double **high, Error *err) {
    bool min_max = mode == NORM_MIN_MAX;
    *low = stats ? (min_max ? stats->min : stats->mean) : NULL;
    *high = stats ? (min_max ? stats->max : stats->std) : NULL;
    const char *names[2] = {min_max ? "min" : "mean", min_max ? "max" : "std"};
    if (!*low || !*high)
        return fail(err, "%s: its statistics have no %s; %s normalization needs them", name,
                    !*low ? names[0] : names[1], min_max ? "MIN_MAX" : "MEAN_STD");
    if (stats->dim != dim)
        return fail(err, "%s: its statistics have %d values, but it has %d", name, stats->dim, dim);
    for (int i = 0; i < dim; i++) {
        double a = (*low)[i], b = (*high)[i];
        if (!isfinite(a) || !isfinite(b))
            return fail(err, "%s: its %s of value %d is not finite", name,
                        names[isfinite(a) ? 1 : 0], i);
        if (min_max ? a > b : b < 0)
            return fail(err, "%s: its %s of value %d is %g with %s %g; that cannot be", name,
                        names[1], i, b, names[0], a);
    }
    return true;
}

// Writes dimension i so that low..high maps onto -1..1 (MIN_MAX) or low±high onto ±1 (MEAN_STD).
static void set_dimension(Normalizer *n, int i, double low, double high, NormEps eps) {
    bool meant = eps.forward > NORM_EPS_DEFAULT, undone = eps.inverse > NORM_EPS_DEFAULT;
    if (n->mode == NORM_MIN_MAX) {
        double range = high - low;
        bool constant = range == 0;
        n->scale[i] = !constant ? 2 / range : meant ? 2 / eps.forward : 1;
        n->offset[i] = -1 - low * n->scale[i];
        n->inverse_scale[i] = !constant ? range / 2 : undone ? eps.inverse / 2 : 0;
        n->inverse_offset[i] = low + n->inverse_scale[i];
    } else {
        bool constant = high < constant_std;
        n->scale[i] = constant && !meant ? 1 : 1 / (high + eps.forward);
        n->offset[i] = -low * n->scale[i];
        n->inverse_scale[i] = constant ? 0 : high; // without eps, as LeRobot's
        n->inverse_offset[i] = low;
    }
}

bool normalizer_init(Normalizer *n, const char *name, NormMode mode, const Stats *stats, int dim,
                     Error *err) {
    const NormEps eps = {NORM_EPS_DEFAULT, NORM_EPS_DEFAULT};
    return normalizer_init_eps(n, name, mode, stats, dim, eps, err);
}

bool normalizer_init_eps(Normalizer *n, const char *name, NormMode mode, const Stats *stats,
                         int dim, NormEps eps, Error *err) {
    const double *low = NULL, *high = NULL;
    *n = (Normalizer){.mode = mode, .dim = dim};
    if (mode != NORM_IDENTITY && !check_stats(name, mode, stats, dim, &low, &high, err))
        return false;
    n->scale = TRY_NEW(double, dim);
    n->offset = TRY_NEW(double, dim);
    n->inverse_scale = TRY_NEW(double, dim);
    n->inverse_offset = TRY_NEW(double, dim);
    if (!n->scale || !n->offset || !n->inverse_scale || !n->inverse_offset) {
        normalizer_free(n);
        return fail_memory(err, "%s: its statistics, %d values", name, dim);
    }
    for (int i = 0; i < dim; i++)
        if (mode == NORM_IDENTITY)
            n->scale[i] = n->inverse_scale[i] = 1;
        else
            set_dimension(n, i, low[i], high[i], eps);
    return true;
}

void normalizer_free(Normalizer *n) {
    mem_free(n->scale);
    mem_free(n->offset);
    mem_free(n->inverse_scale);
    mem_free(n->inverse_offset);
    *n = (Normalizer){0};
}

void normalizer_apply(const Normalizer *n, const double *x, float *y, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += n->dim, y += n->dim)
        for (int i = 0; i < n->dim; i++) y[i] = (float)(x[i] * n->scale[i] + n->offset[i]);
}

void normalizer_invert(const Normalizer *n, const float *x, double *y, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += n->dim, y += n->dim)
        for (int i = 0; i < n->dim; i++)
            y[i] = (double)x[i] * n->inverse_scale[i] + n->inverse_offset[i];
}
