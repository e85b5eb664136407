// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: setting pictures upright that are stored lying on their side.
// Videos say how in a display matrix, still images in EXIF data.
#ifndef TACT_FORMATS_FFMPEG_ORIENT_H
#define TACT_FORMATS_FFMPEG_ORIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a stored picture becomes the one to see, numbered as in EXIF (tag 274). Turns are clockwise.
typedef enum Orientation {
    ORIENT_UPRIGHT = 1,
    ORIENT_MIRRORED = 2, // left and right change places
    ORIENT_TURN_180 = 3,
    ORIENT_FLIPPED = 4,    // top and bottom change places
    ORIENT_TRANSPOSED = 5, // rows become columns
    ORIENT_TURN_90 = 6,
    ORIENT_TRANSVERSED = 7, // rows become columns, then turned by 180
    ORIENT_TURN_270 = 8,
} Orientation;

// Whether width and height change places.
bool orient_swaps(Orientation o);

// in (height, width, 3) to out, which has (width, height, 3) where sides are swapped. They do not
// overlap.
void orient_rgb(uint8_t *out, const uint8_t *in, int height, int width, Orientation o);

// The turn that a display matrix asks for: nine numbers as libavutil/display.h has them, of which
// the scale does not count. False for what is not a quarter turn: mirrored, or at another angle.
bool orient_from_matrix(const int32_t matrix[9], Orientation *out);

// The orientation that EXIF data (a TIFF file) give in their first directory; upright where they
// give none or hold none that makes sense.
Orientation orient_from_exif(const uint8_t *tiff, size_t size);

#endif
