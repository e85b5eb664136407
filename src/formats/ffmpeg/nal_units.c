// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/nal_units.h"

#include <string.h>

enum {
    H264_SLICE = 1,
    H264_IDR_SLICE = 5,
    H264_SPS = 7,
    H264_PPS = 8,
    H264_SPS_EXTENSION = 13,
    H264_SUBSET_SPS = 15,
    HEVC_FIRST_IRAP = 16, // pictures with which decoding may begin
    HEVC_BLA_N_LP = 18,
    HEVC_IDR_W_RADL = 19,
    HEVC_IDR_N_LP = 20,
    HEVC_CRA = 21,
    HEVC_LAST_IRAP = 23,
    HEVC_VPS = 32,
    HEVC_SPS = 33,
    HEVC_PPS = 34,
};

int nal_length_bytes(const AVCodecParameters *c) {
    const uint8_t *e = c->extradata;
    if (c->codec_id == AV_CODEC_ID_H264)
        return c->extradata_size >= 7 && e[0] == 1 ? (e[4] & 3) + 1 : 0;
    if (c->codec_id == AV_CODEC_ID_HEVC)
        // Not a start code; the version was 0 before the record had its final form.
        return c->extradata_size >= 23 && (e[0] || e[1] || e[2] > 1) ? (e[21] & 3) + 1 : 0;
    return 0;
}

bool nal_at(const AVPacket *p, const AVCodecParameters *c, int64_t at, Nal *nal) {
    int bytes = nal_length_bytes(c);
    int64_t length = 0;
    if (!bytes || at + bytes >= p->size) return false;
    for (int i = 0; i < bytes; i++) length = length << 8 | p->data[at + i];
    *nal = (Nal){p->data + at + bytes, length, at + bytes + length, 0};
    if (length < 1 || nal->next > p->size) return false;
    nal->type = c->codec_id == AV_CODEC_ID_H264 ? nal->data[0] & 31 : nal->data[0] >> 1 & 63;
    return true;
}

bool nal_is_irap(const Nal *nal) {
    return nal->type >= HEVC_FIRST_IRAP && nal->type <= HEVC_LAST_IRAP;
}

bool nal_is_idr(const Nal *nal) {
    return nal->type == HEVC_IDR_W_RADL || nal->type == HEVC_IDR_N_LP;
}

bool nal_starts_decoding(const AVPacket *p, const AVCodecParameters *c) {
    if (!(p->flags & AV_PKT_FLAG_KEY)) return false;
    if (c->codec_id != AV_CODEC_ID_H264 || !nal_length_bytes(c)) return true;
    Nal nal;
    for (int64_t at = 0; nal_at(p, c, at, &nal); at = nal.next) {
        if (nal.type == H264_IDR_SLICE) return true;
        if (nal.type == H264_SLICE) return false;
    }
    return false;
}

static bool is_set(int type, enum AVCodecID codec) {
    return codec == AV_CODEC_ID_H264 ? type == H264_SPS || type == H264_PPS ||
                                           type == H264_SPS_EXTENSION || type == H264_SUBSET_SPS
                                     : type >= HEVC_VPS && type <= HEVC_PPS;
}

NalSets nal_sets(const AVPacket *p, const AVCodecParameters *c) {
    NalSets sets = {0};
    Nal nal;
    bool sequence = false, picture = false;
    for (int64_t at = 0; nal_at(p, c, at, &nal); at = nal.next) {
        if (!is_set(nal.type, c->codec_id)) continue;
        if (!memmem(c->extradata, (size_t)c->extradata_size, nal.data, (size_t)nal.size))
            sets.other = true;
        sequence |= nal.type == (c->codec_id == AV_CODEC_ID_H264 ? H264_SPS : HEVC_SPS);
        picture |= nal.type == (c->codec_id == AV_CODEC_ID_H264 ? H264_PPS : HEVC_PPS);
    }
    sets.whole = sequence && picture;
    return sets;
}

// A CRA picture goes on with the counting of the pictures before it, by which they are ordered; a
// BLA picture begins anew and is made for this. They differ in nothing but their names. The flag
// behind a slice's first bit asks the decoder to drop what it has not shown yet.
static bool begin_hevc(const Nal *nal) {
    if (nal->size < 4) return false;
    if (nal->type == HEVC_CRA) nal->data[0] = (uint8_t)((nal->data[0] & 0x81) | HEVC_BLA_N_LP << 1);
    nal->data[2] &= 0xbf;
    // No start code may come about in a unit.
    return nal->data[2] || nal->data[3];
}

bool nal_begin_anew(AVPacket *p, const AVCodecParameters *c, const char *name, Error *err) {
    if (c->codec_id != AV_CODEC_ID_HEVC) return true; // the key pictures of others begin anew
    if (av_packet_make_writable(p) < 0) return fail_memory(err, "%s: copying a frame", name);
    Nal nal;
    bool found = false, good = true;
    for (int64_t at = 0; nal_at(p, c, at, &nal); at = nal.next) {
        if (!nal_is_irap(&nal)) continue;
        found = true;
        good = good && begin_hevc(&nal);
    }
    return (found && good) ||
           fail(err, "%s: a keyframe in it cannot follow other frames; encode the video again",
                name);
}
