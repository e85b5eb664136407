// SPDX-License-Identifier: Apache-2.0
// Files of still images: decoding and encoding are FFmpeg's, in the module of video.h.
#ifndef TACT_FORMATS_IMAGE_CODEC_H
#define TACT_FORMATS_IMAGE_CODEC_H

#include "base/error.h"
#include "image/image.h"
#include <stddef.h>
#include <stdint.h>

// Decodes PNG, JPEG or WebP bytes (through FFmpeg). Grey and palette images become RGB, alpha is
// dropped, of 16 bits a colour the upper 8 are taken, and the image is set upright as its EXIF data
// say: height and width are those of what is seen. Refused: 16-bit grey, which holds depths, and
// animations.
// `name` is what an error calls the source. Decoding takes at most 64 MiB and 512 times the bytes:
// that is 9 million pixels of whatever is in them, and as many as a JPEG can have.
CHECKED bool image_decode(const void *bytes, size_t size, const char *name, Image *out, Error *err);

// PNG bytes of an image; *out is freed with mem_free.
CHECKED bool image_encode_png(const Image *image, uint8_t **out, size_t *size, Error *err);
CHECKED bool image_write_png(const char *path, const Image *image, Error *err);
// JPEG bytes of an image (4:2:0, full range, for looking at); *out is freed with mem_free.
CHECKED bool image_encode_jpeg(const Image *image, uint8_t **out, size_t *size, Error *err);
// The same for keeping: 4:4:4, of the highest quality but one that libavcodec has.
CHECKED bool image_encode_jpeg_fine(const Image *image, uint8_t **out, size_t *size, Error *err);

#endif
