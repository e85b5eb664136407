// SPDX-License-Identifier: Apache-2.0
// What tact_video, the module made of ffmpeg/, gives to video.c and image_codec.c: functions of
// video.h and image_codec.h under their names there, with the same arguments and errors.
#ifndef TACT_FORMATS_VIDEO_MODULE_H
#define TACT_FORMATS_VIDEO_MODULE_H

#include "formats/image_codec.h"
#include "formats/video.h"

// What the module has under writer_start.
CHECKED bool video_writer_start(const char *path, const char *codec, int height, int width,
                                double fps, int gop, int crf, bool part, VideoWriter **out,
                                Error *err);

typedef struct VideoModule {
    bool (*open)(const char *path, VideoTables *tables, Video **out, Error *err);
    bool (*look)(const char *path, VideoTables *tables, Video **out, Error *err);
    void (*close)(Video *v);
    int (*height)(const Video *v);
    int (*width)(const Video *v);
    int64_t (*frames)(const Video *v);
    double (*rate)(const Video *v);
    double (*time)(const Video *v, int64_t frame);
    bool (*read)(Video *v, double t, uint8_t *rgb, Error *err);
    bool (*read_index)(Video *v, int64_t frame, uint8_t *rgb, Error *err);
    int64_t (*frame_at)(const Video *v, double t);
    void (*segment)(const Video *v, int64_t frame, int64_t *first, int64_t *last);
    bool (*decoder_name)(char *out, size_t size);

    // video_writer_open, and with part video_writer_open_part.
    bool (*writer_start)(const char *path, const char *codec, int height, int width, double fps,
                         int gop, int crf, bool part, VideoWriter **out, Error *err);
    bool (*writer_add)(VideoWriter *w, const uint8_t *rgb, Error *err);
    bool (*writer_close)(VideoWriter *w, Error *err);
    void (*writer_abort)(VideoWriter *w);

    bool (*join_open)(const char *path, double fps, VideoJoin **out, Error *err);
    bool (*join_add)(VideoJoin *j, const char *part, int64_t *frames, Error *err);
    bool (*join_close)(VideoJoin *j, Error *err);
    void (*join_abort)(VideoJoin *j);

    bool (*cut_open)(const char *path, VideoCut **out, Error *err);
    bool (*cut_add)(VideoCut *c, const char *file, VideoTables *tables, int64_t first, int64_t last,
                    double *from, double *to, bool *fits, Error *err);
    int64_t (*cut_bytes)(const VideoCut *c);
    bool (*cut_close)(VideoCut *c, Error *err);
    void (*cut_abort)(VideoCut *c);

    bool (*image_decode)(const void *bytes, size_t size, const char *name, Image *out, Error *err);
    bool (*image_encode_png)(const Image *image, uint8_t **out, size_t *size, Error *err);
    bool (*image_encode_jpeg)(const Image *image, uint8_t **out, size_t *size, Error *err);
    bool (*image_encode_jpeg_fine)(const Image *image, uint8_t **out, size_t *size, Error *err);
} VideoModule;

// The module, which is loaded when it is first asked for. Any thread may call.
CHECKED bool video_module(const VideoModule **out, Error *err);

#endif
