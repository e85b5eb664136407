// SPDX-License-Identifier: Apache-2.0
// Camera frames by row. One FrameReader a thread: it keeps a few decoders open.
#ifndef TACT_DATASET_FRAMES_H
#define TACT_DATASET_FRAMES_H

#include "dataset/dataset.h"
#include "image/image.h"

typedef struct FrameReader FrameReader;

// What a camera's frames are resized to.
typedef struct FrameSize {
    int height, width;
    ImageFilter filter;
} FrameSize;

// height and width 0: as recorded; else frames of all cameras are resized by area, but those
// that frames_resize gives a size of their own.
CHECKED bool frames_open(const Dataset *ds, int height, int width, FrameReader **out, Error *err);
void frames_close(FrameReader *r); // NULL allowed
// The size of one camera's frames (position in ds->cameras) from now on; 0x0: as recorded.
CHECKED bool frames_resize(FrameReader *r, int camera, FrameSize size, Error *err);

// Frame of camera (position in ds->cameras) at a row into rgb (its height, width, 3). The video
// frame is the one that EpisodeVideo.rule says. A frame of another size than the camera's is an
// error.
CHECKED bool frames_read(FrameReader *r, int camera, int64_t row, uint8_t *rgb, Error *err);

// Size of the image at a row of an image column, whatever the camera's is said to be.
CHECKED bool frames_image_size(FrameReader *r, int camera, int64_t row, int *height, int *width,
                               Error *err);

// The rows first .. end-1 around `row` whose frames are best read together, in order: those of its
// episode that decode from the same keyframe, each then decoded once. One row for an image column.
CHECKED bool frames_segment(FrameReader *r, int camera, int64_t row, int64_t *first, int64_t *end,
                            Error *err);

#endif
