// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: finds out, without decoding, which packets and frames a video file
// has.
#ifndef TACT_FORMATS_FFMPEG_VIDEO_TABLE_BUILD_H
#define TACT_FORMATS_FFMPEG_VIDEO_TABLE_BUILD_H

#include "base/error.h"
#include "formats/video_table.h"
#include <libavformat/avformat.h>

// Fills an empty table. A stream without reordering (AV1) in an MP4 is read from the MP4's own
// index, which costs no disk reads; any other file is read through once and rewound. Fails when the
// file holds fewer bytes or packets than it declares. With times_only an MP4 whose frames come at
// an even rate is not read through whatever its codec, and its table is good for times alone. name
// stands in messages.
CHECKED bool video_table_build(VideoTable *t, AVFormatContext *format, int stream, bool times_only,
                               const char *name, Error *err);

// The nine numbers of a stream's display matrix, or NULL where it has none.
const int32_t *video_display_matrix(const AVStream *s);

#endif
