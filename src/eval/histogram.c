// SPDX-License-Identifier: Apache-2.0
#include "eval/histogram.h"

#include <math.h>

const char *const clip_names[CLIPS] = {"mse", "percentile", "max"};

// Makes bins twice as wide until the size fits.
static void make_room(Histogram *h, float size) {
    if (h->width == 0) h->width = (double)size / (HISTOGRAM_BINS / 2);
    while (size >= h->width * HISTOGRAM_BINS) {
        for (int i = 0; i < HISTOGRAM_BINS / 2; i++)
            h->count[i] = h->count[2 * i] + h->count[2 * i + 1];
        for (int i = HISTOGRAM_BINS / 2; i < HISTOGRAM_BINS; i++) h->count[i] = 0;
        h->width *= 2;
    }
}

void histogram_add(Histogram *h, const float *x, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        if (!isfinite(size)) {
            h->lost = true;
            return;
        }
        largest = size > largest ? size : largest;
        h->negative = h->negative || x[i] < 0;
    }
    if (largest > h->largest) h->largest = largest;
    if (largest > 0) make_room(h, largest);
    const double inverse = h->width > 0 ? 1 / h->width : 0;
    for (int64_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        if (size == 0) {
            h->zeros++;
            continue;
        }
        const int at = (int)(size * inverse);
        h->count[at < HISTOGRAM_BINS ? at : HISTOGRAM_BINS - 1]++;
    }
}

// The sum of squared errors of numbers, each taken for the middle of its bin, when they are rounded
// to so many steps and kept within `range`.
static double squared_error(const Histogram *h, double range, double steps) {
    const double step = range / steps;
    double sum = 0;
    for (int i = 0; i < HISTOGRAM_BINS; i++) {
        if (!h->count[i]) continue;
        const double size = (i + 0.5) * h->width;
        const double error = size - (size > range ? range : rint(size / step) * step);
        sum += (double)h->count[i] * error * error;
    }
    return sum;
}

// Ranges from a sixteenth of the largest size up to it are tried.
static double best_range(const Histogram *h, double steps) {
    enum { TRIED = 240, LEAST = 16 };
    double best = INFINITY, range = h->largest;
    for (int i = LEAST; i <= TRIED + LEAST; i++) {
        const double tried = (double)h->largest * i / (TRIED + LEAST);
        const double error = squared_error(h, tried, steps);
        if (error < best) best = error, range = tried;
    }
    return range;
}

static double percentile_range(const Histogram *h) {
    const double share = 1e-4;
    int64_t all = h->zeros, beyond = 0;
    int i = HISTOGRAM_BINS;
    for (int k = 0; k < HISTOGRAM_BINS; k++) all += h->count[k];
    while (i > 1 && (double)(beyond + h->count[i - 1]) <= share * (double)all)
        beyond += h->count[--i];
    const double range = i * h->width;
    return range < h->largest ? range : h->largest;
}

Rounding histogram_rounding(const Histogram *h, Clip clip) {
    const double steps = h->negative ? 127 : 255;
    if (h->width == 0) return (Rounding){0};
    const double range = clip == CLIP_MSE          ? best_range(h, steps)
                         : clip == CLIP_PERCENTILE ? percentile_range(h)
                                                   : h->largest;
    return (Rounding){.step = (float)(range / steps), .positive = !h->negative};
}
