// SPDX-License-Identifier: Apache-2.0
// A video as one picture.
#ifndef TACT_CURVES_STRIP_H
#define TACT_CURVES_STRIP_H

#include "base/error.h"
#include "image/image.h"

enum { STRIP_FRAMES = 6, STRIP_HEIGHT = 144 };

// Frames of a video from its first to its last, evenly spaced, beside each other: STRIP_FRAMES of
// them, or all where it has fewer, none higher than STRIP_HEIGHT. image_free frees it.
CHECKED bool video_strip(const char *path, Image *out, Error *err);

#endif
