// SPDX-License-Identifier: Apache-2.0
// Pages: header, checksum, and the RLE/bit-packed hybrid.
#include "formats/parquet_internal.h"

#include <string.h>
#include <zlib.h>

typedef struct Header {
    int type, encoding, def_encoding, rep_encoding;
    int64_t unpacked, packed, values, nulls, def_bytes, rep_bytes;
    bool has_crc, compressed, has_body;
    uint32_t crc;
} Header;

// DataPageHeader, DictionaryPageHeader or DataPageHeaderV2, whose first fields differ.
static void read_body(ThriftReader *r, Header *h, int which) {
    int id = 0, type;
    h->has_body = true;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP) {
        if (type == THRIFT_TRUE || type == THRIFT_FALSE) {
            if (which == 8 && id == 7) h->compressed = type == THRIFT_TRUE;
            continue;
        }
        if (type != THRIFT_I32) {
            thrift_skip(r, type);
            continue;
        }
        int64_t v = thrift_int(r);
        if (id == 1) h->values = v;
        if (which != 8 && id == 2) h->encoding = (int)v;
        if (which == 5 && id == 3) h->def_encoding = (int)v;
        if (which == 5 && id == 4) h->rep_encoding = (int)v;
        if (which == 8 && id == 2) h->nulls = v;
        if (which == 8 && id == 4) h->encoding = (int)v;
        if (which == 8 && id == 5) h->def_bytes = v;
        if (which == 8 && id == 6) h->rep_bytes = v;
    }
}

static Header read_header(ThriftReader *r) {
    Header h = {
        .type = -1, .def_encoding = ENCODING_RLE, .rep_encoding = ENCODING_RLE, .compressed = true};
    int id = 0, type;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP) {
        if (type == THRIFT_STRUCT && (id == 5 || id == 7 || id == 8)) {
            read_body(r, &h, id);
        } else if (type == THRIFT_I32 && id >= 1 && id <= 4) {
            int64_t v = thrift_int(r);
            if (id == 1) h.type = (int)v;
            if (id == 2) h.unpacked = v;
            if (id == 3) h.packed = v;
            if (id == 4) {
                h.crc = (uint32_t)v;
                h.has_crc = true;
            }
        } else {
            thrift_skip(r, type);
        }
    }
    return h;
}

static bool page_damaged(const ParquetFile *f, const uint8_t *at, const char *what, Error *err) {
    return fail(err, "%s: damaged Parquet page at byte %zu: %s; copy the file again", f->path,
                (size_t)(at - f->data), what);
}

static bool header_is_sane(const Header *h, const Chunk *c, int64_t room) {
    bool typed = h->type == PAGE_DATA || h->type == PAGE_DICTIONARY || h->type == PAGE_DATA_V2;
    return typed && h->has_body && h->packed >= 0 && h->packed <= room && h->unpacked >= 0 &&
           h->unpacked <= INT32_MAX && h->values >= 0 && h->values <= INT32_MAX &&
           h->def_bytes >= 0 && h->rep_bytes >= 0 && h->def_bytes + h->rep_bytes <= h->packed &&
           h->def_bytes + h->rep_bytes <= h->unpacked &&
           (c->codec != CODEC_NONE || h->packed == h->unpacked);
}

// v2 leaves levels as they are, in front of what may be packed.
static void fill_page(Page *page, const Header *h, const Chunk *c, const uint8_t *body) {
    size_t levels = (size_t)(h->def_bytes + h->rep_bytes);
    page->packed = c->codec != CODEC_NONE && h->compressed;
    page->body = body;
    page->body_bytes = (size_t)h->packed;
    page->levels_rep = h->type == PAGE_DATA_V2 ? body : NULL;
    page->levels_def = h->type == PAGE_DATA_V2 ? body + h->rep_bytes : NULL;
    page->rep_bytes = (size_t)h->rep_bytes;
    page->def_bytes = (size_t)h->def_bytes;
    page->bytes = (size_t)h->unpacked - levels;
    page->data = body + levels;
}

