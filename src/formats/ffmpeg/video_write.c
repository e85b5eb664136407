// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/memory.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/video.h"
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <string.h>

enum { IO_BUFFER = 1 << 16, MAX_SIDE = 16384 };

struct VideoWriter {
    char *path;
    AtomicFile file;
    AVIOContext *io; // into file
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVFrame *frame; // yuv420p
    AVPacket *packet;
    struct SwsContext *sws;
    int64_t frames; // added so far
    int error;      // errno of the first write that failed
    bool broken;    // something failed: the file must not appear
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

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t WriteByte;
#else
typedef uint8_t WriteByte;
#endif

static int io_write(void *opaque, WriteByte *bytes, int size) {
    VideoWriter *w = opaque;
    if (fwrite(bytes, 1, (size_t)size, w->file.stream) == (size_t)size) return size;
    if (!w->error) w->error = errno ? errno : EIO;
    return AVERROR(w->error);
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
    VideoWriter *w = opaque;
    if (whence & AVSEEK_SIZE) return AVERROR(ENOSYS);
    if (fseeko(w->file.stream, offset, whence & ~AVSEEK_FORCE) == 0) return ftello(w->file.stream);
    if (!w->error) w->error = errno;
    return AVERROR(w->error);
}

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
    avcodec_free_context(&w->encoder);
    avformat_free_context(w->format);
    if (w->io) av_freep(&w->io->buffer);
    avio_context_free(&w->io);
    av_frame_free(&w->frame);
    av_packet_free(&w->packet);
    sws_freeContext(w->sws);
    atomic_abort(&w->file);
    mem_free(w->path);
    mem_free(w);
}

// Marks the writer as broken. A failed write is the cause of whatever the library says after it.
static bool writer_broken(VideoWriter *w, const char *what, int code, Error *err) {
    char text[128];
    w->broken = true;
    if (w->error) {
        errno = w->error;
        return fail_errno(err, "%s: cannot write", w->path);
    }
    return fail(err, "%s: %s: %s", w->path, what, ffmpeg_text(code, text));
}

static bool open_encoder(VideoWriter *w, const char *name, int height, int width, int fps, int gop,
                         int crf, Error *err) {
    const AVCodec *codec = NULL;
    const Encoder *e = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders && !codec; i++) {
        if (strcmp(encoders[i].codec, name) != 0) continue;
        known = true;
        e = &encoders[i];
        codec = avcodec_find_encoder_by_name(e->library);
    }
    if (!known) return fail(err, "%s: no video codec %s; use av1, h264 or hevc", w->path, name);
    if (!codec)
        return fail(err, "%s: this FFmpeg has no encoder for %s; install one (%s)", w->path, name,
                    e->library);
    AVCodecContext *c = w->encoder = avcodec_alloc_context3(codec);
    if (!c) return fail(err, "%s: out of memory", w->path);
    c->height = height;
    c->width = width;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->color_range = AVCOL_RANGE_MPEG;
    c->time_base = (AVRational){1, fps};
    c->framerate = (AVRational){fps, 1};
    c->gop_size = gop;
    c->thread_count = 0;
    if (w->format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    for (int i = 0; i < 3 && e->option[i][0]; i++)
        av_opt_set(c->priv_data, e->option[i][0], e->option[i][1], 0);
    char quality[16];
    snprintf(quality, sizeof quality, "%d", crf);
    if (av_opt_set(c->priv_data, "crf", quality, 0) < 0)
        return fail(err, "%s: quality %d is out of range for %s", w->path, crf, e->library);
    int code = avcodec_open2(c, codec, NULL);
    if (code >= 0) return true;
    char text[128];
    return fail(err, "%s: cannot start the %s encoder for %d x %d: %s", w->path, e->library, width,
                height, ffmpeg_text(code, text));
}

