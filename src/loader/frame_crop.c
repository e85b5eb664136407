// SPDX-License-Identifier: Apache-2.0
#include "loader/frame_crop.h"

#include "base/center.h"
#include "base/rng.h"
#include <string.h>

// The site keeps these random numbers apart from all others; a sample and camera use at most so
// many words of the stream.
enum { SITE_CROPS = 0x43524f00, WORDS_A_CROP = 64 };

FrameCrop frame_crop_size(const LoaderOptions *o, int camera) {
    const FrameSize *whole = &o->sizes[camera];
    if (o->crops && o->crops[camera].height) return o->crops[camera];
    return (FrameCrop){whole->height, whole->width};
}

bool frame_is_cropped(const LoaderOptions *o, int camera) {
    const FrameCrop part = frame_crop_size(o, camera);
    return part.height != o->sizes[camera].height || part.width != o->sizes[camera].width;
}

CropPlace frame_crop_place(const LoaderOptions *o, int64_t epoch, int64_t row, int camera) {
    const FrameSize *whole = &o->sizes[camera];
    const FrameCrop part = frame_crop_size(o, camera);
    if (!o->random_crops)
        return (CropPlace){center_start(whole->height, part.height),
                           center_start(whole->width, part.width)};
    RngStream rng = {
        .key = {.seed = o->seed, .step = (uint32_t)epoch, .site = SITE_CROPS + (uint32_t)camera},
        .next = (uint64_t)row * WORDS_A_CROP};
    const int top = (int)rng_below(&rng, (uint64_t)(whole->height - part.height) + 1);
    return (CropPlace){top, (int)rng_below(&rng, (uint64_t)(whole->width - part.width) + 1)};
}

void frame_crop_copy(const LoaderOptions *o, int camera, CropPlace place, const uint8_t *frame,
                     uint8_t *out) {
    const FrameCrop part = frame_crop_size(o, camera);
    const size_t row = (size_t)o->sizes[camera].width * 3, kept = (size_t)part.width * 3;
    frame += (size_t)place.top * row + (size_t)place.left * 3;
    for (int y = 0; y < part.height; y++, frame += row, out += kept) memcpy(out, frame, kept);
}
