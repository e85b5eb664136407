// SPDX-License-Identifier: Apache-2.0
// UMI's repeat_frame_prob: of samples from before an episode's first grasp some show the newest
// observation in place of all earlier ones, as a robot that has not moved yet would see it. The
// actions stay as they are.
#ifndef TACT_LOADER_REPEAT_FRAMES_H
#define TACT_LOADER_REPEAT_FRAMES_H

#include "dataset/dataset.h"

// A gripper narrower than this has grasped something: UMI's number, metres.
#define REPEAT_FRAMES_GRASP 0.08f

typedef struct RepeatFrames {
    double probability;
    uint64_t seed;
    bool *before;  // (rows of the dataset) whether the row lies before its episode's first grasp
    int64_t count; // of such rows
} RepeatFrames;

// For a dataset whose state is poses of arms with 7 values each; as in UMI the first arm's gripper
// decides. Free with repeat_frames_free.
void repeat_frames_init(RepeatFrames *r, const Dataset *ds, double probability, uint64_t seed);
void repeat_frames_free(RepeatFrames *r); // a zeroed struct is allowed
// Whether the sample at `row` repeats its newest observation: a function of (seed, epoch, row)
// alone.
bool repeat_frames_at(const RepeatFrames *r, int64_t epoch, int64_t row);

#endif
