// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "formats/ffmpeg/orient.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/ffmpeg/video_source.h"
#include "formats/video.h"
#include "image/image.h"
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/cpu.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// How far a segment goes on after the frame asked for where no keyframe ends it.
enum { SEGMENT_FRAMES = 256 };

// Pixels that a picture may have beyond twice those that are shown.
enum { SPARE_PIXELS = 1 << 20 };

// Decoding this many frames on costs about as much as a seek.
enum { SEEK_COST = 1 };

struct Video {
    VideoSource in;
    AVCodecContext *decoder;
    AVFrame *picture; // of frame `at`, unless that was just sought
    Rgb rgb;
    int width, height; // of a frame as it is stored
    uint8_t *stored;   // (height, width, 3) where frames are turned, else NULL
    // Display number of the frame decoded last, or after a seek of the one before. It holds while
    // in.running; else a seek is due.
    int64_t at;
    bool drained; // the decoder was told that no packet follows
    int64_t from; // keyframe packet of the last seek: what it leads is not decodable
};

int video_height(const Video *v) {
    return v->in.table->height;
}
int video_width(const Video *v) {
    return v->in.table->width;
}
int64_t video_frames(const Video *v) {
    return v->in.table->frames;
}
double video_rate(const Video *v) {
    return 1 / v->in.table->period;
}
double video_time(const Video *v, int64_t frame) {
    return video_table_time(v->in.table, frame);
}

void video_close(Video *v) {
    if (!v) return;
    avcodec_free_context(&v->decoder);
    source_close(&v->in);
    av_frame_free(&v->picture);
    rgb_free(&v->rgb);
    mem_free(v->stored);
    mem_free(v);
}

static bool open_decoder(Video *v, Error *err) {
    char text[128];
    AVStream *s = v->in.format->streams[v->in.stream];
    enum AVCodecID id = s->codecpar->codec_id;
    const AVCodec *codec = NULL;
    if (id == AV_CODEC_ID_AV1) codec = avcodec_find_decoder_by_name("libdav1d");
    if (!codec) codec = avcodec_find_decoder(id);
    if (!codec)
        return fail(err, "%s: this FFmpeg cannot decode %s; install a decoder or encode it again",
                    v->in.path, avcodec_get_name(id));
    v->decoder = avcodec_alloc_context3(codec);
    if (!v->decoder) return fail_memory(err, "%s: decoding it", v->in.path);
    // From this the decoder knows how long to wait for frames that come later but are shown
    // earlier.
    s->codecpar->video_delay = v->in.table->reorder;
    int code = avcodec_parameters_to_context(v->decoder, s->codecpar);
    v->decoder->pkt_timebase = s->time_base;
    v->decoder->thread_count = 1;
    // What is decoded is cut to the container's size, which was checked: a little more at most.
    v->decoder->max_pixels = 2 * (int64_t)v->in.table->width * v->in.table->height + SPARE_PIXELS;
    v->decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    // With this dav1d returns each frame at once, and a jump decodes nothing beyond its
    // target.
    if (id == AV_CODEC_ID_AV1) v->decoder->flags |= AV_CODEC_FLAG_LOW_DELAY;
    if (code >= 0) code = avcodec_open2(v->decoder, codec, NULL);
    if (code < 0)
        return ffmpeg_failed(err, code, v->in.path, "%s: cannot start the %s decoder: %s; " DAMAGED,
                             v->in.path, avcodec_get_name(id), ffmpeg_text(code, text));
    return true;
}

static Orientation orientation(const VideoTable *t) {
    return t->turn == 90    ? ORIENT_TURN_90
           : t->turn == 180 ? ORIENT_TURN_180
           : t->turn == 270 ? ORIENT_TURN_270
                            : ORIENT_UPRIGHT;
}

static bool prepare_turning(Video *v, Error *err) {
    const VideoTable *t = v->in.table;
    bool swapped = orient_swaps(orientation(t));
    v->width = swapped ? t->height : t->width;
    v->height = swapped ? t->width : t->height;
    if (!t->turn) return true;
    v->stored = mem_try(image_rgb_bytes(v->height, v->width));
    return v->stored || fail_memory(err, "%s: a frame of %d x %d", v->in.path, v->width, v->height);
}

