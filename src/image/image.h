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

// Resizes (h, w, 3) to (out_h, out_w, 3): per axis, box (area) averaging where the axis shrinks and
// bilinear interpolation with pixel centres at half integers where it grows; equal sizes copy.
// Rounds to nearest. The training and the robot use this one function. `scratch` has at least
// image_resize_scratch(h, w, out_h, out_w) bytes, or is NULL to allocate inside.
void image_resize(uint8_t *out, int out_h, int out_w, const uint8_t *in, int h, int w,
                  void *scratch);
// The same from rows that begin every `stride` bytes, stride >= 3 w.
void image_resize_rows(uint8_t *out, int out_h, int out_w, const uint8_t *in, size_t stride, int h,
                       int w, void *scratch);
size_t image_resize_scratch(int h, int w, int out_h, int out_w);

#endif
