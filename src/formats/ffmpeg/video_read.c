// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "formats/ffmpeg/mp4_boxes.h"
#include "formats/ffmpeg/orient.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/ffmpeg/video_table_build.h"
#include "formats/video.h"
#include "formats/video_tables.h"
#include "image/image.h"
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/cpu.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DAMAGED "the file is damaged; copy or record it again"

// Coded pictures look like random bytes, so this many zeros in a row are a hole that a crash
// left in the file. AV1 has no checksum, and its decoder makes a grey picture of such a hole
// without a word.
enum { HOLE = 32 };

// How far a segment goes on after the frame asked for where no keyframe ends it.
enum { SEGMENT_FRAMES = 256 };

// Pixels that a picture may have beyond twice those that are shown.
enum { SPARE_PIXELS = 1 << 20 };

// Decoding this many frames on costs about as much as a seek.
enum { SEEK_COST = 1 };

struct Video {
    char *path;
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *picture; // of frame `at`, unless that was just sought
    Rgb rgb;
    const VideoTable *table; // `own`, or a shared one
    VideoTable own;
    int stream, width, height; // of a frame as it is stored
    double unit;               // seconds
    uint8_t *stored;           // (height, width, 3) where frames are turned, else NULL
    int64_t at;   // display number of the frame decoded last, or after a seek of the one before
    int64_t sent; // number of the packet read last, -1 at the start
    bool running; // demuxer and decoder stand where at and sent say; else a seek is due
    bool drained; // the decoder was told that no packet follows
    int64_t from; // keyframe packet of the last seek: what it leads is not decodable
};

int video_height(const Video *v) {
    return v->table->height;
}
int video_width(const Video *v) {
    return v->table->width;
}
int64_t video_frames(const Video *v) {
    return v->table->frames;
}
double video_rate(const Video *v) {
    return 1 / v->table->period;
}
double video_time(const Video *v, int64_t frame) {
    return video_table_time(v->table, frame);
}

void video_close(Video *v) {
    if (!v) return;
    avcodec_free_context(&v->decoder);
    avformat_close_input(&v->format);
    av_packet_free(&v->packet);
    av_frame_free(&v->picture);
    rgb_free(&v->rgb);
    mem_free(v->stored);
    video_table_free(&v->own);
    mem_free(v->path);
    mem_free(v);
}

// Opens the container. Only plain files of the two families that hold LeRobot's videos: a playlist
// or an address would make the library read other files.
static bool open_container(Video *v, Error *err) {
    char text[128];
    bool ok = false;
    AVDictionary *options = NULL;
    if (!mp4_boxes_check(v->path, err)) return false;
    size_t size = strlen(v->path) + 8;
    char *url = mem_alloc(size);
    snprintf(url, size, "file:%s", v->path);
    av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm", 0);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int code = avformat_open_input(&v->format, url, NULL, &options);
    if (code < 0) {
        if (code == AVERROR_INVALIDDATA)
            fail(err, "%s: not an MP4 or Matroska video, or cut short; copy or record it again",
                 v->path);
        else
            ffmpeg_failed(err, code, v->path, "%s: cannot open the video: %s", v->path,
                          ffmpeg_text(code, text));
        goto done;
    }
    v->stream = -1;
    for (unsigned i = 0; i < v->format->nb_streams; i++) {
        AVStream *s = v->format->streams[i];
        bool video = s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
                     !(s->disposition & AV_DISPOSITION_ATTACHED_PIC);
        if (video && v->stream < 0)
            v->stream = (int)i;
        else
            s->discard = AVDISCARD_ALL;
    }
    if (v->stream < 0) {
        fail(err, "%s: no video stream in it; check the path", v->path);
        goto done;
    }
    ok = true;
done:
    av_dict_free(&options);
    mem_free(url);
    return ok;
}

