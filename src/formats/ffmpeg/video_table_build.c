// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/video_table_build.h"

#include "base/array.h"
#include "base/memory.h"
#include "formats/ffmpeg/nal_units.h"
#include "formats/ffmpeg/orient.h"
#include "formats/ffmpeg/rgb.h"
#include <stdlib.h>
#include <string.h>

#define CUT_SHORT "the file is cut short or damaged; copy or record it again"

// No codec shows a picture that many packets after it was decoded.
enum { MOST_REORDERED = 32 };

// A packet's place while sorting.
typedef struct PacketPlace {
    int64_t pts, number;
} PacketPlace;

static int place_order(const void *a, const void *b) {
    const PacketPlace *p = a, *q = b;
    if (p->pts != q->pts) return p->pts < q->pts ? -1 : 1;
    return (p->number > q->number) - (p->number < q->number);
}

// An MP4 whose sample table lists all that will be shown: no edits, no fragments.
static bool index_lists_all(AVFormatContext *format, AVStream *s) {
    if (!strstr(format->iformat->name, "mp4")) return false;
    int n = avformat_index_get_entries_count(s);
    if (n <= 0 || n != s->nb_frames) return false;
    for (int i = 0; i < n; i++)
        if (avformat_index_get_entry(s, i)->flags & AVINDEX_DISCARD_FRAME) return false;
    return true;
}

// An MP4 whose sample table says everything: no reordering either.
static bool index_is_whole(AVFormatContext *format, AVStream *s) {
    enum AVCodecID codec = s->codecpar->codec_id;
    bool in_order = codec == AV_CODEC_ID_AV1 || codec == AV_CODEC_ID_VP9;
    return in_order && index_lists_all(format, s);
}

static bool rewind_stream(AVFormatContext *format, AVStream *s, const char *name, Error *err) {
    int code = avformat_seek_file(format, s->index, INT64_MIN, INT64_MIN, INT64_MAX, 0);
    char text[128];
    if (code >= 0) return true;
    return ffmpeg_failed(err, code, name, "%s: cannot go back to the start: %s; " CUT_SHORT, name,
                         ffmpeg_text(code, text));
}

// The index holds decoding times; with a first packet whose pts is its dts, these are pts as well.
// (A packet that breaks this later is noticed when it is decoded: its pts is not in the table.)
static bool from_index(VideoTable *t, AVStream *s) {
    int64_t capacity = 0;
    int n = avformat_index_get_entries_count(s);
    for (int i = 0; i < n; i++) {
        const AVIndexEntry *e = avformat_index_get_entry(s, i);
        *ARRAY_ADD(t->packet, t->packets, capacity) = (VideoPacket){
            .pts = e->timestamp, .dts = e->timestamp, .key = (e->flags & AVINDEX_KEYFRAME) != 0};
    }
    return t->packets > 0;
}

static bool index_agrees(const VideoTable *t, AVFormatContext *format, AVStream *s) {
    bool agrees = false;
    AVPacket *p = av_packet_alloc();
    while (p && av_read_frame(format, p) >= 0) {
        bool ours = p->stream_index == s->index;
        if (ours) agrees = p->pts == t->packet[0].pts && p->dts == p->pts;
        av_packet_unref(p);
        if (ours) break;
    }
    av_packet_free(&p);
    return agrees;
}

// Whether the decoding times of the index keep their distance, give or take a tenth.
static bool is_even(const VideoTable *t) {
    int64_t n = t->packets;
    if (n < 2) return false;
    double mean = (double)(t->packet[n - 1].dts - t->packet[0].dts) / (double)(n - 1);
    for (int64_t i = 1; i < n; i++) {
        double step = (double)(t->packet[i].dts - t->packet[i - 1].dts);
        if (!(step >= 0.9 * mean && step <= 1.1 * mean)) return false;
    }
    return true;
}

// The times at which frames are shown, where reordering keeps the index from saying it: at an even
// rate they are the decoding times, moved to begin at the first frame shown, which is one of the
// first packets.
static bool times_from_index(VideoTable *t, AVFormatContext *format, AVStream *s) {
    int64_t first = INT64_MAX;
    if (!index_lists_all(format, s) || !from_index(t, s) || !is_even(t)) return false;
    bool usable = true;
    AVPacket *p = av_packet_alloc();
    for (int64_t i = 0; p && usable && i < MOST_REORDERED && i < t->packets;) {
        usable = av_read_frame(format, p) >= 0;
        if (usable && p->stream_index == s->index) {
            usable = p->pts != AV_NOPTS_VALUE && !(p->flags & AV_PKT_FLAG_DISCARD);
            if (p->pts < first) first = p->pts;
            i++;
        }
        av_packet_unref(p);
    }
    av_packet_free(&p);
    if (!usable || first == INT64_MAX) return false;
    int64_t shift = first - t->packet[0].dts;
    for (int64_t i = 0; i < t->packets; i++) t->packet[i].pts += shift;
    t->times_only = true;
    return true;
}

