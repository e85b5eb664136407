// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/memory.h"
#include "formats/ffmpeg/mp4_file.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/video_module.h"
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <pthread.h>
#include <string.h>

enum { MAX_SIDE = 16384 };
enum { READ_BEYOND = 64 }; // bytes behind a picture that swscale's vector code may read

struct VideoWriter {
    Mp4File mp4;
    AVCodecContext *encoder;
    AVFrame *frame; // yuv420p
    uint8_t *rgb;   // the frame that is being added, with room behind it
    AVPacket *packet;
    struct SwsContext *sws;
    int64_t frames; // added so far
    bool drained;   // the encoder was told the end and gave all it had
};

// An encoder and its options; the first that this FFmpeg has is taken.
typedef struct Encoder {
    const char *codec, *library;
    const char *option[3][2];
} Encoder;

// The presets are fast ones, because a recording is encoded while the robot waits. SVT's 12 is
// LeRobot's.
static const Encoder encoders[] = {
    {"av1", "libsvtav1", {{"preset", "12"}}},
    {"av1", "libaom-av1", {{"cpu-used", "8"}, {"row-mt", "1"}}},
    {"h264", "libx264", {{"preset", "veryfast"}}},
    {"hevc", "libx265", {{"preset", "veryfast"}, {"x265-params", "log-level=none"}}},
};

// SVT-AV1 (1.4) has memory that all its encoders share, and which each of them makes when it begins
// and frees when it ends: where two threads did so at once, the process crashed now and then.
static pthread_mutex_t begins_or_ends = PTHREAD_MUTEX_INITIALIZER;

// SVT-AV1 waits for ever when it is freed before it was told that this is the end, or without a
// frame.
static void drain_encoder(VideoWriter *w) {
    if (!w->encoder || !avcodec_is_open(w->encoder) || w->drained) return;
    if (!w->frames && w->frame->buf[0]) {
        w->frame->pts = 0;
        (void)avcodec_send_frame(w->encoder, w->frame);
    }
    (void)avcodec_send_frame(w->encoder, NULL);
    while (avcodec_receive_packet(w->encoder, w->packet) >= 0) av_packet_unref(w->packet);
}

void video_writer_abort(VideoWriter *w) {
    if (!w) return;
    drain_encoder(w);
    pthread_mutex_lock(&begins_or_ends);
    avcodec_free_context(&w->encoder);
    pthread_mutex_unlock(&begins_or_ends);
    av_frame_free(&w->frame);
    av_packet_free(&w->packet);
    sws_freeContext(w->sws);
    mem_free(w->rgb);
    mp4_abort(&w->mp4);
    mem_free(w);
}

static bool open_encoder(VideoWriter *w, const char *name, int height, int width, double fps,
                         int gop, int crf, int threads, Error *err) {
    const AVCodec *codec = NULL;
    const Encoder *e = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders && !codec; i++) {
        if (strcmp(encoders[i].codec, name) != 0) continue;
        known = true;
        e = &encoders[i];
        codec = avcodec_find_encoder_by_name(e->library);
    }
    if (!known) return fail(err, "%s: no video codec %s; use av1, h264 or hevc", w->mp4.path, name);
    if (!codec)
        return fail(err, "%s: this FFmpeg has no encoder for %s; install one (%s)", w->mp4.path,
                    name, e->library);
    AVCodecContext *c = w->encoder = avcodec_alloc_context3(codec);
    if (!c) return fail(err, "%s: out of memory", w->mp4.path);
    c->height = height;
    c->width = width;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->color_range = AVCOL_RANGE_MPEG;
    c->framerate = mp4_rate(fps);
    c->time_base = av_inv_q(c->framerate);
    c->gop_size = gop;
    c->thread_count = threads;
    if (w->mp4.format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    for (int i = 0; i < 3 && e->option[i][0]; i++)
        av_opt_set(c->priv_data, e->option[i][0], e->option[i][1], 0);
    char parallel[16], quality[16];
    snprintf(parallel, sizeof parallel, "lp=%d", threads); // SVT does not look at thread_count
    if (threads > 0) av_opt_set(c->priv_data, "svtav1-params", parallel, 0);
    snprintf(quality, sizeof quality, "%d", crf);
    if (av_opt_set(c->priv_data, "crf", quality, 0) < 0)
        return fail(err, "%s: quality %d is out of range for %s", w->mp4.path, crf, e->library);
    pthread_mutex_lock(&begins_or_ends);
    int code = avcodec_open2(c, codec, NULL);
    pthread_mutex_unlock(&begins_or_ends);
    if (code >= 0) return true;
    char text[128];
    return fail(err, "%s: cannot start the %s encoder for %d x %d: %s", w->mp4.path, e->library,
                width, height, ffmpeg_text(code, text));
}

