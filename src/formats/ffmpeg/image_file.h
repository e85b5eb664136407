// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: the file formats around coded still images.
#ifndef TACT_FORMATS_FFMPEG_IMAGE_FILE_H
#define TACT_FORMATS_FFMPEG_IMAGE_FILE_H

#include "base/error.h"
#include "formats/ffmpeg/orient.h"
#include <libavcodec/codec_id.h>

typedef struct ImageFile {
    enum AVCodecID codec;
    Orientation orientation; // as its EXIF data say; the image in it lies as it was stored
} ImageFile;

// Looks at a PNG, JPEG or WebP file without decoding it. Refused are other files, files that end
// early, and files that do not hold one picture of a camera: animations, and 16-bit grey images,
// which hold depths. name stands in messages.
CHECKED bool image_file_look(const uint8_t *bytes, size_t size, const char *name, ImageFile *out,
                             Error *err);

#endif
