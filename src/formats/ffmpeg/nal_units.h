// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: the units (NAL units) that packets of H.264 and HEVC are made of
// in MP4 and Matroska, each behind its length, and what is to be known of them where packets of
// several places are put one behind the other. (ITU-T H.264 and H.265, 7.3 and 7.4; ISO/IEC
// 14496-15, 5.3.3.1 and 8.3.3.1.)
#ifndef TACT_FORMATS_FFMPEG_NAL_UNITS_H
#define TACT_FORMATS_FFMPEG_NAL_UNITS_H

#include "base/error.h"
#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>

// Bytes of a length, 1 .. 4. 0 for another codec, and where the stream has no record (avcC, hvcC)
// that says it.
int nal_length_bytes(const AVCodecParameters *c);

typedef struct Nal {
    uint8_t *data;
    int64_t size, next; // next: where the one behind it begins
    int type;
} Nal;

// The unit at a byte of the packet. False at the end, and where lengths do not hold together.
bool nal_at(const AVPacket *p, const AVCodecParameters *c, int64_t at, Nal *nal);
// Of HEVC: a picture with which decoding may begin; one at which nothing before it counts any more.
bool nal_is_irap(const Nal *nal);
bool nal_is_idr(const Nal *nal);

// Whether decoding may start at a packet. What a container calls a keyframe of H.264 may be a mere
// recovery point, behind which pictures are used that come before it; an IDR picture is safe.
bool nal_starts_decoding(const AVPacket *p, const AVCodecParameters *c);

// What a packet says about parameter sets, which stay in a decoder until others take their place.
typedef struct NalSets {
    bool other; // it has some that the stream's record does not have
    bool whole; // it has a picture's and a sequence's: nothing from before it is needed
} NalSets;
NalSets nal_sets(const AVPacket *p, const AVCodecParameters *c);

// Makes a keyframe one that may follow any packet: what was sent before it is still shown, and
// nothing of it is needed. False with a message where the packet is none that can be made so.
CHECKED bool nal_begin_anew(AVPacket *p, const AVCodecParameters *c, const char *name, Error *err);

#endif
