// SPDX-License-Identifier: Apache-2.0
// LeRobot's statistics of values and of cameras' frames, as they stand in meta/.
#ifndef TACT_DATASET_VALUE_STATS_H
#define TACT_DATASET_VALUE_STATS_H

#include <stddef.h>
#include <stdint.h>

enum { N_QUANTILES = 5 };
extern const char *const quantile_names[N_QUANTILES]; // "q01" ...

// Of one value over rows: std with ddof 0, quantiles interpolated between order statistics.
typedef struct ValueStats {
    double min, max, mean, std, quantiles[N_QUANTILES];
} ValueStats;

// Of n values, which get sorted. What is not finite is left out.
ValueStats value_stats(double *values, int64_t n);

// ---- cameras ------------------------------------------------------------------------------------

// Counts of pixel values of a camera, by channel, over sampled frames.
typedef struct PixelCounts {
    uint64_t values[3][256];
    int64_t frames;
} PixelCounts;

// Adds a frame (h, w, 3) to the counts.
void pixels_add(PixelCounts *p, const uint8_t *rgb, int height, int width);
// Adds the counts of other frames.
void pixels_sum(PixelCounts *p, const PixelCounts *more);

// Of a camera's frames, by channel: as fractions of 255, of a depth map in its own unit.
typedef struct CameraStats {
    ValueStats channels[3];
    int n_channels;
    int64_t frames; // that were counted; 0: there are no statistics
} CameraStats;

CameraStats camera_stats(const PixelCounts *p);
// Those of two lots of frames together, as LeRobot has them: a quantile is the mean of the two by
// their frames. Either may have no frames.
CameraStats camera_stats_join(const CameraStats *a, const CameraStats *b);

#endif
