// SPDX-License-Identifier: Apache-2.0
// Videos and images are read and written by FFmpeg, in a module: this file finds and calls it.
#include "formats/video_module.h"

#include "base/file.h"
#include "base/module.h"

static Module module = {
    .name = "tact_video",
    .what = "reading and writing video and images",
    .built = "FFmpeg (libavformat-dev, libavcodec-dev, libswscale-dev)",
    .needs = {{"libav", "ffmpeg"}, {"libsw", "ffmpeg"}},
};

bool video_module(const VideoModule **out, Error *err) {
    bool ok = module_load(&module, err);
    *out = module_table(&module);
    return ok;
}

// For functions that are given a Video or a VideoWriter, which only the module can have made.
static const VideoModule *video_functions(void) {
    return module_table(&module);
}

bool video_open(const char *path, VideoTables *tables, Video **out, Error *err) {
    *out = NULL;
    return file_check(path, err) && module_load(&module, err) &&
           video_functions()->open(path, tables, out, err);
}

bool video_look(const char *path, VideoTables *tables, Video **out, Error *err) {
    *out = NULL;
    return file_check(path, err) && module_load(&module, err) &&
           video_functions()->look(path, tables, out, err);
}

void video_close(Video *v) {
    if (v) video_functions()->close(v);
}

int video_height(const Video *v) {
    return video_functions()->height(v);
}

int video_width(const Video *v) {
    return video_functions()->width(v);
}

int64_t video_frames(const Video *v) {
    return video_functions()->frames(v);
}

double video_rate(const Video *v) {
    return video_functions()->rate(v);
}

double video_time(const Video *v, int64_t frame) {
    return video_functions()->time(v, frame);
}

bool video_read(Video *v, double t, uint8_t *rgb, Error *err) {
    return video_functions()->read(v, t, rgb, err);
}

bool video_read_index(Video *v, int64_t frame, uint8_t *rgb, Error *err) {
    return video_functions()->read_index(v, frame, rgb, err);
}

int64_t video_frame_at(const Video *v, double t) {
    return video_functions()->frame_at(v, t);
}

void video_segment(const Video *v, int64_t frame, int64_t *first, int64_t *last) {
    video_functions()->segment(v, frame, first, last);
}

bool video_decoder_name(char *out, size_t size) {
    Error missing; // the caller learns it when it wants a frame
    return module_load(&module, &missing) && video_functions()->decoder_name(out, size);
}

bool video_writer_open(const char *path, const char *codec, int height, int width, double fps,
                       int gop, int crf, VideoWriter **out, Error *err) {
    *out = NULL;
    return module_load(&module, err) &&
           video_functions()->writer_start(path, codec, height, width, fps, gop, crf, false, out,
                                           err);
}

bool video_writer_open_part(const char *path, int height, int width, double fps, int gop, int crf,
                            VideoWriter **out, Error *err) {
    *out = NULL;
    return module_load(&module, err) &&
           video_functions()->writer_start(path, NULL, height, width, fps, gop, crf, true, out,
                                           err);
}

bool video_writer_add(VideoWriter *w, const uint8_t *rgb, Error *err) {
    return video_functions()->writer_add(w, rgb, err);
}

bool video_writer_close(VideoWriter *w, Error *err) {
    return video_functions()->writer_close(w, err);
}

void video_writer_abort(VideoWriter *w) {
    if (w) video_functions()->writer_abort(w);
}

bool video_join_open(const char *path, double fps, VideoJoin **out, Error *err) {
    *out = NULL;
    return module_load(&module, err) && video_functions()->join_open(path, fps, out, err);
}

bool video_join_add(VideoJoin *j, const char *part, int64_t *frames, Error *err) {
    return file_check(part, err) && video_functions()->join_add(j, part, frames, err);
}

bool video_join_close(VideoJoin *j, Error *err) {
    return video_functions()->join_close(j, err);
}

void video_join_abort(VideoJoin *j) {
    if (j) video_functions()->join_abort(j);
}

bool video_cut_open(const char *path, VideoCut **out, Error *err) {
    *out = NULL;
    return module_load(&module, err) && video_functions()->cut_open(path, out, err);
}

bool video_cut_add(VideoCut *c, const char *file, VideoTables *tables, int64_t first, int64_t last,
                   double *from, double *to, bool *fits, Error *err) {
    return file_check(file, err) &&
           video_functions()->cut_add(c, file, tables, first, last, from, to, fits, err);
}

int64_t video_cut_bytes(const VideoCut *c) {
    return video_functions()->cut_bytes(c);
}

bool video_cut_close(VideoCut *c, Error *err) {
    return video_functions()->cut_close(c, err);
}

void video_cut_abort(VideoCut *c) {
    if (c) video_functions()->cut_abort(c);
}
