// SPDX-License-Identifier: Apache-2.0
// Any bytes as an image's file: it is refused, or has one of the eight orientations. FFmpeg, which
// decodes what is in it, is not called.
#include "formats/ffmpeg/image_file.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Error err;
    ImageFile file;
    uint8_t *copy =
        malloc(size ? size : 1); // of exactly that size, so that a read beyond it is seen
    if (size) memcpy(copy, data, size);
    Orientation o = orient_from_exif(copy, size);
    if (o < ORIENT_UPRIGHT || o > ORIENT_TURN_270) abort();
    if (image_file_look(copy, size, "image", &file, &err) &&
        (file.orientation < ORIENT_UPRIGHT || file.orientation > ORIENT_TURN_270))
        abort();
    free(copy);
    return 0;
}
