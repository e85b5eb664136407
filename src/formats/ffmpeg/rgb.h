// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: what image and video reading share of FFmpeg.
#ifndef TACT_FORMATS_FFMPEG_RGB_H
#define TACT_FORMATS_FFMPEG_RGB_H

#include "base/error.h"
#include <libavutil/frame.h>
#include <stddef.h>
#include <stdint.h>

// Keeps FFmpeg's libraries from writing to stderr, so that the user sees our line alone. To be
// called before anything of FFmpeg, from any thread and any number of times.
void ffmpeg_quiet(void);

// Text of an FFmpeg error code, written into buffer, which is returned.
const char *ffmpeg_text(int code, char buffer[128]);

// As fail, for what FFmpeg failed at while it read `name`; want of memory is told as that.
bool ffmpeg_failed(Error *err, int code, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Converts decoded frames to RGB. Zero-initialise, use for one source, rgb_free.
typedef struct Rgb {
    bool exact; // see rgb_convert; set before the first use
    struct SwsContext *sws;
    int range, matrix; // that sws is set to
    uint8_t *rows;     // padded target: swscale may write past a row's end
    size_t rows_size;
} Rgb;

// frame (any pixel format swscale reads) to rgb (height, width, 3), full range. The matrix and the
// range are the frame's; BT.601 limited where it does not say.
// 4:2:0 without `exact` takes swscale's fast path, the one under LeRobot's video decoders, so that
// a policy sees the same pixels whichever program trains it: it uses a chroma sample for all its
// 2x2 pixels and lies about 1/255 below the exact value. With `exact` chroma is interpolated and
// everything rounded to nearest, at ten times the cost.
CHECKED bool rgb_convert(Rgb *c, const AVFrame *frame, uint8_t *rgb, const char *name, Error *err);
void rgb_free(Rgb *c);

#endif
