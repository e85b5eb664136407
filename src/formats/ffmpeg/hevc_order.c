// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/hevc_order.h"

#include "formats/ffmpeg/nal_units.h"
#include <string.h>

enum { HEVC_SPS = 33, HEVC_PPS = 34 };

// Bits of a unit. A 3 behind two zeros was put there so that no start code comes about.
typedef struct Bits {
    const uint8_t *data;
    int64_t size, at; // bytes
    int bit, zeros;
    bool over; // read beyond the end
} Bits;

static Bits bits_of(const uint8_t *data, int64_t size) {
    Bits b = {.data = data, .size = size};
    return b;
}

static unsigned bit(Bits *b) {
    if (b->bit == 0 && b->zeros >= 2 && b->at < b->size && b->data[b->at] == 3) {
        b->at++;
        b->zeros = 0;
    }
    if (b->at >= b->size) {
        b->over = true;
        return 0;
    }
    unsigned value = b->data[b->at] >> (7 - b->bit) & 1u;
    if (++b->bit == 8) {
        b->zeros = b->data[b->at] ? 0 : b->zeros + 1;
        b->bit = 0;
        b->at++;
    }
    return value;
}

static uint32_t bits(Bits *b, int n) {
    uint32_t value = 0;
    while (n-- > 0) value = value << 1 | bit(b);
    return value;
}

static void skip(Bits *b, int n) {
    while (n-- > 0) (void)bit(b);
}

// A number of any length: as many zeros as bits follow the first one (9.2).
static uint32_t number(Bits *b) {
    int zeros = 0;
    while (zeros < 31 && !b->over && !bit(b)) zeros++;
    return (1u << zeros) - 1 + bits(b, zeros);
}

// What of the parameter sets is needed to read a slice's header.
typedef struct Sets {
    bool planes;    // separate_colour_plane_flag
    int order_bits; // of the low bits of the number
    int extra_bits; // num_extra_slice_header_bits
    bool output;    // output_flag_present_flag
} Sets;

// profile_tier_level (7.3.3) with what stands before it, and then seq_parameter_set_rbsp (7.3.2.2).
static bool read_sequence(Bits b, Sets *s) {
    enum { PROFILE = 88, LEVEL = 8 };
    bool profile[8] = {0}, level[8] = {0};
    skip(&b, 16 + 4);
    int layers = (int)bits(&b, 3);
    skip(&b, 1 + PROFILE + LEVEL);
    for (int i = 0; i < layers; i++) {
        profile[i] = bit(&b);
        level[i] = bit(&b);
    }
    if (layers) skip(&b, 2 * (8 - layers));
    for (int i = 0; i < layers; i++) skip(&b, (profile[i] ? PROFILE : 0) + (level[i] ? LEVEL : 0));
    (void)number(&b); // its id
    if (number(&b) == 3) s->planes = bit(&b);
    (void)number(&b); // width
    (void)number(&b); // height
    if (bit(&b))
        for (int i = 0; i < 4; i++) (void)number(&b); // cut off at the edges
    (void)number(&b);                                 // bits of luma
    (void)number(&b);                                 // and chroma
    s->order_bits = (int)number(&b) + 4;
    return !b.over && s->order_bits <= 16;
}

static bool read_picture(Bits b, Sets *s) {
    skip(&b, 16);
    (void)number(&b); // its id
    (void)number(&b); // its sequence's
    skip(&b, 1);      // dependent_slice_segments_enabled_flag
    s->output = bit(&b);
    s->extra_bits = (int)bits(&b, 3);
    return !b.over;
}

// The sets in the header (hvcC, ISO/IEC 14496-15, 8.3.3.1). False unless there is one of either.
static bool read_sets(const AVCodecParameters *c, Sets *s) {
    int sequences = 0, pictures = 0;
    if (!nal_length_bytes(c)) return false;
    const uint8_t *e = c->extradata, *end = e + c->extradata_size;
    int arrays = e[22];
    for (e += 23; arrays > 0 && end - e >= 3; arrays--) {
        int type = e[0] & 63, count = e[1] << 8 | e[2];
        for (e += 3; count > 0 && end - e >= 2; count--) {
            int size = e[0] << 8 | e[1];
            e += 2;
            if (size > end - e) return false;
            if (type == HEVC_SPS && (sequences++ || !read_sequence(bits_of(e, size), s)))
                return false;
            if (type == HEVC_PPS && (pictures++ || !read_picture(bits_of(e, size), s)))
                return false;
            e += size;
        }
    }
    return sequences == 1 && pictures == 1;
}

int hevc_order(const AVPacket *p, const AVCodecParameters *c, bool *fresh) {
    Sets s = {0};
    Nal nal;
    *fresh = false;
    if (c->codec_id != AV_CODEC_ID_HEVC || !read_sets(c, &s)) return HEVC_UNKNOWN;
    for (int64_t at = 0; nal_at(p, c, at, &nal); at = nal.next) {
        if (nal.type >= 32) continue; // no slice
        Bits b = bits_of(nal.data, nal.size);
        skip(&b, 16);
        if (!bit(&b)) return HEVC_UNKNOWN; // not the first of its picture
        if (nal_is_irap(&nal)) skip(&b, 1);
        (void)number(&b); // the picture's set
        skip(&b, s.extra_bits);
        (void)number(&b); // type
        skip(&b, (s.output ? 1 : 0) + (s.planes ? 2 : 0));
        *fresh = nal_is_idr(&nal);
        int order = *fresh ? 0 : (int)bits(&b, s.order_bits);
        return b.over ? HEVC_UNKNOWN : order;
    }
    return HEVC_UNKNOWN;
}

void hevc_keep(HevcKept *k, int number_of_picture) {
    k->number[k->count++ % HEVC_MOST_KEPT] = number_of_picture;
}

bool hevc_may_follow(const HevcKept *k, const AVPacket *key, const AVCodecParameters *c) {
    bool fresh;
    int own = hevc_order(key, c, &fresh), n = k->count < HEVC_MOST_KEPT ? k->count : HEVC_MOST_KEPT;
    if (c->codec_id != AV_CODEC_ID_HEVC || fresh) return true;
    for (int i = 0; i < n; i++)
        if (own == HEVC_UNKNOWN || k->number[i] == HEVC_UNKNOWN || k->number[i] == own)
            return false;
    return true;
}