// A file that was cut short ends before the last byte that its index names.
static bool index_fits_file(AVFormatContext *format, AVStream *s, const char *name, Error *err) {
    int64_t size = avio_size(format->pb), end = 0;
    for (int i = 0; i < avformat_index_get_entries_count(s); i++) {
        const AVIndexEntry *e = avformat_index_get_entry(s, i);
        if (e->pos + e->size > end) end = e->pos + e->size;
    }
    if (size >= 0 && end > size)
        return fail(err, "%s: %lld bytes long, but its frames reach to byte %lld; " CUT_SHORT, name,
                    (long long)size, (long long)end);
    return true;
}

// Walks the outermost boxes of an MP4 (ISO/IEC 14496-12, 4.2): a cut file ends inside one.
static bool boxes_fit_file(AVFormatContext *format, const char *name, Error *err) {
    int64_t size = avio_size(format->pb), before = avio_tell(format->pb), at = 0;
    if (size < 0 || !strstr(format->iformat->name, "mp4")) return true;
    while (size - at >= 8 && avio_seek(format->pb, at, SEEK_SET) >= 0) {
        uint64_t length = avio_rb32(format->pb);
        (void)avio_rb32(format->pb); // type
        if (length == 1) length = avio_rb64(format->pb);
        if (length < 8) { // 0: to the end; other values are no box, but what someone appended
            at = size;
        } else if (length > (uint64_t)(size - at)) {
            return fail(err, "%s: ends at byte %lld, inside a part that goes to %llu; " CUT_SHORT,
                        name, (long long)size, (unsigned long long)at + length);
        } else {
            at += (int64_t)length;
        }
    }
    if (at != size) return fail(err, "%s: ends inside a part's header; " CUT_SHORT, name);
    avio_seek(format->pb, before, SEEK_SET);
    return true;
}

static bool from_packets(VideoTable *t, AVFormatContext *format, AVStream *s, const char *name,
                         Error *err) {
    int64_t capacity = 0, bytes = avio_size(format->pb);
    int code = 0;
    bool ok = false;
    char text[128];
    AVPacket *p = av_packet_alloc();
    while (p && (code = av_read_frame(format, p)) >= 0) {
        if (p->stream_index == s->index) {
            if (p->flags & AV_PKT_FLAG_CORRUPT) {
                fail(err, "%s: packet %lld is broken; " CUT_SHORT, name, (long long)t->packets);
                goto done;
            }
            if (p->pts == AV_NOPTS_VALUE) {
                fail(err, "%s: packet %lld has no time; store the video as MP4", name,
                     (long long)t->packets);
                goto done;
            }
            if (bytes >= 0 && t->packets >= bytes) { // packets of no bytes
                fail(err, "%s: more packets than bytes; " CUT_SHORT, name);
                goto done;
            }
            NalSets sets = nal_sets(p, s->codecpar);
            VideoPacket *packet = ARRAY_ADD(t->packet, t->packets, capacity);
            *packet = (VideoPacket){.pts = p->pts,
                                    .dts = p->dts,
                                    .frame = p->flags & AV_PKT_FLAG_DISCARD ? -1 : 0,
                                    .key = nal_starts_decoding(p, s->codecpar)};
            t->other_sets |= sets.other;
            t->bare_keys |= packet->key && !sets.whole;
        }
        av_packet_unref(p);
    }
    if (code != AVERROR_EOF || (format->pb && format->pb->error < 0)) {
        ffmpeg_failed(err, code, name, "%s: reading stops at packet %lld: %s; " CUT_SHORT, name,
                      (long long)t->packets, ffmpeg_text(code, text));
        goto done;
    }
    ok = true;
done:
    av_packet_free(&p);
    return ok;
}

