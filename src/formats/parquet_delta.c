// SPDX-License-Identifier: Apache-2.0
// The encodings that store differences: DELTA_BINARY_PACKED, and the two that hold byte arrays with
// lengths written in it. (Encodings.md of the format's specification.)
#include "formats/parquet_internal.h"

#include <string.h>

// ---- DELTA_BINARY_PACKED ----------------------------------------------------------------------

// Walks over integers: the first one, then blocks of differences. A block gives the least of its
// differences and a width in bits for each of its miniblocks, which hold how far they lie above it.
typedef struct Delta {
    ThriftReader r; // behind the miniblock that is being read
    int bits;       // of the integers: 32 or 64; they wrap around
    uint64_t per_mini, minis;
    int64_t left;           // integers not given out yet
    bool started;           // the first one was given out
    uint64_t value, least;  // the last integer; the block's least difference
    const uint8_t *widths;  // (minis) of the block
    uint64_t mini, in_mini; // miniblocks of the block begun; differences left in this one
    const uint8_t *packed;  // its bytes
    uint64_t bit;           // where in them its next difference begins
    int width;
} Delta;

// Begins to walk over exactly `count` integers.
static bool delta_open(Delta *d, const uint8_t *p, const uint8_t *end, int bits, int64_t count) {
    enum { MAX_BLOCK = 1 << 24 }; // writers use 128 to a few thousand
    *d = (Delta){.r = {p, end, false, 0}, .bits = bits};
    uint64_t block = thrift_varint(&d->r);
    d->minis = thrift_varint(&d->r);
    uint64_t total = thrift_varint(&d->r);
    d->value = (uint64_t)thrift_int(&d->r);
    if (d->r.bad || block == 0 || block > MAX_BLOCK || block % 128 != 0 || d->minis == 0 ||
        block % d->minis != 0 || (block / d->minis) % 32 != 0 || total != (uint64_t)count)
        return false;
    d->per_mini = block / d->minis;
    d->mini = d->minis; // a block is to be begun
    d->left = count;
    return true;
}

// The last miniblock is full, with anything in place of what lies behind the last integer; some
// writers leave the rest out.
static bool next_miniblock(Delta *d) {
    ThriftReader *r = &d->r;
    if (d->mini == d->minis) {
        d->least = (uint64_t)thrift_int(r);
        if (r->bad || (uint64_t)(r->end - r->at) < d->minis) return false;
        d->widths = r->at;
        r->at += d->minis;
        d->mini = 0;
    }
    d->width = d->widths[d->mini++];
    if (d->width > d->bits) return false;
    uint64_t wanted = (uint64_t)d->left < d->per_mini ? (uint64_t)d->left : d->per_mini;
    uint64_t width = (uint64_t)d->width, room = (uint64_t)(r->end - r->at);
    uint64_t whole = d->per_mini / 8 * width;
    if (room < (wanted * width + 7) / 8) return false;
    d->packed = r->at;
    d->bit = 0;
    d->in_mini = d->per_mini;
    r->at += whole < room ? whole : room;
    return true;
}

// `width` bits, at most 64, from bit `at` on, least significant bit first.
static uint64_t take_bits(const uint8_t *p, uint64_t at, int width) {
    uint64_t v = 0;
    p += at / 8;
    for (int got = -(int)(at % 8); got < width; got += 8, p++)
        v |= got < 0 ? (uint64_t)*p >> -got : (uint64_t)*p << got;
    return width < 64 ? v & (((uint64_t)1 << width) - 1) : v;
}

static bool delta_next(Delta *d, int64_t *out) {
    if (d->left == 0) return false;
    if (d->started) {
        if (d->in_mini == 0 && !next_miniblock(d)) return false;
        d->value += d->least + take_bits(d->packed, d->bit, d->width);
        d->bit += (uint64_t)d->width;
        d->in_mini--;
    }
    d->started = true;
    d->left--;
    if (d->bits == 32) d->value = (uint64_t)(int64_t)(int32_t)(uint32_t)d->value;
    *out = (int64_t)d->value;
    return true;
}

