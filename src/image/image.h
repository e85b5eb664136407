// SPDX-License-Identifier: Apache-2.0
// Images in memory: uint8 RGB, row-major (height, width, 3), without row padding. Files of them are
// formats/image_codec.h's.
#ifndef TACT_IMAGE_IMAGE_H
#define TACT_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

typedef struct Image {
    int height, width;
    uint8_t *rgb; // (height, width, 3), owned; free with image_free
} Image;

void image_free(Image *image);
// Bytes of an image (height, width, 3).
static inline size_t image_rgb_bytes(int height, int width) {
    return (size_t)height * (size_t)width * 3;
}

// How an axis that shrinks is resized; one that grows is interpolated linearly with pixel centres
// at half integers by both.
typedef enum ImageFilter {
    IMAGE_AREA,     // the mean of the box that an output pixel covers
    IMAGE_BILINEAR, // a triangle twice as wide: torchvision's resize, which LeRobot uses
} ImageFilter;
// "area" and "bilinear"; NULL: area.
ImageFilter image_filter_named(const char *name);

// What is made of a frame: the whole of it is resized to height x width, and of that the part of
// rows x columns that begins at (top, left) is kept.
typedef struct ImageFit {
    int height, width;
    ImageFilter filter;
    int top, left, rows, columns;
} ImageFit;

// Makes `out` (rows, columns, 3) of (h, w, 3), whose rows begin every `stride` bytes, stride >= 3
// w. A pixel is the exact weighted mean, rounded to nearest; equal sizes copy. The training and the
// robot use this one function. With IMAGE_BILINEAR an axis of 8192 may shrink to 32, but not below.
// `scratch` has at least image_resize_scratch(h, w, height, width) bytes, or is NULL to allocate
// inside.
void image_fit(uint8_t *out, const ImageFit *fit, const uint8_t *in, size_t stride, int h, int w,
               void *scratch);
// The whole of (h, w, 3) as (out_h, out_w, 3), by area.
void image_resize(uint8_t *out, int out_h, int out_w, const uint8_t *in, int h, int w,
                  void *scratch);
size_t image_resize_scratch(int h, int w, int out_h, int out_w);

#endif
