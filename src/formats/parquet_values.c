// SPDX-License-Identifier: Apache-2.0
// Values of one page: PLAIN, dictionary indices, RLE booleans.
#include "formats/parquet_internal.h"

#include <string.h>

// Some writers end a page with up to eight zero bytes more than its values take; any other rest is a
// sign of damage.
static bool only_padding(const uint8_t *p, const uint8_t *end) {
    if (end - p > 8) return false;
    while (p < end && !*p) p++;
    return p == end;
}

static bool plain_numbers(int type, const uint8_t *p, size_t bytes, int64_t count, double *out) {
    static const size_t widths[] = {[TYPE_INT32] = 4, [TYPE_INT64] = 8, [TYPE_FLOAT] = 4,
                                    [TYPE_DOUBLE] = 8};
    if (type == TYPE_BOOLEAN) {
        size_t packed = (size_t)(count + 7) / 8;
        if (bytes < packed || !only_padding(p + packed, p + bytes)) return false;
        for (int64_t i = 0; i < count; i++) out[i] = p[i / 8] >> (i % 8) & 1;
        return true;
    }
    size_t width = widths[type];
    size_t needed = (size_t)count * width;
    if (bytes < needed || !only_padding(p + needed, p + bytes)) return false;
    for (int64_t i = 0; i < count; i++, p += width) {
        union {
            int32_t i32;
            int64_t i64;
            float f32;
            double f64;
        } v;
        memcpy(&v, p, width);
        out[i] = type == TYPE_INT32   ? v.i32
                 : type == TYPE_INT64 ? (double)v.i64
                 : type == TYPE_FLOAT ? (double)v.f32
                                      : v.f64;
    }
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
    return only_padding(p, end);
}

bool parquet_plain(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count, Values out) {
    return out.bytes ? plain_bytes(leaf, p, bytes, count, out.bytes)
                     : plain_numbers(leaf->type, p, bytes, count, out.numbers);
}

static bool indices(const uint8_t *p, size_t bytes, int64_t count, uint32_t *out) {
    return bytes > 0 && parquet_hybrid(p + 1, bytes - 1, p[0], count, out);
}

bool parquet_from_dictionary(Values dictionary, int64_t size, const uint8_t *p, size_t bytes,
                             int64_t count, Values out) {
    uint32_t *index = NEW(uint32_t, count + 1);
    bool ok = indices(p, bytes, count, index);
    for (int64_t i = 0; ok && i < count; i++) {
        ok = index[i] < size;
        if (!ok) break;
        if (out.bytes) out.bytes[i] = dictionary.bytes[index[i]];
        else out.numbers[i] = dictionary.numbers[index[i]];
    }
    mem_free(index);
    return ok;
}

bool parquet_rle_booleans(const uint8_t *p, size_t bytes, int64_t count, double *out) {
    uint32_t length;
    if (bytes < 4) return false;
    memcpy(&length, p, 4);
    if (length > bytes - 4) return false;
    uint32_t *bits = NEW(uint32_t, count + 1);
    bool ok = parquet_hybrid(p + 4, length, 1, count, bits);
    for (int64_t i = 0; ok && i < count; i++) out[i] = bits[i];
    mem_free(bits);
    return ok;
}