bool parquet_delta_packed(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                          Values out) {
    Delta d;
    if (leaf->type != TYPE_INT32 && leaf->type != TYPE_INT64) return false;
    if (!delta_open(&d, p, p + bytes, leaf->type == TYPE_INT32 ? 32 : 64, count)) return false;
    for (int64_t i = 0; i < count; i++) {
        int64_t v;
        if (!delta_next(&d, &v)) return false;
        out.numbers[i] = parquet_integer(leaf, v);
    }
    return parquet_only_padding(d.r.at, d.r.end);
}

// ---- byte arrays ------------------------------------------------------------------------------

// `count` lengths; *from walks over them once more, *behind is where what follows them begins.
static bool open_lengths(Delta *from, const uint8_t *p, const uint8_t *end, int64_t count,
                         const uint8_t **behind) {
    if (!delta_open(from, p, end, 32, count)) return false;
    Delta d = *from;
    for (int64_t i = 0; i < count; i++) {
        int64_t length;
        if (!delta_next(&d, &length) || length < 0) return false;
    }
    *behind = d.r.at;
    return true;
}

bool parquet_delta_length(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                          Values out) {
    Delta lengths;
    const uint8_t *end = p + bytes, *data;
    if (leaf->type != TYPE_BYTE_ARRAY || !open_lengths(&lengths, p, end, count, &data))
        return false;
    for (int64_t i = 0; i < count; i++) {
        int64_t n;
        if (!delta_next(&lengths, &n) || n > end - data) return false;
        out.bytes[i] = (ParquetBytes){data, (size_t)n};
        data += n;
    }
    return parquet_only_padding(data, end);
}

// Each value is the front of the one before it and a tail of its own.
typedef struct Fronts {
    Delta fronts, tails;       // lengths
    const uint8_t *data, *end; // the tails
} Fronts;

static bool open_fronts(Fronts *f, const uint8_t *p, size_t bytes, int64_t count) {
    const uint8_t *tails;
    f->end = p + bytes;
    return open_lengths(&f->fronts, p, f->end, count, &tails) &&
           open_lengths(&f->tails, tails, f->end, count, &f->data);
}

static bool next_lengths(Fronts *f, uint64_t *front, uint64_t *tail) {
    int64_t a, b; // no lengths below 0, as open_lengths has seen
    if (!delta_next(&f->fronts, &a) || !delta_next(&f->tails, &b)) return false;
    *front = (uint64_t)a;
    *tail = (uint64_t)b;
    return true;
}

bool parquet_delta_bytes_size(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                              size_t *total) {
    Fronts f;
    uint64_t front, tail, before = 0, sum = 0;
    if (leaf->type != TYPE_BYTE_ARRAY && leaf->type != TYPE_FIXED) return false;
    if (!open_fronts(&f, p, bytes, count)) return false;
    for (int64_t i = 0; i < count; i++) {
        if (!next_lengths(&f, &front, &tail)) return false;
        if (front > before || tail > (uint64_t)(f.end - f.data)) return false;
        f.data += tail;
        before = front + tail; // below 2^32, and values are fewer than 2^31
        sum += before;
    }
    *total = (size_t)sum;
    return parquet_only_padding(f.data, f.end);
}

bool parquet_delta_bytes(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                         Values out, uint8_t *joined) {
    Fronts f;
    if (!open_fronts(&f, p, bytes, count)) return false;
    const uint8_t *before = joined;
    for (int64_t i = 0; i < count; i++) {
        uint64_t front, tail;
        if (!next_lengths(&f, &front, &tail)) return false;
        if (front) memmove(joined, before, front);
        if (tail) memcpy(joined + front, f.data, tail);
        f.data += tail;
        before = joined;
        joined += front + tail;
        if (leaf->type == TYPE_FIXED && front + tail != (uint64_t)leaf->width) return false;
        if (out.bytes)
            out.bytes[i] = (ParquetBytes){before, front + tail};
        else
            out.numbers[i] = parquet_number(leaf, before);
    }
    return true;
}
