// SPDX-License-Identifier: Apache-2.0
// The statistics of single episodes that lie in meta/: v3.0's columns stats/FEATURE/... of
// meta/episodes, v2.1's meta/episodes_stats.jsonl. No training goes by them; tools that merge and
// split datasets make meta/stats.json of them.
#ifndef TACT_DATASET_EPISODE_STATS_H
#define TACT_DATASET_EPISODE_STATS_H

#include "dataset/dataset.h"
#include "dataset/value_stats.h"

// Of one vector or camera; NaN where meta/ says nothing.
typedef struct EpisodeStats {
    int dim;                        // of a camera its channels: 3, of a depth map 1
    int64_t n;                      // episodes that meta/ lists, whichever are selected
    double *min, *max, *mean, *std; // (n, dim)
    double *quantiles[N_QUANTILES]; // (n, dim) each
    double *count;                  // (n) rows, or frames that were looked at
} EpisodeStats;

// Reads those of n features, vectors and cameras, into out (n); episode_stats_free each, also after
// a failure. A dataset without any gives NaN.
CHECKED bool episode_stats_read(const Dataset *ds, const Feature *const *features, int n,
                                EpisodeStats *out, Error *err);
void episode_stats_free(EpisodeStats *s); // zeroed afterwards; a zeroed one is allowed

// The file or folder that they come from, within the dataset.
const char *episode_stats_place(const Dataset *ds);

#endif