bool parquet_page(const ParquetFile *f, const Chunk *c, const uint8_t **at, const uint8_t *end,
                  Page *page, Error *err) {
    const uint8_t *start = *at;
    ThriftReader r = {start, end, false, 0};
    Header h = read_header(&r);
    *page = (Page){.type = h.type,
                   .encoding = h.encoding,
                   .values = h.values,
                   .def_encoding = h.def_encoding,
                   .rep_encoding = h.rep_encoding,
                   .start = start};
    if (h.type == PAGE_INDEX && !r.bad && h.packed >= 0 && h.packed <= r.end - r.at) {
        *at = r.at + h.packed;
        return true;
    }
    if (r.bad || !header_is_sane(&h, c, r.end - r.at))
        return page_damaged(f, start, "its header does not hold together", err);
    *at = r.at + h.packed;
    if (h.has_crc && (uint32_t)crc32(0, r.at, (uInt)h.packed) != h.crc)
        return page_damaged(f, start, "its checksum does not match", err);
    fill_page(page, &h, c, r.at);
    return page->packed || h.packed == h.unpacked ||
           page_damaged(f, start, "its sizes do not match", err);
}

bool parquet_page_unpack(const ParquetFile *f, const Chunk *c, Page *page, uint8_t *out,
                         Error *err) {
    size_t levels = page->rep_bytes + page->def_bytes, packed = page->body_bytes - levels;
    if (!parquet_codec_known(c->codec))
        return fail(
            err,
            "%s: compression codec %d (%s); snappy, gzip, zstd, lz4_raw, brotli and none are "
            "supported: write it again with one of these",
            f->path, c->codec, parquet_codec_name(c->codec));
    page->data = out;
    bool memory = false;
    if ((page->bytes == 0 && packed == 0) ||
        parquet_unpack(c->codec, page->body + levels, packed, out, page->bytes, &memory))
        return true;
    return memory ? fail_memory(err, "%s: unpacking %zu bytes", f->path, page->bytes)
                  : page_damaged(f, page->start, "it does not decompress", err);
}

bool parquet_hybrid(const uint8_t *data, size_t bytes, int width, int64_t count, uint32_t *out) {
    if (width < 0 || width > 32) return false;
    ThriftReader r = {data, data + bytes, false, 0};
    size_t value_bytes = (size_t)(width + 7) / 8;
    for (int64_t i = 0; i < count;) {
        uint64_t header = thrift_varint(&r);
        uint64_t n = header >> 1;
        if (r.bad || n == 0) return false;
        if (header & 1) { // n groups of eight, bit-packed, least significant bit first
            // Some writers leave out the last group's unused bytes.
            uint64_t room = (uint64_t)(r.end - r.at), wanted = (uint64_t)(count - i);
            if (n < (wanted + 7) / 8) wanted = 8 * n;
            if (room < (wanted * (uint64_t)width + 7) / 8) return false;
            uint64_t bit = 0;
            for (uint64_t k = 0; k < wanted; k++, bit += (uint64_t)width) {
                uint64_t v = 0;
                for (int b = 0; b < width; b++) {
                    uint64_t p = bit + (uint64_t)b;
                    v |= (uint64_t)(r.at[p / 8] >> (p % 8) & 1) << b;
                }
                out[i++] = (uint32_t)v;
            }
            if (i == count) break;
            if (width && n > room / (uint64_t)width) return false;
            r.at += n * (uint64_t)width;
        } else { // n times one value
            if ((size_t)(r.end - r.at) < value_bytes) return false;
            uint32_t v = 0;
            for (size_t b = 0; b < value_bytes; b++) v |= (uint32_t)r.at[b] << (8 * b);
            r.at += value_bytes;
            if (width < 32 && v >> width) return false;
            for (uint64_t k = 0; k < n && i < count; k++) out[i++] = v;
        }
    }
    return true;
}
