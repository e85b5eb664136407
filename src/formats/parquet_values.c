// SPDX-License-Identifier: Apache-2.0
// Values of one page: PLAIN, BYTE_STREAM_SPLIT, dictionary indices, RLE booleans.
#include "formats/parquet_internal.h"

#include <math.h>
#include <string.h>

bool parquet_only_padding(const uint8_t *p, const uint8_t *end) {
    if (end - p > 8) return false;
    while (p < end && !*p) p++;
    return p == end;
}

// ---- numbers ----------------------------------------------------------------------------------

size_t parquet_number_width(const Leaf *leaf) {
    static const size_t widths[] = {
        [TYPE_INT32] = 4, [TYPE_INT64] = 8, [TYPE_FLOAT] = 4, [TYPE_DOUBLE] = 8, [TYPE_FIXED] = 0};
    return leaf->half ? 2 : widths[leaf->type];
}

// A long double has all digits of an int64_t and of 10^27, so that a decimal is rounded once, or as
// good as once.
static double decimal(int64_t stored, int scale) {
    return (double)((long double)stored / powl(10, scale));
}

double parquet_integer(const Leaf *leaf, int64_t stored) {
    if (leaf->scale) return decimal(stored, leaf->scale);
    return !leaf->is_unsigned         ? (double)stored
           : leaf->type == TYPE_INT32 ? (double)(uint32_t)stored
                                      : (double)(uint64_t)stored;
}

// IEEE 754 binary16.
static double half_number(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent == 31  ? (fraction ? NAN : INFINITY)
               : exponent == 0 ? ldexp(fraction, -24)
                               : ldexp(1024 + fraction, exponent - 25);
    return h >> 15 ? -v : v;
}

double parquet_number(const Leaf *leaf, const uint8_t *p) {
    union {
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        uint16_t half;
    } v;
    memcpy(&v, p, parquet_number_width(leaf));
    switch (leaf->type) {
    case TYPE_INT32:
        return parquet_integer(leaf, v.i32);
    case TYPE_INT64:
        return parquet_integer(leaf, v.i64);
    case TYPE_FLOAT:
        return (double)v.f32;
    case TYPE_DOUBLE:
        return v.f64;
    default:
        return half_number(v.half);
    }
}

// ---- PLAIN ------------------------------------------------------------------------------------

static bool plain_booleans(const uint8_t *p, size_t bytes, int64_t count, double *out) {
    size_t packed = (size_t)(count + 7) / 8;
    if (bytes < packed || !parquet_only_padding(p + packed, p + bytes)) return false;
    for (int64_t i = 0; i < count; i++) out[i] = p[i / 8] >> (i % 8) & 1;
    return true;
}

static bool plain_numbers(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                          double *out) {
    if (leaf->type == TYPE_BOOLEAN) return plain_booleans(p, bytes, count, out);
    size_t width = parquet_number_width(leaf), needed = (size_t)count * width;
    if (bytes < needed || !parquet_only_padding(p + needed, p + bytes)) return false;
    for (int64_t i = 0; i < count; i++, p += width) out[i] = parquet_number(leaf, p);
    return true;
}

static bool plain_bytes(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                        ParquetBytes *out) {
    const uint8_t *end = p + bytes;
    for (int64_t i = 0; i < count; i++) {
        uint32_t n = (uint32_t)leaf->width;
        if (leaf->type == TYPE_BYTE_ARRAY) {
            if (end - p < 4) return false;
            memcpy(&n, p, 4);
            p += 4;
        }
        if ((size_t)(end - p) < n) return false;
        out[i] = (ParquetBytes){p, n};
        p += n;
    }
    return parquet_only_padding(p, end);
}

bool parquet_plain(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count, Values out) {
    return out.bytes ? plain_bytes(leaf, p, bytes, count, out.bytes)
                     : plain_numbers(leaf, p, bytes, count, out.numbers);
}

// ---- BYTE_STREAM_SPLIT ------------------------------------------------------------------------

// The first bytes of all values, then the second ones, and so on.
bool parquet_split(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count, Values out,
                   uint8_t *joined) {
    size_t n = (size_t)count;
    size_t width = out.bytes ? (size_t)leaf->width : parquet_number_width(leaf);
    if (leaf->type == TYPE_BYTE_ARRAY || width == 0 || bytes / width != n || bytes % width != 0)
        return false;
    uint8_t number[8], *value = out.bytes ? joined : number;
    for (size_t i = 0; i < n; i++) {
        for (size_t b = 0; b < width; b++) value[b] = p[b * n + i];
        if (out.bytes) {
            out.bytes[i] = (ParquetBytes){value, width};
            value += width;
        } else {
            out.numbers[i] = parquet_number(leaf, value);
        }
    }
    return true;
}

// ---- dictionary, RLE --------------------------------------------------------------------------

static bool read_indices(const uint8_t *p, size_t bytes, int64_t count, uint32_t *out) {
    return bytes > 0 && parquet_hybrid(p + 1, bytes - 1, p[0], count, out);
}

bool parquet_from_dictionary(Values dictionary, int64_t size, const uint8_t *p, size_t bytes,
                             int64_t count, Values out, uint32_t *index) {
    bool ok = read_indices(p, bytes, count, index);
    for (int64_t i = 0; ok && i < count; i++) {
        ok = index[i] < size;
        if (!ok) break;
        if (out.bytes)
            out.bytes[i] = dictionary.bytes[index[i]];
        else
            out.numbers[i] = dictionary.numbers[index[i]];
    }
    return ok;
}

bool parquet_rle_booleans(const uint8_t *p, size_t bytes, int64_t count, double *out,
                          uint32_t *bits) {
    uint32_t length;
    if (bytes < 4) return false;
    memcpy(&length, p, 4);
    if (length > bytes - 4) return false;
    bool ok = parquet_hybrid(p + 4, length, 1, count, bits);
    for (int64_t i = 0; ok && i < count; i++) out[i] = bits[i];
    return ok;
}