static bool open_decoder(Video *v, Error *err) {
    char text[128];
    AVStream *s = v->format->streams[v->stream];
    enum AVCodecID id = s->codecpar->codec_id;
    const AVCodec *codec = NULL;
    if (id == AV_CODEC_ID_AV1) codec = avcodec_find_decoder_by_name("libdav1d");
    if (!codec) codec = avcodec_find_decoder(id);
    if (!codec)
        return fail(err, "%s: this FFmpeg cannot decode %s; install a decoder or encode it again",
                    v->path, avcodec_get_name(id));
    v->decoder = avcodec_alloc_context3(codec);
    if (!v->decoder) return fail_memory(err, "%s: decoding it", v->path);
    // From this the decoder knows how long to wait for frames that come later but are shown
    // earlier.
    s->codecpar->video_delay = v->table->reorder;
    int code = avcodec_parameters_to_context(v->decoder, s->codecpar);
    v->decoder->pkt_timebase = s->time_base;
    v->decoder->thread_count = 1;
    // What is decoded is cut to the container's size, which was checked: a little more at most.
    v->decoder->max_pixels = 2 * (int64_t)v->table->width * v->table->height + SPARE_PIXELS;
    v->decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    // With this dav1d returns each frame at once, and a jump decodes nothing beyond its
    // target.
    if (id == AV_CODEC_ID_AV1) v->decoder->flags |= AV_CODEC_FLAG_LOW_DELAY;
    if (code >= 0) code = avcodec_open2(v->decoder, codec, NULL);
    if (code < 0)
        return ffmpeg_failed(err, code, v->path, "%s: cannot start the %s decoder: %s; " DAMAGED,
                             v->path, avcodec_get_name(id), ffmpeg_text(code, text));
    return true;
}

static bool find_table(Video *v, VideoTables *tables, bool times_only, Error *err) {
    v->table = tables ? video_tables_find(tables, v->path) : NULL;
    if (v->table) return true;
    if (!video_table_build(&v->own, v->format, v->stream, times_only, v->path, err)) return false;
    v->table = tables && !v->own.times_only ? video_tables_add(tables, v->path, &v->own) : &v->own;
    return true;
}

static Orientation orientation(const VideoTable *t) {
    return t->turn == 90    ? ORIENT_TURN_90
           : t->turn == 180 ? ORIENT_TURN_180
           : t->turn == 270 ? ORIENT_TURN_270
                            : ORIENT_UPRIGHT;
}

static bool prepare_turning(Video *v, Error *err) {
    const VideoTable *t = v->table;
    bool swapped = orient_swaps(orientation(t));
    v->width = swapped ? t->height : t->width;
    v->height = swapped ? t->width : t->height;
    if (!t->turn) return true;
    v->stored = mem_try(image_rgb_bytes(v->height, v->width));
    return v->stored || fail_memory(err, "%s: a frame of %d x %d", v->path, v->width, v->height);
}

static bool open_file(const char *path, VideoTables *tables, bool times_only, Video **out,
                      Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    Video *v = NEW(Video, 1);
    v->path = mem_strdup(path);
    v->packet = av_packet_alloc();
    v->picture = av_frame_alloc();
    v->at = v->sent = -1;
    if (!v->packet || !v->picture) {
        fail_memory(err, "%s: decoding it", path);
        goto error;
    }
    if (!open_container(v, err)) goto error;
    AVStream *s = v->format->streams[v->stream];
    if (s->codecpar->width <= 0) { // a header that leaves it to the frames
        int code = avformat_find_stream_info(v->format, NULL);
        char text[128];
        if (code < 0) {
            ffmpeg_failed(err, code, path, "%s: cannot find out what is in it: %s; " DAMAGED, path,
                          ffmpeg_text(code, text));
            goto error;
        }
    }
    v->unit = av_q2d(s->time_base);
    if (!find_table(v, tables, times_only, err)) goto error;
    if (!times_only && (!prepare_turning(v, err) || !open_decoder(v, err))) goto error;
    *out = v;
    return true;
error:
    video_close(v);
    return false;
}

bool video_open(const char *path, VideoTables *tables, Video **out, Error *err) {
    return open_file(path, tables, false, out, err);
}

