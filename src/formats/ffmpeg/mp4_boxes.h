// SPDX-License-Identifier: Apache-2.0
// Private to the module of video.h.
#ifndef TACT_FORMATS_FFMPEG_MP4_BOXES_H
#define TACT_FORMATS_FFMPEG_MP4_BOXES_H

#include "base/error.h"

// Fails where the tables of an MP4 list more samples than the file has bytes. Files of another
// kind, and what is damaged in other ways, pass.
CHECKED bool mp4_boxes_check(const char *path, Error *err);

#endif
