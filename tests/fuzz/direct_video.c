// SPDX-License-Identifier: Apache-2.0
// In place of formats/video.c, which calls FFmpeg through a module: here the module's files are
// linked, and define all of video.h but these two.
#include "formats/video_module.h"

bool video_writer_open(const char *path, const char *codec, int height, int width, double fps,
                       int gop, int crf, VideoWriter **out, Error *err) {
    return video_writer_start(path, codec, height, width, fps, gop, crf, false, out, err);
}

bool video_writer_open_part(const char *path, int height, int width, double fps, int gop, int crf,
                            VideoWriter **out, Error *err) {
    return video_writer_start(path, NULL, height, width, fps, gop, crf, true, out, err);
}
