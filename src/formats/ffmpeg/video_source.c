// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/video_source.h"

#include "base/memory.h"
#include "formats/ffmpeg/mp4_boxes.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/ffmpeg/video_table_build.h"
#include "formats/video_tables.h"
#include <stdio.h>
#include <string.h>

// Coded pictures look like random bytes, so this many zeros in a row are a hole that a crash
// left in the file. AV1 has no checksum, and its decoder makes a grey picture of such a hole
// without a word.
enum { HOLE = 32 };

// Opens the container. Only plain files of the two families that hold LeRobot's videos: a playlist
// or an address would make the library read other files.
static bool open_container(VideoSource *in, Error *err) {
    char text[128];
    bool ok = false;
    AVDictionary *options = NULL;
    if (!mp4_boxes_check(in->path, err)) return false;
    size_t size = strlen(in->path) + 8;
    char *url = mem_alloc(size);
    snprintf(url, size, "file:%s", in->path);
    av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm", 0);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int code = avformat_open_input(&in->format, url, NULL, &options);
    if (code < 0) {
        if (code == AVERROR_INVALIDDATA)
            fail(err, "%s: not an MP4 or Matroska video, or cut short; copy or record it again",
                 in->path);
        else
            ffmpeg_failed(err, code, in->path, "%s: cannot open the video: %s", in->path,
                          ffmpeg_text(code, text));
        goto done;
    }
    in->stream = -1;
    for (unsigned i = 0; i < in->format->nb_streams; i++) {
        AVStream *s = in->format->streams[i];
        bool video = s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
                     !(s->disposition & AV_DISPOSITION_ATTACHED_PIC);
        if (video && in->stream < 0)
            in->stream = (int)i;
        else
            s->discard = AVDISCARD_ALL;
    }
    if (in->stream < 0) {
        fail(err, "%s: no video stream in it; check the path", in->path);
        goto done;
    }
    ok = true;
done:
    av_dict_free(&options);
    mem_free(url);
    return ok;
}

static bool find_table(VideoSource *in, VideoTables *tables, bool times_only, Error *err) {
    in->table = tables ? video_tables_find(tables, in->path) : NULL;
    if (in->table) return true;
    if (!video_table_build(&in->own, in->format, in->stream, times_only, in->path, err))
        return false;
    in->table =
        tables && !in->own.times_only ? video_tables_add(tables, in->path, &in->own) : &in->own;
    return true;
}

void source_close(VideoSource *in) {
    avformat_close_input(&in->format);
    av_packet_free(&in->packet);
    video_table_free(&in->own);
    mem_free(in->path);
    *in = (VideoSource){0};
}

bool source_open(VideoSource *in, const char *path, VideoTables *tables, bool times_only,
                 Error *err) {
    in->path = mem_strdup(path);
    in->packet = av_packet_alloc();
    in->sent = -1;
    if (!in->packet) return fail_memory(err, "%s: decoding it", path);
    if (!open_container(in, err)) return false;
    AVStream *s = in->format->streams[in->stream];
    if (s->codecpar->width <= 0) { // a header that leaves it to the frames
        int code = avformat_find_stream_info(in->format, NULL);
        char text[128];
        if (code < 0)
            return ffmpeg_failed(err, code, path, "%s: cannot find out what is in it: %s; " DAMAGED,
                                 path, ffmpeg_text(code, text));
    }
    in->unit = av_q2d(s->time_base);
    return find_table(in, tables, times_only, err);
}

// Zeros at the end of an H.264 or HEVC packet may be padding (trailing_zero_8bits): of those at
// most half of the packet passes.
static int checked_size(const AVPacket *p, enum AVCodecID codec) {
    int size = p->size;
    if (codec == AV_CODEC_ID_AV1 || codec == AV_CODEC_ID_VP9) return size;
    while (size > p->size / 2 && !p->data[size - 1]) size--;
    return size;
}

static bool packet_has_hole(const AVPacket *p, enum AVCodecID codec) {
    static const uint8_t zeros[HOLE];
    if (codec != AV_CODEC_ID_AV1 && codec != AV_CODEC_ID_VP9 && codec != AV_CODEC_ID_H264 &&
        codec != AV_CODEC_ID_HEVC)
        return false;
    int size = checked_size(p, codec);
    // A run of HOLE zeros has a zero at one of every HOLE places.
    for (int at = HOLE - 1; at < size; at += HOLE) {
        if (p->data[at]) continue;
        int start = at;
        while (start > at - HOLE + 1 && !p->data[start - 1]) start--;
        if (size - start >= HOLE && memcmp(p->data + start, zeros, HOLE) == 0) return true;
    }
    return false;
}

bool source_next(VideoSource *in, bool *end, Error *err) {
    char text[128];
    *end = false;
    for (;;) {
        av_packet_unref(in->packet);
        int code = av_read_frame(in->format, in->packet);
        if (code == AVERROR_EOF && in->sent == in->table->packets - 1) {
            *end = true;
            return true;
        }
        if (code < 0)
            return ffmpeg_failed(err, code, in->path,
                                 "%s: reading stops after packet %lld of %lld: %s; " DAMAGED,
                                 in->path, (long long)in->sent + 1, (long long)in->table->packets,
                                 ffmpeg_text(code, text));
        if (in->packet->stream_index == in->stream) break;
    }
    int64_t number = video_table_packet(in->table, in->packet->pts);
    if (number < 0 || (in->packet->flags & AV_PKT_FLAG_CORRUPT) ||
        packet_has_hole(in->packet, in->format->streams[in->stream]->codecpar->codec_id))
        return fail(err, "%s: the packet at %g s is damaged or not in the index; " DAMAGED,
                    in->path, (double)in->packet->pts * in->unit);
    if (in->running && number != in->sent + 1)
        return fail(err, "%s: packet %lld follows packet %lld; " DAMAGED, in->path,
                    (long long)number, (long long)in->sent);
    in->sent = number;
    return true;
}

// Moves the demuxer so that packet `key` is in in->packet, from a place at or before it.
static bool demuxer_land_on(VideoSource *in, int64_t key, int64_t target, Error *err) {
    int code = av_seek_frame(in->format, in->stream, target, AVSEEK_FLAG_BACKWARD);
    char text[128];
    in->sent = -1;
    double t = (double)in->table->packet[key].pts * in->unit;
    if (code < 0)
        return ffmpeg_failed(err, code, in->path, "%s: cannot seek to %g s: %s; " DAMAGED, in->path,
                             t, ffmpeg_text(code, text));
    while (in->sent < key) {
        bool end = false;
        if (!source_next(in, &end, err)) return false;
    }
    if (in->sent == key) return true;
    return fail(err, "%s: cannot seek to %g s; " DAMAGED, in->path, t);
}

bool source_seek(VideoSource *in, int64_t key, Error *err) {
    const VideoPacket *k = &in->table->packet[key], *first = &in->table->packet[0];
    in->running = false;
    // Containers index by decoding or by display times. Where neither lands at or before the
    // frame, reading begins at the start.
    in->running =
        demuxer_land_on(in, key, k->pts, err) ||
        (k->dts != k->pts && k->dts != AV_NOPTS_VALUE && demuxer_land_on(in, key, k->dts, err)) ||
        demuxer_land_on(in, key, first->dts == AV_NOPTS_VALUE ? first->pts : first->dts, err);
    return in->running;
}
