// SPDX-License-Identifier: Apache-2.0
// What training normalises with, and `tact info` shows.
#ifndef TACT_TRAIN_STATISTICS_H
#define TACT_TRAIN_STATISTICS_H

#include "dataset/dataset.h"
#include "policy/policy_stats.h"

// Frames that relative poses' statistics are drawn from.
typedef struct StatsRows {
    const int64_t *rows; // those of the training part
    int64_t count;
    int64_t samples; // at most so many of them, drawn by seed; 0: all
    uint64_t seed;
} StatsRows;

// Statistics of the policy's vectors, rounded to float32. Of relative poses those of the windows at
// `from`; of everything else the dataset's own (meta/stats.json), as LeRobot's: of all episodes,
// whichever are selected or held out. Where that file has none that can be used they are computed
// over the frames that are loaded, which is logged. Except for plain ACT (one observation, nothing
// relative) values that hardly vary are widened (normalize/floor.h). out: empty vectors before,
// policy_stats_free after.
CHECKED bool policy_vector_stats(const PolicyConfig *policy, const Dataset *ds, StatsRows from,
                                 PolicyStats *out, Error *err);
// What each of the policy's cameras is normalised with: ImageNet's, or the dataset's own of that
// camera (meta/stats.json; an error where it has none). out has policy->n_cameras.
CHECKED bool policy_image_stats(const PolicyConfig *policy, const Dataset *ds, bool imagenet,
                                PolicyStats *out, Error *err);

#endif
