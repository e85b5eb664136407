// SPDX-License-Identifier: Apache-2.0
// Private to the loader: the part of a frame that a sample sees (--policy.crop_shape).
#ifndef TACT_LOADER_FRAME_CROP_H
#define TACT_LOADER_FRAME_CROP_H

#include "loader/loader.h"

// Where the part begins.
typedef struct CropPlace {
    int top, left;
} CropPlace;

// What is given out of a camera's frames: the crop's size, or the whole frame's.
FrameCrop frame_crop_size(const LoaderOptions *o, int camera);
// Whether that is less than the whole frame.
bool frame_is_cropped(const LoaderOptions *o, int camera);
// Where a sample's part of a camera's frames begins, of all T alike, for the frames of a window are
// one scene. At random every place is as likely, and it is a function of (seed, epoch, row, camera)
// alone; else it is the middle (base/center.h).
CropPlace frame_crop_place(const LoaderOptions *o, int64_t epoch, int64_t row, int camera);
// Copies the part that begins there out of a frame of the camera.
void frame_crop_copy(const LoaderOptions *o, int camera, CropPlace place, const uint8_t *frame,
                     uint8_t *out);

#endif
