// SPDX-License-Identifier: Apache-2.0
// Still images, uint8 RGB, row-major (height, width, 3), without row padding. Decoding and encoding
// are FFmpeg's, in the module of video.h.
#ifndef TACT_FORMATS_IMAGE_H
#define TACT_FORMATS_IMAGE_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

typedef struct Image {
    int height, width;
    uint8_t *rgb; // (height, width, 3), owned; free with image_free
} Image;

void image_free(Image *image);

// Decodes PNG, JPEG or WebP bytes (through FFmpeg). Grey and palette images become RGB, alpha is
// dropped, of 16 bits a colour the upper 8 are taken, and the image is set upright as its EXIF data
// say: height and width are those of what is seen. Refused: 16-bit grey, which holds depths, and
// animations.
// `name` is what an error calls the source.
CHECKED bool image_decode(const void *bytes, size_t size, const char *name, Image *out, Error *err);

// PNG bytes of an image; *out is freed with mem_free.
CHECKED bool image_encode_png(const Image *image, uint8_t **out, size_t *size, Error *err);
CHECKED bool image_write_png(const char *path, const Image *image, Error *err);
// JPEG bytes of an image (4:2:0, full range, for looking at); *out is freed with mem_free.
CHECKED bool image_encode_jpeg(const Image *image, uint8_t **out, size_t *size, Error *err);

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
