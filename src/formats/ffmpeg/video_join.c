// SPDX-License-Identifier: Apache-2.0
// Files of AV1 put one behind the other: their packets, with new times.
#include "base/memory.h"
#include "formats/ffmpeg/mp4_file.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/video_module.h"
#include <string.h>

struct VideoJoin {
    Mp4File mp4;
    AVRational rate;
    AVCodecParameters *parameters; // of the first part; NULL before it
    AVPacket *packet;
    int64_t frames; // added so far
};

void video_join_abort(VideoJoin *j) {
    if (!j) return;
    avcodec_parameters_free(&j->parameters);
    av_packet_free(&j->packet);
    mp4_abort(&j->mp4);
    mem_free(j);
}

bool video_join_open(const char *path, double fps, VideoJoin **out, Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    if (!(fps > 0 && fps <= VIDEO_MAX_FPS))
        return fail(err, "%s: %g frames a second cannot be written", path, fps);
    VideoJoin *j = NEW(VideoJoin, 1);
    j->rate = mp4_rate(fps);
    j->packet = av_packet_alloc();
    if (mp4_open(&j->mp4, path, err) && j->packet) {
        *out = j;
        return true;
    }
    video_join_abort(j);
    return false;
}

// The first part's stream is the whole's; all others must be as it is.
static bool take_parameters(VideoJoin *j, const AVCodecParameters *p, const char *part,
                            Error *err) {
    const AVCodecParameters *first = j->parameters;
    if (first) {
        bool same = p->codec_id == first->codec_id && p->width == first->width &&
                    p->height == first->height && p->extradata_size == first->extradata_size &&
                    (p->extradata_size == 0 ||
                     memcmp(p->extradata, first->extradata, (size_t)p->extradata_size) == 0);
        return same || fail(err, "%s: encoded otherwise than what it is to follow in %s", part,
                            j->mp4.path);
    }
    if (p->codec_id != AV_CODEC_ID_AV1) return fail(err, "%s: not AV1", part);
    j->parameters = avcodec_parameters_alloc();
    if (!j->parameters || avcodec_parameters_copy(j->parameters, p) < 0)
        return fail(err, "%s: out of memory", part);
    j->parameters->codec_tag = 0; // the container chooses it
    return mp4_header(&j->mp4, j->parameters, av_inv_q(j->rate), j->rate, err);
}

static bool add_packets(VideoJoin *j, AVFormatContext *in, int stream, const char *part,
                        int64_t *frames, Error *err) {
    int code;
    char text[128];
    while ((code = av_read_frame(in, j->packet)) >= 0) {
        if (j->packet->stream_index != stream) {
            av_packet_unref(j->packet);
            continue;
        }
        // AV1 has no reordering of packets: one comes when its frame is shown.
        j->packet->pts = j->packet->dts = j->frames;
        j->packet->duration = 1;
        j->packet->pos = -1;
        if (!mp4_packet(&j->mp4, j->packet, av_inv_q(j->rate), err)) return false;
        j->frames++;
        (*frames)++;
    }
    return code == AVERROR_EOF ||
           fail(err, "%s: cannot be read: %s", part, ffmpeg_text(code, text));
}

bool video_join_add(VideoJoin *j, const char *part, int64_t *frames, Error *err) {
    AVFormatContext *in = NULL;
    char text[128];
    *frames = 0;
    if (j->mp4.broken) return fail(err, "%s: writing failed before", j->mp4.path);
    int code = avformat_open_input(&in, part, NULL, NULL);
    if (code < 0) return fail(err, "%s: cannot be read: %s", part, ffmpeg_text(code, text));
    int stream = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    bool ok = stream >= 0 || fail(err, "%s: no video in it", part);
    ok = ok && take_parameters(j, in->streams[stream]->codecpar, part, err) &&
         add_packets(j, in, stream, part, frames, err);
    avformat_close_input(&in);
    return ok;
}

bool video_join_close(VideoJoin *j, Error *err) {
    bool ok = false;
    if (j->mp4.broken)
        fail(err, "%s: writing failed before", j->mp4.path);
    else if (!j->frames)
        fail(err, "%s: a video without frames cannot be written", j->mp4.path);
    else
        ok = mp4_commit(&j->mp4, err);
    video_join_abort(j);
    return ok;
}
