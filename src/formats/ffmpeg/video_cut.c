// SPDX-License-Identifier: Apache-2.0
// Stretches of videos put one behind the other: their packets, with new times.
#include "base/array.h"
#include "base/memory.h"
#include "formats/ffmpeg/cut_plan.h"
#include "formats/ffmpeg/hevc_order.h"
#include "formats/ffmpeg/mp4_file.h"
#include "formats/ffmpeg/nal_units.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/ffmpeg/video_source.h"
#include "formats/ffmpeg/video_table_build.h"
#include "formats/video_module.h"
#include <libavcodec/avcodec.h>
#include <string.h>
#include <sys/stat.h>

// No codec shows a picture that many packets after it was decoded.
enum { MOST_REORDERED = 32 };

struct VideoCut {
    Mp4File mp4;
    VideoSource in; // the file that was added last, still open
    struct stat at; // what it was when it was opened
    int64_t step;   // its cut_usual_step
    // Of it, what was added last, where that is the last in the new file: its packets, the number
    // of packets before it, and the time at which its keyframe is shown.
    CutPlan plan;
    int64_t start, base;
    bool going;
    // How the first stretch is encoded; NULL before it.
    AVCodecParameters *parameters;
    AVRational unit, rate; // of its time; see CutPlan.rate
    int turn, reorder;
    int64_t packets, next; // added so far; the time at which the next one would be shown
    int64_t *shown;        // (n_shown) times at which the packets are shown, in display order
    int64_t n_shown, room;
    int64_t period;             // time from one to the next, about
    bool other_sets, bare_keys; // of any file so far, as in its table
    HevcKept kept;
};

void video_cut_abort(VideoCut *c) {
    if (!c) return;
    avcodec_parameters_free(&c->parameters);
    source_close(&c->in);
    mem_free(c->shown);
    mp4_abort(&c->mp4);
    mem_free(c);
}

bool video_cut_open(const char *path, VideoCut **out, Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    VideoCut *c = NEW(VideoCut, 1);
    if (mp4_open(&c->mp4, path, err)) {
        *out = c;
        return true;
    }
    video_cut_abort(c);
    return false;
}

static AVStream *stream_of(const VideoCut *c) {
    return c->in.format->streams[c->in.stream];
}

// Whether an MP4 can hold what the file has.
static bool check_codec(const VideoCut *c, Error *err) {
    const AVCodecParameters *p = stream_of(c)->codecpar;
    const char *name = avcodec_get_name(p->codec_id);
    if (avformat_query_codec(c->mp4.format->oformat, p->codec_id, FF_COMPLIANCE_NORMAL) != 1)
        return fail(err, "%s: an MP4 cannot hold %s; encode the video again", c->in.path, name);
    bool in_units = p->codec_id == AV_CODEC_ID_H264 || p->codec_id == AV_CODEC_ID_HEVC;
    return !in_units || nal_length_bytes(p) ||
           fail(err, "%s: %s without the record that an MP4 has of it; store the video as MP4",
                c->in.path, name);
}

