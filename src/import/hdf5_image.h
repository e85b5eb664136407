// SPDX-License-Identifier: Apache-2.0
// What can be said of a JPEG or PNG file without decoding it.
#ifndef TACT_IMPORT_HDF5_IMAGE_H
#define TACT_IMPORT_HDF5_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct EncodedImage {
    const char *codec; // "JPEG", "PNG"; static
    int height, width;
    size_t size; // bytes up to the end of the image; behind it a row may be filled up
} EncodedImage;

// False where the bytes are neither, or break off before the image ends.
bool encoded_image_look(const uint8_t *bytes, size_t size, EncodedImage *out);

#endif