static bool open_file(const char *path, VideoTables *tables, bool times_only, Video **out,
                      Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    Video *v = NEW(Video, 1);
    v->picture = av_frame_alloc();
    v->at = -1;
    if (!v->picture) {
        fail_memory(err, "%s: decoding it", path);
        goto error;
    }
    if (!source_open(&v->in, path, tables, times_only, err)) goto error;
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

// Has the decoder forget all it was sent. The HEVC decoder of FFmpeg 7.1 keeps the finished
// pictures that nobody has taken yet: they would come out first after the seek, as if they belonged
// there.
static void forget_pictures(Video *v) {
    avcodec_flush_buffers(v->decoder);
    while (avcodec_receive_frame(v->decoder, v->picture) >= 0) continue;
}

// Moves demuxer and decoder to a keyframe, which is left in v->in.packet.
static bool seek_to_key(Video *v, int64_t key, Error *err) {
    const VideoPacket *k = &v->in.table->packet[key];
    forget_pictures(v);
    v->drained = false;
    if (!source_seek(&v->in, key, err)) return false;
    v->from = key;
    v->at = video_table_frames_before(v->in.table, k->pts) - 1;
    return true;
}

static bool send_packet(Video *v, Error *err) {
    char text[128];
    // Pictures that lead the keyframe we came in at refer to frames before it.
    if (v->in.packet->pts < v->in.table->packet[v->from].pts) return true;
    int code = avcodec_send_packet(v->decoder, v->in.packet);
    if (code >= 0) return true;
    return ffmpeg_failed(err, code, v->in.path,
                         "%s: the frame at %g s cannot be decoded: %s; " DAMAGED, v->in.path,
                         (double)v->in.packet->pts * v->in.unit, ffmpeg_text(code, text));
}

// Decodes the next picture in display order into v->picture.
static bool next_picture(Video *v, Error *err) {
    char text[128];
    int code;
    while ((code = avcodec_receive_frame(v->decoder, v->picture)) < 0) {
        if (code != AVERROR(EAGAIN))
            return ffmpeg_failed(
                err, code, v->in.path, "%s: a frame after %g s cannot be decoded: %s; " DAMAGED,
                v->in.path, (double)v->in.table->packet[v->in.sent].pts * v->in.unit,
                ffmpeg_text(code, text));
        bool end = false;
        if (!source_next(&v->in, &end, err)) return false;
        if (!end) {
            if (!send_packet(v, err)) return false;
        } else if (v->drained || avcodec_send_packet(v->decoder, NULL) < 0) {
            return fail(err, "%s: the last frame cannot be decoded; " DAMAGED, v->in.path);
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
        number = video_table_packet(v->in.table, v->picture->pts);
    } while (number >= 0 && v->in.table->packet[number].frame < 0);
    const AVFrame *f = v->picture;
    double t = video_time(v, expected);
    // A missing packet would leave those after it without what they refer to.
    if (number < 0 || v->in.table->packet[number].frame != expected)
        return fail(err, "%s: the frame at %g s cannot be decoded; " DAMAGED, v->in.path, t);
    v->at = expected;
    if ((f->flags & AV_FRAME_FLAG_CORRUPT) || f->decode_error_flags)
        return fail(err, "%s: the frame at %g s is damaged; copy or record it again", v->in.path,
                    t);
    if (f->width != v->width || f->height != v->height)
        return fail(err, "%s: the frame at %g s is %d x %d, the file says %d x %d; encode it again",
                    v->in.path, t, f->width, f->height, v->width, v->height);
    return true;
}

static bool decode_onward(Video *v, int64_t frame, Error *err) {
    while (v->at < frame)
        if (!next_frame(v, err)) return false;
    return true;
}

// Makes v->picture the frame wanted.
static bool go_to_frame(Video *v, int64_t frame, Error *err) {
    if (v->in.running && v->at == frame) return true;
    const VideoTable *t = v->in.table;
    int64_t number = t->shown[frame], key = video_table_keyframe(t, number);
    if (key < 0)
        return fail(err, "%s: no keyframe before %g s; encode the video again", v->in.path,
                    (double)t->packet[number].pts * v->in.unit);
    bool onward = v->in.running && frame > v->at &&
                  (key <= v->in.sent || number - v->in.sent <= number - key + SEEK_COST);
    // Damage between here and the frame's own keyframe does not concern it.
    if (onward && decode_onward(v, frame, err)) return true;
    return seek_to_key(v, key, err) && send_packet(v, err) && decode_onward(v, frame, err);
}

bool video_read_index(Video *v, int64_t frame, uint8_t *rgb, Error *err) {
    if (!v->decoder) return fail(err, "%s: was opened to be looked at, not to be read", v->in.path);
    if (frame < 0 || frame >= v->in.table->frames)
        return fail(err, "%s: frame %lld asked for, it has %lld", v->in.path, (long long)frame,
                    (long long)v->in.table->frames);
    uint8_t *target = v->stored ? v->stored : rgb;
    if (go_to_frame(v, frame, err) && rgb_convert(&v->rgb, v->picture, target, v->in.path, err)) {
        if (v->stored) orient_rgb(rgb, v->stored, v->height, v->width, orientation(v->in.table));
        return true;
    }
    // It is not known what the decoder holds now, so the next read seeks.
    v->in.running = false;
    return false;
}

int64_t video_frame_at(const Video *v, double t) {
    return video_table_nearest(v->in.table, t / v->in.unit);
}

void video_segment(const Video *v, int64_t frame, int64_t *first, int64_t *last) {
    const VideoTable *t = v->in.table;
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
    if (!isfinite(t))
        return fail(err, "%s: frame at a time that is no number asked for", v->in.path);
    int64_t frame = video_frame_at(v, t);
    double found = video_time(v, frame);
    // A millionth of slack: times go through float32 in LeRobot's files.
    if (!(fabs(found - t) <= 0.5 * v->in.table->period + 1e-6))
        return fail(err,
                    "%s: no frame at %.6f s, the nearest is at %.6f s (%lld frames of %.3f Hz); "
                    "the video does not fit the dataset's tables",
                    v->in.path, t, found, (long long)v->in.table->frames, 1 / v->in.table->period);
    return video_read_index(v, frame, rgb, err);
}