bool video_look(const char *path, VideoTables *tables, Video **out, Error *err) {
    return open_file(path, tables, true, out, err);
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

// Reads the next packet of the stream into v->packet and its number into v->sent. *end when there
// is none. Checks that packets come in the table's order, so that none is lost unnoticed.
static bool next_packet(Video *v, bool *end, Error *err) {
    char text[128];
    *end = false;
    for (;;) {
        av_packet_unref(v->packet);
        int code = av_read_frame(v->format, v->packet);
        if (code == AVERROR_EOF && v->sent == v->table->packets - 1) {
            *end = true;
            return true;
        }
        if (code < 0)
            return ffmpeg_failed(err, code, v->path,
                                 "%s: reading stops after packet %lld of %lld: %s; " DAMAGED,
                                 v->path, (long long)v->sent + 1, (long long)v->table->packets,
                                 ffmpeg_text(code, text));
        if (v->packet->stream_index == v->stream) break;
    }
    int64_t number = video_table_packet(v->table, v->packet->pts);
    if (number < 0 || (v->packet->flags & AV_PKT_FLAG_CORRUPT) ||
        packet_has_hole(v->packet, v->decoder->codec_id))
        return fail(err, "%s: the packet at %g s is damaged or not in the index; " DAMAGED, v->path,
                    (double)v->packet->pts * v->unit);
    if (v->running && number != v->sent + 1)
        return fail(err, "%s: packet %lld follows packet %lld; " DAMAGED, v->path,
                    (long long)number, (long long)v->sent);
    v->sent = number;
    return true;
}

// Moves the demuxer so that packet `key` is in v->packet, from a place at or before it.
static bool demuxer_land_on(Video *v, int64_t key, int64_t target, Error *err) {
    int code = av_seek_frame(v->format, v->stream, target, AVSEEK_FLAG_BACKWARD);
    char text[128];
    v->sent = -1;
    double t = (double)v->table->packet[key].pts * v->unit;
    if (code < 0)
        return ffmpeg_failed(err, code, v->path, "%s: cannot seek to %g s: %s; " DAMAGED, v->path,
                             t, ffmpeg_text(code, text));
    while (v->sent < key) {
        bool end = false;
        if (!next_packet(v, &end, err)) return false;
    }
    if (v->sent == key) return true;
    return fail(err, "%s: cannot seek to %g s; " DAMAGED, v->path, t);
}

// Has the decoder forget all it was sent. The HEVC decoder of FFmpeg 7.1 keeps the finished
// pictures that nobody has taken yet: they would come out first after the seek, as if they belonged
// there.
static void forget_pictures(Video *v) {
    avcodec_flush_buffers(v->decoder);
    while (avcodec_receive_frame(v->decoder, v->picture) >= 0) continue;
}

// Moves demuxer and decoder to a keyframe, which is left in v->packet.
static bool seek_to_key(Video *v, int64_t key, Error *err) {
    const VideoPacket *k = &v->table->packet[key], *first = &v->table->packet[0];
    forget_pictures(v);
    v->running = v->drained = false;
    // Containers index by decoding or by display times. Where neither lands at or before the
    // frame, reading begins at the start.
    if (!demuxer_land_on(v, key, k->pts, err) &&
        (k->dts == k->pts || k->dts == AV_NOPTS_VALUE || !demuxer_land_on(v, key, k->dts, err)) &&
        !demuxer_land_on(v, key, first->dts == AV_NOPTS_VALUE ? first->pts : first->dts, err))
        return false;
    v->from = key;
    v->at = video_table_frames_before(v->table, k->pts) - 1;
    v->running = true;
    return true;
}

static bool send_packet(Video *v, Error *err) {
    char text[128];
    // Pictures that lead the keyframe we came in at refer to frames before it.
    if (v->packet->pts < v->table->packet[v->from].pts) return true;
    int code = avcodec_send_packet(v->decoder, v->packet);
    if (code >= 0) return true;
    return ffmpeg_failed(err, code, v->path,
                         "%s: the frame at %g s cannot be decoded: %s; " DAMAGED, v->path,
                         (double)v->packet->pts * v->unit, ffmpeg_text(code, text));
}

// Decodes the next picture in display order into v->picture.
static bool next_picture(Video *v, Error *err) {
    char text[128];
    int code;
    while ((code = avcodec_receive_frame(v->decoder, v->picture)) < 0) {
        if (code != AVERROR(EAGAIN))
            return ffmpeg_failed(
                err, code, v->path, "%s: a frame after %g s cannot be decoded: %s; " DAMAGED,
                v->path, (double)v->table->packet[v->sent].pts * v->unit, ffmpeg_text(code, text));
        bool end = false;
        if (!next_packet(v, &end, err)) return false;
        if (!end) {
            if (!send_packet(v, err)) return false;
        } else if (v->drained || avcodec_send_packet(v->decoder, NULL) < 0) {
            return fail(err, "%s: the last frame cannot be decoded; " DAMAGED, v->path);
        } else {
            v->drained = true;
        }
    }
    return true;
}

// Decodes the next frame into v->picture and steps v->at.
static bool next_frame(Video *v, Error *err) {
    int64_t number, expected = v->at + 1;
    do { // not every decoder leaves out by itself what an edit list hides
        if (!next_picture(v, err)) return false;
        number = video_table_packet(v->table, v->picture->pts);
    } while (number >= 0 && v->table->packet[number].frame < 0);
    const AVFrame *f = v->picture;
    double t = video_time(v, expected);
    // A missing packet would leave those after it without what they refer to.
    if (number < 0 || v->table->packet[number].frame != expected)
        return fail(err, "%s: the frame at %g s cannot be decoded; " DAMAGED, v->path, t);
    v->at = expected;
    if ((f->flags & AV_FRAME_FLAG_CORRUPT) || f->decode_error_flags)
        return fail(err, "%s: the frame at %g s is damaged; copy or record it again", v->path, t);
    if (f->width != v->width || f->height != v->height)
        return fail(err, "%s: the frame at %g s is %d x %d, the file says %d x %d; encode it again",
                    v->path, t, f->width, f->height, v->width, v->height);
    return true;
}

static bool decode_onward(Video *v, int64_t frame, Error *err) {
    while (v->at < frame)
        if (!next_frame(v, err)) return false;
    return true;
}

// Makes v->picture the frame wanted.
static bool go_to_frame(Video *v, int64_t frame, Error *err) {
    if (v->running && v->at == frame) return true;
    const VideoTable *t = v->table;
    int64_t number = t->shown[frame], key = video_table_keyframe(t, number);
    if (key < 0)
        return fail(err, "%s: no keyframe before %g s; encode the video again", v->path,
                    (double)t->packet[number].pts * v->unit);
    bool onward = v->running && frame > v->at &&
                  (key <= v->sent || number - v->sent <= number - key + SEEK_COST);
    // Damage between here and the frame's own keyframe does not concern it.
    if (onward && decode_onward(v, frame, err)) return true;
    return seek_to_key(v, key, err) && send_packet(v, err) && decode_onward(v, frame, err);
}

bool video_read_index(Video *v, int64_t frame, uint8_t *rgb, Error *err) {
    if (!v->decoder) return fail(err, "%s: was opened to be looked at, not to be read", v->path);
    if (frame < 0 || frame >= v->table->frames)
        return fail(err, "%s: frame %lld asked for, it has %lld", v->path, (long long)frame,
                    (long long)v->table->frames);
    uint8_t *target = v->stored ? v->stored : rgb;
    if (go_to_frame(v, frame, err) && rgb_convert(&v->rgb, v->picture, target, v->path, err)) {
        if (v->stored) orient_rgb(rgb, v->stored, v->height, v->width, orientation(v->table));
        return true;
    }
    // It is not known what the decoder holds now, so the next read seeks.
    v->running = false;
    return false;
}

int64_t video_frame_at(const Video *v, double t) {
    return video_table_nearest(v->table, t / v->unit);
}

void video_segment(const Video *v, int64_t frame, int64_t *first, int64_t *last) {
    const VideoTable *t = v->table;
    int64_t key = video_table_keyframe(t, t->shown[frame]);
    *first = *last = frame;
    if (key < 0) return;
    *first = video_table_frames_before(t, (double)t->packet[key].pts);
    int64_t end = frame + SEGMENT_FRAMES < t->frames ? frame + SEGMENT_FRAMES : t->frames;
    while (*last + 1 < end && video_table_keyframe(t, t->shown[*last + 1]) == key) ++*last;
}

bool video_decoder_name(char *out, size_t size) {
    const AVCodec *av1 = avcodec_find_decoder_by_name("libdav1d");
    snprintf(out, size, "avcodec %x swscale %x %s cpu %x", avcodec_version(), swscale_version(),
             av1 ? "dav1d" : "no dav1d", (unsigned)av_get_cpu_flags());
    return true;
}

bool video_read(Video *v, double t, uint8_t *rgb, Error *err) {
    if (!isfinite(t)) return fail(err, "%s: frame at a time that is no number asked for", v->path);
    int64_t frame = video_frame_at(v, t);
    double found = video_time(v, frame);
    // A millionth of slack: times go through float32 in LeRobot's files.
    if (!(fabs(found - t) <= 0.5 * v->table->period + 1e-6))
        return fail(err,
                    "%s: no frame at %.6f s, the nearest is at %.6f s (%lld frames of %.3f Hz); "
                    "the video does not fit the dataset's tables",
                    v->path, t, found, (long long)v->table->frames, 1 / v->table->period);
    return video_read_index(v, frame, rgb, err);
}