static bool write_header(VideoWriter *w, Error *err) {
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    bool ok = parameters && avcodec_parameters_from_context(parameters, w->encoder) >= 0;
    ok = ok ? mp4_header(&w->mp4, parameters, w->encoder->time_base, w->encoder->framerate, err)
            : fail(err, "%s: out of memory", w->mp4.path);
    avcodec_parameters_free(&parameters);
    return ok;
}

bool video_writer_start(const char *path, const char *codec, int height, int width, double fps,
                        int gop, int crf, bool part, VideoWriter **out, Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    if (height < 2 || width < 2 || height % 2 || width % 2 || height > MAX_SIDE || width > MAX_SIDE)
        return fail(err,
                    "%s: a video of %d x %d cannot be written; both sides must be even and at "
                    "most %d",
                    path, width, height, MAX_SIDE);
    if (!(fps > 0 && fps <= VIDEO_MAX_FPS) || gop < 1)
        return fail(err, "%s: %g frames a second with a keyframe every %d frames cannot be written",
                    path, fps, gop);
    VideoWriter *w = NEW(VideoWriter, 1);
    w->packet = av_packet_alloc();
    w->frame = av_frame_alloc();
    w->rgb = mem_try(image_rgb_bytes(height, width) + READ_BEYOND);
    w->sws = sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV420P,
                            SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!mp4_open(&w->mp4, path, err)) goto error;
    w->mp4.file.unsynced = part;
    if (!w->packet || !w->frame || !w->sws) {
        fail(err, "%s: out of memory", path);
        goto error;
    }
    w->frame->format = AV_PIX_FMT_YUV420P;
    w->frame->color_range = AVCOL_RANGE_MPEG;
    w->frame->width = width;
    w->frame->height = height;
    if (!w->rgb || av_frame_get_buffer(w->frame, 0) < 0) {
        fail(err, "%s: no memory for a frame of %d x %d", path, width, height);
        goto error;
    }
    if (!open_encoder(w, codec ? codec : "av1", height, width, fps, gop, crf, part ? 1 : 0, err) ||
        !write_header(w, err))
        goto error;
    *out = w;
    return true;
error:
    video_writer_abort(w);
    return false;
}

// Encodes a frame, or what the encoder still holds for NULL, and writes what comes out.
static bool encode_frame(VideoWriter *w, const AVFrame *frame, Error *err) {
    int code = avcodec_send_frame(w->encoder, frame);
    if (code < 0) return mp4_broken(&w->mp4, "encoding failed", code, err);
    while ((code = avcodec_receive_packet(w->encoder, w->packet)) >= 0) {
        if (!w->packet->duration) w->packet->duration = 1;
        if (!mp4_packet(&w->mp4, w->packet, w->encoder->time_base, err)) return false;
    }
    w->drained = code == AVERROR_EOF;
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return true;
    return mp4_broken(&w->mp4, "encoding failed", code, err);
}

bool video_writer_add(VideoWriter *w, const uint8_t *rgb, Error *err) {
    if (w->mp4.broken) return fail(err, "%s: writing failed before", w->mp4.path);
    // The encoder may still hold the frame before: then this copies into a new buffer.
    int code = av_frame_make_writable(w->frame);
    if (code < 0) return mp4_broken(&w->mp4, "no memory for a frame", code, err);
    const uint8_t *in[4] = {w->rgb};
    int strides[4] = {3 * w->frame->width};
    memcpy(w->rgb, rgb, image_rgb_bytes(w->frame->height, w->frame->width));
    sws_scale(w->sws, in, strides, 0, w->frame->height, w->frame->data, w->frame->linesize);
    w->frame->pts = w->frames++;
    return encode_frame(w, w->frame, err);
}

bool video_writer_close(VideoWriter *w, Error *err) {
    bool ok = false;
    if (w->mp4.broken) {
        fail(err, "%s: writing failed before", w->mp4.path);
        goto done;
    }
    if (!w->frames) {
        fail(err, "%s: a video without frames cannot be written", w->mp4.path);
        goto done;
    }
    ok = encode_frame(w, NULL, err) && mp4_commit(&w->mp4, err);
done:
    video_writer_abort(w);
    return ok;
}
