// SPDX-License-Identifier: Apache-2.0
// A video as one picture.
#ifndef TACT_CURVES_SHEET_H
#define TACT_CURVES_SHEET_H

#include "base/error.h"
#include "image/image.h"

enum { SHEET_ROWS = 2, SHEET_COLUMNS = 3, SHEET_FRAME_HEIGHT = 144 };

// Frames of a video from its first to its last, evenly spaced, in rows as one reads, none higher
// than SHEET_FRAME_HEIGHT; of a shorter video some stand there twice. image_free frees it.
CHECKED bool video_sheet(const char *path, Image *out, Error *err);

#endif