const int32_t *video_display_matrix(const AVStream *s) {
    const uint8_t *data;
    size_t size = 0;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *side = av_packet_side_data_get(
        s->codecpar->coded_side_data, s->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    data = side ? side->data : NULL;
    size = side ? side->size : 0;
#else
    data = av_stream_get_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
    return data && size >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL;
}

// A decoder keeps some twenty frames.
static bool size_fits_file(int width, int height, AVFormatContext *format, const char *name,
                           Error *err) {
    enum { FREE_PIXELS = 1 << 24, PIXELS_PER_BYTE = 64 };
    int64_t bytes = avio_size(format->pb), pixels = (int64_t)width * height;
    return bytes < 0 || pixels <= FREE_PIXELS + PIXELS_PER_BYTE * bytes ||
           fail(err, "%s: frames of %d x %d in a file of %lld bytes; " CUT_SHORT, name, width,
                height, (long long)bytes);
}

// Size and turn of the frames.
static bool find_size(VideoTable *t, const AVStream *s, const char *name, Error *err) {
    static const int degrees[] = {[ORIENT_UPRIGHT] = 0,
                                  [ORIENT_TURN_90] = 90,
                                  [ORIENT_TURN_180] = 180,
                                  [ORIENT_TURN_270] = 270};
    const int most = 16384;
    int width = s->codecpar->width, height = s->codecpar->height;
    if (width <= 0 || height <= 0 || width > most || height > most)
        return fail(err, "%s: frame size %d x %d is not usable; " CUT_SHORT, name, width, height);
    Orientation o = ORIENT_UPRIGHT;
    const int32_t *matrix = video_display_matrix(s);
    if (matrix && !orient_from_matrix(matrix, &o))
        return fail(
            err,
            "%s: its frames are to be shown mirrored or turned by other than 90, 180 or 270 "
            "degrees (display matrix %d %d %d %d); encode the video again, upright",
            name, matrix[0], matrix[1], matrix[3], matrix[4]);
    t->turn = degrees[o];
    t->width = orient_swaps(o) ? height : width;
    t->height = orient_swaps(o) ? width : height;
    return true;
}

// Sorts, numbers the shown frames, and measures reordering and the period.
static bool table_finish(VideoTable *t, AVStream *s, const char *name, Error *err) {
    bool ok = false;
    PacketPlace *place = NEW(PacketPlace, t->packets);
    t->by_pts = NEW(int64_t, t->packets);
    t->shown = NEW(int64_t, t->packets);
    for (int64_t i = 0; i < t->packets; i++) place[i] = (PacketPlace){t->packet[i].pts, i};
    qsort(place, (size_t)t->packets, sizeof *place, place_order);
    for (int64_t i = 0; i < t->packets; i++) {
        VideoPacket *p = &t->packet[place[i].number];
        if (i && place[i].pts == place[i - 1].pts) {
            fail(err, "%s: two frames have the time %g s; encode the video again", name,
                 (double)p->pts * av_q2d(s->time_base));
            goto done;
        }
        t->by_pts[i] = place[i].number;
        if (p->frame < 0) continue;
        p->frame = t->frames;
        t->shown[t->frames++] = place[i].number;
        // place i in display order against its place in decoding order
        if (place[i].number - i > t->reorder) t->reorder = (int)(place[i].number - i);
    }
    if (!t->frames) {
        fail(err, "%s: no frame in it; " CUT_SHORT, name);
        goto done;
    }
    double unit = t->unit;
    if (t->frames > 1)
        t->period = (double)(t->packet[t->shown[t->frames - 1]].pts - t->packet[t->shown[0]].pts) *
                    unit / (double)(t->frames - 1);
    else if (s->avg_frame_rate.num > 0 && s->avg_frame_rate.den > 0)
        t->period = 1 / av_q2d(s->avg_frame_rate);
    else
        t->period = s->duration > 0 ? (double)s->duration * unit : 1.0 / 30;
    ok = true;
done:
    mem_free(place);
    return ok;
}

// The duration that a container without a sample table declares, against its last frame.
static bool lasts_as_declared(const VideoTable *t, AVFormatContext *format, const char *name,
                              Error *err) {
    if (format->nb_streams != 1 || format->duration <= 0) return true;
    double declared = (double)format->duration / AV_TIME_BASE;
    double first = video_table_time(t, 0), last = video_table_time(t, t->frames - 1);
    double end = last + t->period;
    // A container counts its duration from 0 or from its first frame.
    if (first > 0 && end - first >= declared - 2 * t->period) return true;
    if (end >= declared - 2 * t->period) return true;
    return fail(err, "%s: its frames end at %g s, but it declares %g s; " CUT_SHORT, name, end,
                declared);
}

bool video_table_build(VideoTable *t, AVFormatContext *format, int stream, bool times_only,
                       const char *name, Error *err) {
    AVStream *s = format->streams[stream];
    if (!boxes_fit_file(format, name, err) || !index_fits_file(format, s, name, err)) goto error;
    bool from_table = index_is_whole(format, s) && from_index(t, s) && index_agrees(t, format, s);
    if (!from_table && times_only) {
        video_table_free(t);
        if (!rewind_stream(format, s, name, err)) goto error;
        from_table = times_from_index(t, format, s);
    }
    if (!from_table) {
        video_table_free(t);
        if (!rewind_stream(format, s, name, err) || !from_packets(t, format, s, name, err))
            goto error;
    }
    if (t->packets < s->nb_frames && t->packets < avformat_index_get_entries_count(s)) {
        fail(err, "%s: %lld of its %lld frames can be read; " CUT_SHORT, name,
             (long long)t->packets, (long long)s->nb_frames);
        goto error;
    }
    if (!t->packets) {
        fail(err, "%s: no frame in it; " CUT_SHORT, name);
        goto error;
    }
    t->unit = av_q2d(s->time_base);
    if (!find_size(t, s, name, err) || !size_fits_file(t->width, t->height, format, name, err) ||
        !table_finish(t, s, name, err))
        goto error;
    if (!s->nb_frames && !lasts_as_declared(t, format, name, err)) goto error;
    if (!rewind_stream(format, s, name, err)) goto error;
    return true;
error:
    video_table_free(t);
    return false;
}
