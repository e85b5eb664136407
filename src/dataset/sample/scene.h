// SPDX-License-Identifier: Apache-2.0
// The scene of the synthetic dataset and its picture. Private to this folder and to tests.
#ifndef TACT_DATASET_SAMPLE_SCENE_H
#define TACT_DATASET_SAMPLE_SCENE_H

#include "pose/pose.h"
#include <math.h>
#include <stdint.h>

typedef struct Scene {
    double pose[POSE_ROW]; // of the gripper, which is 0 closed .. 1 open
    double target[3];      // x, y (metres), angle of its mark (radians)
    int colour;            // of the target, see tasks in sample.c
} Scene;

// A frame's number stands in a row of black and white blocks along the top edge, the most
// significant bit first. The row takes a SAMPLE_BAND-th of the height.
enum { SAMPLE_NUMBER_BITS = 16, SAMPLE_BAND = 8 };

// Left edge of block i (0 .. SAMPLE_NUMBER_BITS) in a picture that is `width` pixels wide.
static inline int sample_block_edge(int i, int width) {
    return (int)((int64_t)i * width / SAMPLE_NUMBER_BITS);
}

// Draws what camera number `camera` sees of the scene, with `number` coded in the top edge, into
// rgb (height, width, 3). Camera 0 looks down from above, 1 rides on the gripper, the others look
// down from other sides.
void scene_draw(const Scene *scene, int camera, int64_t number, uint8_t *rgb, int height,
                int width);

// As hypot, for lengths of things on a table. hypot itself would need a newer C library (2.35) than
// everything else does.
static inline double length_2d(double x, double y) {
    return sqrt(x * x + y * y);
}

#endif
