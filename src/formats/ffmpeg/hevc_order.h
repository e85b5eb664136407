// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: the numbers by which pictures of HEVC are ordered and named as
// references (picture order counts, ITU-T H.265, 8.3.1), as far as packets and header tell them.
#ifndef TACT_FORMATS_FFMPEG_HEVC_ORDER_H
#define TACT_FORMATS_FFMPEG_HEVC_ORDER_H

#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>
#include <stdbool.h>

enum { HEVC_UNKNOWN = -1, HEVC_MOST_KEPT = 16 };

// The low bits of a packet's number, or HEVC_UNKNOWN: also for other codecs, and where parameter
// sets do not stand in the header. *fresh: an IDR picture, at which a decoder drops all others.
int hevc_order(const AVPacket *p, const AVCodecParameters *c, bool *fresh);

// What a decoder may still keep: of the last pictures that were decoded, the numbers.
typedef struct HevcKept {
    int number[HEVC_MOST_KEPT];
    int count; // decoded so far
} HevcKept;
void hevc_keep(HevcKept *k, int number);

// Whether a keyframe may follow. FFmpeg 7 refuses a picture whose number one of those kept has,
// though none of them counts where a sequence begins anew.
bool hevc_may_follow(const HevcKept *k, const AVPacket *key, const AVCodecParameters *c);

#endif
