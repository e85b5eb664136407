// SPDX-License-Identifier: Apache-2.0
#include "dataset/value_stats.h"

#include "base/stats.h"
#include <math.h>

const char *const quantile_names[N_QUANTILES] = {"q01", "q10", "q50", "q90", "q99"};
static const double quantiles[N_QUANTILES] = {0.01, 0.10, 0.50, 0.90, 0.99};

// Moves the finite ones to the front.
static int64_t keep_finite(double *values, int64_t n) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(values[i])) values[kept++] = values[i];
    return kept;
}

ValueStats value_stats(double *values, int64_t n) {
    ValueStats s = {0};
    n = keep_finite(values, n);
    if (n == 0) return s;
    sort_doubles(values, n);
    s.min = values[0];
    s.max = values[n - 1];
    for (int64_t i = 0; i < n; i++) s.mean += values[i] / (double)n;
    double variance = 0;
    for (int64_t i = 0; i < n; i++) variance += (values[i] - s.mean) * (values[i] - s.mean);
    s.std = sqrt(variance / (double)n);
    for (int q = 0; q < N_QUANTILES; q++) s.quantiles[q] = quantile(values, n, quantiles[q]);
    return s;
}

void pixels_add(PixelCounts *p, const uint8_t *rgb, int height, int width) {
    // As LeRobot: large frames are thinned to about 150 pixels a side.
    int side = height > width ? height : width;
    int step = side < 300 ? 1 : side / 150;
    for (int y = 0; y < height; y += step) {
        for (int x = 0; x < width; x += step) {
            const uint8_t *pixel = rgb + ((size_t)y * (size_t)width + (size_t)x) * 3;
            for (int c = 0; c < 3; c++) p->values[c][pixel[c]]++;
        }
    }
    p->frames++;
}

void pixels_sum(PixelCounts *p, const PixelCounts *more) {
    p->frames += more->frames;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) p->values[c][v] += more->values[c][v];
}

static ValueStats pixel_stats(const PixelCounts *p, int channel) {
    const uint64_t *counts = p->values[channel];
    ValueStats s = {.min = 1, .max = 0};
    double total = 0, squares = 0;
    for (int v = 0; v < 256; v++) {
        if (counts[v] == 0) continue;
        double x = v / 255.0;
        if (x < s.min) s.min = x;
        if (x > s.max) s.max = x;
        total += (double)counts[v];
        s.mean += x * (double)counts[v];
    }
    if (total == 0) return (ValueStats){0};
    s.mean /= total;
    for (int v = 0; v < 256; v++)
        squares += (double)counts[v] * (v / 255.0 - s.mean) * (v / 255.0 - s.mean);
    s.std = sqrt(squares / total);
    double below = 0;
    int q = 0;
    for (int v = 0; v < 256 && q < N_QUANTILES; v++) {
        below += (double)counts[v];
        while (q < N_QUANTILES && below > quantiles[q] * (total - 1)) s.quantiles[q++] = v / 255.0;
    }
    return s;
}

CameraStats camera_stats(const PixelCounts *p) {
    CameraStats s = {.n_channels = 3, .frames = p->frames};
    for (int c = 0; c < 3; c++) s.channels[c] = pixel_stats(p, c);
    return s;
}

CameraStats camera_stats_join(const CameraStats *a, const CameraStats *b) {
    if (a->frames == 0) return *b;
    if (b->frames == 0) return *a;
    CameraStats s = {.n_channels = a->n_channels, .frames = a->frames + b->frames};
    const double share = (double)b->frames / (double)s.frames;
    for (int c = 0; c < s.n_channels; c++) {
        const ValueStats *x = &a->channels[c], *y = &b->channels[c];
        const double apart = y->mean - x->mean;
        double variance = (1 - share) * x->std * x->std + share * y->std * y->std +
                          share * (1 - share) * apart * apart;
        s.channels[c] = (ValueStats){.min = fmin(x->min, y->min),
                                     .max = fmax(x->max, y->max),
                                     .mean = x->mean + share * apart,
                                     .std = sqrt(variance)};
        for (int q = 0; q < N_QUANTILES; q++)
            s.channels[c].quantiles[q] =
                x->quantiles[q] + share * (y->quantiles[q] - x->quantiles[q]);
    }
    return s;
}