static bool write_header(VideoWriter *w, Error *err) {
    uint8_t *buffer = av_malloc(IO_BUFFER);
    if (buffer) w->io = avio_alloc_context(buffer, IO_BUFFER, 1, w, NULL, io_write, io_seek);
    if (!w->io) {
        av_free(buffer);
        return fail(err, "%s: out of memory", w->path);
    }
    w->format->pb = w->io;
    AVStream *s = avformat_new_stream(w->format, NULL);
    if (!s) return fail(err, "%s: out of memory", w->path);
    s->time_base = w->encoder->time_base;
    s->avg_frame_rate = w->encoder->framerate;
    int code = avcodec_parameters_from_context(s->codecpar, w->encoder);
    if (code >= 0) code = avformat_write_header(w->format, NULL);
    return code >= 0 || writer_broken(w, "cannot write the MP4 header", code, err);
}

bool video_writer_open(const char *path, const char *codec, int height, int width, int fps, int gop,
                       int crf, VideoWriter **out, Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    if (height < 2 || width < 2 || height % 2 || width % 2 || height > MAX_SIDE || width > MAX_SIDE)
        return fail(err,
                    "%s: a video of %d x %d cannot be written; both sides must be even and at "
                    "most %d",
                    path, width, height, MAX_SIDE);
    if (fps < 1 || gop < 1)
        return fail(err, "%s: %d frames a second with a keyframe every %d frames cannot be written",
                    path, fps, gop);
    VideoWriter *w = NEW(VideoWriter, 1);
    w->path = mem_strdup(path);
    w->packet = av_packet_alloc();
    w->frame = av_frame_alloc();
    w->sws = sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV420P,
                            SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!w->packet || !w->frame || !w->sws ||
        avformat_alloc_output_context2(&w->format, NULL, "mp4", NULL) < 0) {
        fail(err, "%s: this FFmpeg cannot write MP4", path);
        goto error;
    }
    w->frame->format = AV_PIX_FMT_YUV420P;
    w->frame->color_range = AVCOL_RANGE_MPEG;
    w->frame->width = width;
    w->frame->height = height;
    if (av_frame_get_buffer(w->frame, 0) < 0) {
        fail(err, "%s: no memory for a frame of %d x %d", path, width, height);
        goto error;
    }
    if (!atomic_open(&w->file, path, err) ||
        !open_encoder(w, codec ? codec : "av1", height, width, fps, gop, crf, err) ||
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
    if (code < 0) return writer_broken(w, "encoding failed", code, err);
    while ((code = avcodec_receive_packet(w->encoder, w->packet)) >= 0) {
        if (!w->packet->duration) w->packet->duration = 1;
        av_packet_rescale_ts(w->packet, w->encoder->time_base, w->format->streams[0]->time_base);
        w->packet->stream_index = 0;
        code = av_interleaved_write_frame(w->format, w->packet);
        if (code < 0) return writer_broken(w, "cannot write a frame", code, err);
    }
    w->drained = code == AVERROR_EOF;
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return true;
    return writer_broken(w, "encoding failed", code, err);
}

bool video_writer_add(VideoWriter *w, const uint8_t *rgb, Error *err) {
    if (w->broken) return fail(err, "%s: writing failed before", w->path);
    // The encoder may still hold the frame before: then this copies into a new buffer.
    int code = av_frame_make_writable(w->frame);
    if (code < 0) return writer_broken(w, "no memory for a frame", code, err);
    const uint8_t *in[4] = {rgb};
    int strides[4] = {3 * w->frame->width};
    sws_scale(w->sws, in, strides, 0, w->frame->height, w->frame->data, w->frame->linesize);
    w->frame->pts = w->frames++;
    return encode_frame(w, w->frame, err);
}

bool video_writer_close(VideoWriter *w, Error *err) {
    bool ok = false;
    if (w->broken) {
        fail(err, "%s: writing failed before", w->path);
        goto done;
    }
    if (!w->frames) {
        fail(err, "%s: a video without frames cannot be written", w->path);
        goto done;
    }
    if (!encode_frame(w, NULL, err)) goto done;
    int code = av_write_trailer(w->format);
    avio_flush(w->io);
    if (code >= 0 && w->io->error < 0) code = w->io->error;
    if (code < 0) {
        writer_broken(w, "cannot finish the MP4", code, err);
        goto done;
    }
    ok = atomic_commit(&w->file, err);
done:
    video_writer_abort(w);
    return ok;
}
