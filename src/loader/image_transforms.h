// SPDX-License-Identifier: Apache-2.0
// Augmentation as LeRobot names it (lerobot/transforms, ImageTransformsConfig): of a list of
// transforms some are drawn by weight, without replacement, and applied one after the other to the
// uint8 frames of one camera of one sample: to all T alike, as LeRobot does, for the frames of a
// window are one scene. Cameras and samples draw for themselves.
#ifndef TACT_LOADER_IMAGE_TRANSFORMS_H
#define TACT_LOADER_IMAGE_TRANSFORMS_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { MAX_IMAGE_TRANSFORMS = 16 };

typedef enum TransformKind {
    TRANSFORM_IDENTITY,
    TRANSFORM_BRIGHTNESS,
    TRANSFORM_CONTRAST,
    TRANSFORM_SATURATION,
    TRANSFORM_HUE,
    TRANSFORM_SHARPNESS,
    TRANSFORM_AFFINE,
} TransformKind;

// One of the list. Parameters are drawn uniformly.
typedef struct ImageTransform {
    TransformKind kind;
    double weight;       // above 0
    double low, high;    // factor (hue: turns of the colour circle; affine: degrees, clockwise)
    double translate[2]; // affine: at most this part of the width, of the height
} ImageTransform;

typedef struct ImageTransforms {
    int count;
    ImageTransform list[MAX_IMAGE_TRANSFORMS];
    int max_num_transforms; // drawn for a sample: at most this many, at least 1
    bool random_order;      // else in the list's order
    uint64_t seed;
} ImageTransforms;

// LeRobot's six.
void image_transforms_default(ImageTransforms *t);
// A list as --dataset.image_transforms.tfs has it: {"NAME": {"weight": 1.0, "type": "ColorJitter",
// "kwargs": {"brightness": [0.8, 1.2]}}, ...}; types Identity, ColorJitter with one of brightness,
// contrast, saturation, hue, SharpnessJitter with sharpness, RandomAffine with degrees and
// translate. Transforms of weight 0 are left out, as in LeRobot. NULL: the default list.
CHECKED bool image_transforms_parse(ImageTransforms *t, const char *tfs, Error *err);

// What was drawn for one sample and camera.
typedef struct DrawnTransform {
    TransformKind kind;
    double factor; // of ImageTransform's low .. high
    int dx, dy;    // affine: pixels
} DrawnTransform;

// A function of (seed, epoch, row, camera) alone. out has room for MAX_IMAGE_TRANSFORMS; returns
// how many. height and width are those of the frames.
int image_transforms_draw(const ImageTransforms *t, int64_t epoch, int64_t row, int camera,
                          int height, int width, DrawnTransform *out);

// Applies one to a frame (height, width, 3) in place, with torchvision's arithmetic on uint8 images
// (v2.functional, which LeRobot's training uses), so that values are within 1 of its. scratch:
// height * width * 3 bytes.
void image_transform_apply(const DrawnTransform *t, uint8_t *rgb, int height, int width,
                           uint8_t *scratch);

#endif
