// SPDX-License-Identifier: Apache-2.0
// Pages as the writer makes them: RLE levels, PLAIN values, snappy, a checksum.
#include "formats/parquet_writer.h"

#include <snappy-c.h>
#include <string.h>
#include <zlib.h>

static void put_u32(ThriftWriter *b, uint32_t v) {
    thrift_put(b, &v, 4);
}

// One run when all levels are equal, else everything bit-packed. The length goes in front.
static void put_levels(ThriftWriter *page, const uint8_t *levels, int64_t n, int max) {
    ThriftWriter b = {0};
    int width = 0;
    while (max >> width) width++;
    int64_t same = 1;
    while (same < n && levels[same] == levels[0]) same++;
    if (same >= n) {
        thrift_put_varint(&b, (uint64_t)n << 1);
        thrift_put(&b, levels, 1);
    } else {
        int64_t groups = (n + 7) / 8;
        thrift_put_varint(&b, (uint64_t)groups << 1 | 1);
        uint8_t *packed = NEW(uint8_t, groups * width);
        for (int64_t i = 0; i < n; i++)
            for (int bit = 0; bit < width; bit++) {
                int64_t p = i * width + bit;
                packed[p / 8] |= (uint8_t)((levels[i] >> bit & 1) << (p % 8));
            }
        thrift_put(&b, packed, (size_t)(groups * width));
        mem_free(packed);
    }
    put_u32(page, (uint32_t)b.size);
    thrift_put(page, b.data, b.size);
    mem_free(b.data);
}

static size_t type_size(ParquetType type) {
    return type == PARQUET_I64 || type == PARQUET_F64 ? 8 : type == PARQUET_F32 ? 4 : 1;
}

static void put_values(ThriftWriter *page, ParquetType type, const void *data, int64_t first,
                       int64_t count) {
    if (type == PARQUET_STRING) {
        const ParquetBytes *v = (const ParquetBytes *)data + first;
        for (int64_t i = 0; i < count; i++) {
            if (!v[i].data) continue; // null: the definition level says so
            put_u32(page, (uint32_t)v[i].size);
            thrift_put(page, v[i].data, v[i].size);
        }
    } else if (type == PARQUET_BOOL) {
        const uint8_t *v = (const uint8_t *)data + first;
        for (int64_t i = 0; i < count; i += 8) {
            uint8_t byte = 0;
            for (int64_t k = i; k < count && k < i + 8; k++) byte |= (uint8_t)(!!v[k] << (k - i));
            thrift_put(page, &byte, 1);
        }
    } else {
        size_t size = type_size(type);
        thrift_put(page, (const uint8_t *)data + (size_t)first * size, (size_t)count * size);
    }
}

// How many lists entry `at` of a row, not its first, goes on with: the outermost alone where it
// begins a list within it.
static int repeated(const Column *c, int64_t at) {
    int level = 1;
    while (level < c->max_rep && at % c->inner[level - 1] != 0) level++;
    return level;
}

// Levels of the page's rows. An empty list is one entry that is no leaf.
static int64_t put_entry_levels(ThriftWriter *page, const Column *c, const ParquetValues *v,
                                int64_t first, int64_t rows) {
    int64_t entries = rows, at = 0;
    if (c->max_rep)
        for (int64_t r = entries = 0; r < rows; r++) {
            int64_t n = v->offsets[first + r + 1] - v->offsets[first + r];
            entries += n ? n : 1;
        }
    uint8_t *rep = NEW(uint8_t, entries + 1), *def = NEW(uint8_t, entries + 1);
    const ParquetBytes *bytes = c->type == PARQUET_STRING ? v->data : NULL;
    for (int64_t r = first; r < first + rows; r++) {
        int64_t begin = c->max_rep ? v->offsets[r] : r,
                end = c->max_rep ? v->offsets[r + 1] : r + 1;
        if (begin == end) def[at++] = 1;
        for (int64_t i = begin; i < end; i++, at++) {
            rep[at] = (uint8_t)(i > begin ? repeated(c, i - begin) : 0);
            def[at] = (uint8_t)(c->max_def - (bytes && !bytes[i].data));
        }
    }
    if (c->max_rep) put_levels(page, rep, entries, c->max_rep);
    put_levels(page, def, entries, c->max_def);
    mem_free(rep);
    mem_free(def);
    return entries;
}

static void put_header(ThriftWriter *out, size_t unpacked, size_t packed, uint32_t crc,
                       int64_t entries) {
    int last = 0, inner = 0;
    thrift_put_int(out, &last, 1, THRIFT_I32, PAGE_DATA);
    thrift_put_int(out, &last, 2, THRIFT_I32, (int64_t)unpacked);
    thrift_put_int(out, &last, 3, THRIFT_I32, (int64_t)packed);
    thrift_put_int(out, &last, 4, THRIFT_I32, (int32_t)crc);
    thrift_put_field(out, &last, 5, THRIFT_STRUCT);
    thrift_put_int(out, &inner, 1, THRIFT_I32, entries);
    thrift_put_int(out, &inner, 2, THRIFT_I32, ENCODING_PLAIN);
    thrift_put_int(out, &inner, 3, THRIFT_I32, ENCODING_RLE);
    thrift_put_int(out, &inner, 4, THRIFT_I32, ENCODING_RLE);
    thrift_put_stop(out);
    thrift_put_stop(out);
}

int64_t parquet_encode_page(const Column *c, const ParquetValues *v, int64_t first, int64_t rows,
                            ThriftWriter *out, size_t *unpacked) {
    ThriftWriter page = {0};
    int64_t entries = put_entry_levels(&page, c, v, first, rows);
    int64_t begin = c->max_rep ? v->offsets[first] : first;
    int64_t end = c->max_rep ? v->offsets[first + rows] : first + rows;
    put_values(&page, c->type, v->data, begin, end - begin);

    size_t packed = snappy_max_compressed_length(page.size);
    char *body = mem_alloc(packed);
    snappy_compress((const char *)page.data, page.size, body, &packed);
    size_t header = out->size;
    put_header(out, page.size, packed, (uint32_t)crc32(0, (const Bytef *)body, (uInt)packed),
               entries);
    *unpacked = out->size - header + page.size;
    thrift_put(out, body, packed);
    mem_free(body);
    mem_free(page.data);
    return entries;
}
