// SPDX-License-Identifier: Apache-2.0
// A small synthetic dataset for the demo and the tests: a gripper seen by a camera moves to a
// coloured target and closes on it. State and action are 7-value poses; every frame carries its
// global number in a row of blocks along the top edge, so that a test can tell which frame it is.
#ifndef TACT_DATASET_SAMPLE_H
#define TACT_DATASET_SAMPLE_H

#include "base/error.h"
#include <stdint.h>

typedef struct SampleOptions {
    const char *root;
    int episodes, frames; // per episode (the n-th has frames + n)
    int height, width, cameras;
    bool turned; // every second camera, from the second on, has height and width exchanged
    int fps;
    uint64_t seed;
    int env_dim; // observation.environment_state of that many values, or 0
    bool images_in_parquet;
    bool joints; // joint-like state and action names and sizes (6) instead of poses
} SampleOptions;

CHECKED bool sample_dataset_write(const SampleOptions *options, Error *err);

#endif