// Another file may have taken the place of the one that is open.
static bool is_open(const VideoCut *c, const char *file, const struct stat *now) {
    const struct stat *at = &c->at;
    return c->in.path && strcmp(c->in.path, file) == 0 && at->st_dev == now->st_dev &&
           at->st_ino == now->st_ino && at->st_size == now->st_size &&
           at->st_mtim.tv_sec == now->st_mtim.tv_sec && at->st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

static bool open_source(VideoCut *c, const char *file, VideoTables *tables, Error *err) {
    struct stat now;
    if (stat(file, &now) != 0) return fail_errno(err, "%s: cannot read", file);
    if (is_open(c, file, &now)) return true;
    source_close(&c->in);
    c->at = now;
    c->going = false;
    if (!source_open(&c->in, file, tables, false, err) || !check_codec(c, err)) return false;
    AVCodecParameters *p = stream_of(c)->codecpar;
    // The header of an MP4 says this of VP9, that of Matroska does not.
    if (p->codec_id == AV_CODEC_ID_VP9 && p->format == AV_PIX_FMT_NONE) {
        int code = avformat_find_stream_info(c->in.format, NULL);
        char text[128];
        if (code < 0)
            return ffmpeg_failed(err, code, file, "%s: cannot find out what is in it: %s; " DAMAGED,
                                 file, ffmpeg_text(code, text));
    }
    c->step = cut_usual_step(&c->in);
    return true;
}

static bool same_colours(const AVCodecParameters *p, const AVCodecParameters *q) {
    return p->color_range == q->color_range && p->color_primaries == q->color_primaries &&
           p->color_trc == q->color_trc && p->color_space == q->color_space;
}

static bool same_extradata(const AVCodecParameters *p, const uint8_t *data, size_t size) {
    return (size_t)p->extradata_size == size &&
           (size == 0 || memcmp(p->extradata, data, size) == 0);
}

// Whether keyframes are decoded with their own parameter sets, whatever was decoded before: all
// have some, or there are none but those of the header.
static bool sets_fit(const VideoCut *c) {
    const VideoTable *t = c->in.table;
    return !(c->other_sets || t->other_sets) || !(c->bare_keys || t->bare_keys);
}

// Its first packet is in c->in.packet.
static bool stretch_fits(const VideoCut *c, const CutPlan *plan) {
    const AVCodecParameters *p = c->parameters, *q = stream_of(c)->codecpar;
    if (!p) return true;
    return p->codec_id == q->codec_id && p->width == q->width && p->height == q->height &&
           p->format == q->format && p->profile == q->profile && same_colours(p, q) &&
           same_extradata(p, q->extradata, (size_t)q->extradata_size) &&
           av_cmp_q(c->unit, stream_of(c)->time_base) == 0 && av_cmp_q(c->rate, plan->rate) == 0 &&
           c->next < CUT_MOST_TICKS && c->turn == c->in.table->turn &&
           plan->reorder <= c->reorder && sets_fit(c) && hevc_may_follow(&c->kept, c->in.packet, p);
}

// FFmpeg's tag of a codec in a file, where an MP4 may have it too: hvc1 and hev1, for example.
static void keep_tag(const VideoCut *c, AVCodecParameters *p) {
    const struct AVCodecTag *const *tags = c->mp4.format->oformat->codec_tag;
    if (av_codec_get_id(tags, p->codec_tag) != p->codec_id) p->codec_tag = 0; // it chooses one
}

// Since FFmpeg 6.1 it goes along with the parameters.
static bool keep_display_matrix(VideoCut *c, Error *err) {
#if LIBAVFORMAT_VERSION_INT < AV_VERSION_INT(60, 15, 100)
    const int32_t *matrix = video_display_matrix(stream_of(c));
    if (!matrix) return true;
    const size_t size = 9 * sizeof(int32_t);
    uint8_t *data =
        av_stream_new_side_data(c->mp4.format->streams[0], AV_PKT_DATA_DISPLAYMATRIX, size);
    if (!data) return fail_memory(err, "%s: writing its header", c->mp4.path);
    memcpy(data, matrix, size);
#else
    (void)c;
    (void)err;
#endif
    return true;
}

static int64_t period_of(const VideoCut *c) {
    const VideoTable *t = c->in.table;
    double period = t->period / t->unit + 0.5;
    return period > 1 ? (int64_t)period : 1;
}

// The new file's header, from the first stretch.
static bool begin(VideoCut *c, const CutPlan *plan, Error *err) {
    const AVStream *s = stream_of(c);
    const VideoTable *t = c->in.table;
    int reorder = t->reorder > plan->reorder ? t->reorder : plan->reorder;
    if (reorder > MOST_REORDERED)
        return fail(err, "%s: shows frames %d packets after they came; encode the video again",
                    c->in.path, reorder);
    c->parameters = avcodec_parameters_alloc();
    if (!c->parameters || avcodec_parameters_copy(c->parameters, s->codecpar) < 0)
        return fail_memory(err, "%s: writing its header", c->mp4.path);
    keep_tag(c, c->parameters);
    c->unit = s->time_base;
    c->rate = plan->rate;
    c->turn = t->turn;
    c->reorder = reorder;
    c->period = period_of(c);
    AVRational rate = plan->rate.num ? plan->rate : s->avg_frame_rate;
    return mp4_header(&c->mp4, c->parameters, c->unit, rate, err) && keep_display_matrix(c, err);
}

// Where the frame would be shown that follows what was added last.
static int64_t end_of(const VideoCut *c) {
    const CutPlan *p = &c->plan;
    if (c->rate.num) // so that roundings do not add up
        return av_rescale_q(c->start + p->count, av_inv_q(c->rate), c->unit);
    return c->base + cut_pts(&c->in, p->low + p->count - 1) - cut_pts(&c->in, p->low) +
           period_of(c);
}

// Time in the new file of a place in the display order of the file that is open.
static int64_t time_at(const VideoCut *c, int64_t place) {
    return c->base + cut_pts(&c->in, place) - cut_pts(&c->in, c->plan.low);
}

static int64_t new_time(const VideoCut *c, int64_t place) {
    return place == c->plan.low + c->plan.count ? end_of(c) : time_at(c, place);
}

// What a packet may say beside its frame: that what follows is encoded otherwise.
static bool check_packet(const VideoCut *c, Error *err) {
    size_t size;
    const uint8_t *data = av_packet_get_side_data(c->in.packet, AV_PKT_DATA_NEW_EXTRADATA, &size);
    return !data || same_extradata(c->parameters, data, size) ||
           fail(err, "%s: is encoded in two ways; encode the video again", c->in.path);
}

// anew: nothing of what is in the new file already is needed for it.
static bool add_packet(VideoCut *c, bool anew, Error *err) {
    AVPacket *p = c->in.packet;
    int64_t place = video_table_place(c->in.table, p->pts);
    bool fresh;
    if (!check_packet(c, err)) return false;
    if (anew && !nal_begin_anew(p, c->parameters, c->in.path, err)) return false;
    hevc_keep(&c->kept, hevc_order(p, c->parameters, &fresh));
    *ARRAY_ADD(c->shown, c->n_shown, c->room) = new_time(c, c->plan.low + c->packets - c->start);
    // A packet comes when as many frames have been shown as packets came, less those that wait for
    // one that is shown before them. The first ones come before the file's first frame is shown.
    int64_t before = c->packets - c->reorder;
    p->dts = before < 0 ? before * c->period : c->shown[before];
    p->pts = new_time(c, place);
    p->duration = new_time(c, place + 1) - p->pts;
    p->flags &= AV_PKT_FLAG_KEY; // none is hidden any more
    p->pos = -1;
    c->packets++;
    return mp4_packet(&c->mp4, p, c->unit, err);
}

// The first packet is in c->in.packet.
static bool add_packets(VideoCut *c, Error *err) {
    int64_t key_pts = cut_pts(&c->in, c->plan.low);
    for (;;) {
        bool anew = c->packets == c->start && c->packets > 0;
        if (c->in.packet->pts >= key_pts && !add_packet(c, anew, err)) return false;
        if (c->in.sent == c->plan.end) return true;
        bool end = false;
        if (!source_next(&c->in, &end, err)) return false;
        if (end) return fail(err, "%s: ends before its last frame; " DAMAGED, c->in.path);
    }
}

// Frames that follow in their file those that were added last need not be decoded from their
// keyframe once more: their packets go on. *goes_on false: they cannot, and nothing was done.
static bool go_on(VideoCut *c, const CutPlan *plan, bool *goes_on, Error *err) {
    CutPlan whole = *plan;
    int64_t copied = c->plan.end, place = c->plan.low + c->plan.count;
    *goes_on = c->going && cut_plan_goes_on(&c->in, c->step, &c->plan, &whole) &&
               whole.reorder <= c->reorder && c->next < CUT_MOST_TICKS &&
               // Where an uneven rate let the end be told later than this, it stays as told.
               (whole.end == copied || time_at(c, place) >= c->next);
    if (!*goes_on) return true;
    c->plan = whole;
    if (whole.end == copied) return true;
    bool end = false, next = c->in.running && c->in.sent == copied;
    if (!(next ? source_next(&c->in, &end, err) : source_seek(&c->in, copied + 1, err)))
        return false;
    if (end) return fail(err, "%s: ends before its last frame; " DAMAGED, c->in.path);
    return add_packets(c, err);
}

static bool begin_stretch(VideoCut *c, const CutPlan *plan, bool *fits, Error *err) {
    if (!source_seek(&c->in, plan->key, err)) return false;
    *fits = stretch_fits(c, plan);
    if (!*fits) return true;
    if (!c->parameters && !begin(c, plan, err)) return false;
    c->other_sets |= c->in.table->other_sets;
    c->bare_keys |= c->in.table->bare_keys;
    c->plan = *plan;
    c->start = c->packets;
    c->base = c->next;
    return add_packets(c, err);
}

static bool add_stretch(VideoCut *c, const char *file, VideoTables *tables, int64_t first,
                        int64_t last, double *from, double *to, bool *fits, Error *err) {
    CutPlan plan;
    if (!open_source(c, file, tables, err) || !cut_plan(&c->in, c->step, first, last, &plan, err) ||
        !go_on(c, &plan, fits, err))
        return false;
    if (!*fits && !begin_stretch(c, &plan, fits, err)) return false;
    if (!*fits) return true;
    c->going = true;
    c->next = end_of(c);
    *from = (double)new_time(c, c->plan.first) * av_q2d(c->unit);
    *to = (double)new_time(c, c->plan.last + 1) * av_q2d(c->unit);
    return true;
}

bool video_cut_add(VideoCut *c, const char *file, VideoTables *tables, int64_t first, int64_t last,
                   double *from, double *to, bool *fits, Error *err) {
    *from = *to = 0;
    *fits = false;
    if (c->mp4.broken) return fail(err, "%s: writing failed before", c->mp4.path);
    if (add_stretch(c, file, tables, first, last, from, to, fits, err)) return true;
    c->mp4.broken = true;
    return false;
}

int64_t video_cut_bytes(const VideoCut *c) {
    return c->mp4.io ? avio_tell(c->mp4.io) : 0;
}

// Reads the finished file: each packet has the time that was told of it, and none is hidden.
static bool check_written(const VideoCut *c, Error *err) {
    VideoSource again = {0};
    Error why;
    bool ok = source_open(&again, c->mp4.file.temporary, NULL, false, &why);
    if (ok) {
        AVRational unit = again.format->streams[again.stream]->time_base;
        const VideoTable *t = again.table;
        ok = t->packets == c->packets && t->frames == c->packets && t->turn == c->turn;
        for (int64_t i = 0; i < c->packets && ok; i++)
            ok = av_compare_ts(cut_pts(&again, i), unit, c->shown[i], c->unit) == 0;
        if (!ok) fail(&why, "other times than were written");
    }
    source_close(&again);
    return ok || fail_because(err, &why,
                              "%s: %s cut out of videos cannot be read again without fault; encode "
                              "them again",
                              c->mp4.path, avcodec_get_name(c->parameters->codec_id));
}

bool video_cut_close(VideoCut *c, Error *err) {
    bool ok = false;
    if (c->mp4.broken)
        fail(err, "%s: writing failed before", c->mp4.path);
    else if (!c->packets)
        fail(err, "%s: a video without frames cannot be written", c->mp4.path);
    else
        ok = mp4_finish(&c->mp4, err) && check_written(c, err) && atomic_commit(&c->mp4.file, err);
    video_cut_abort(c);
    return ok;
}
