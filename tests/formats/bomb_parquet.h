// SPDX-License-Identifier: Apache-2.0
// Parquet files of a few bytes that announce, or unpack to, very many: written byte by byte.
#ifndef TACT_TESTS_FORMATS_BOMB_PARQUET_H
#define TACT_TESTS_FORMATS_BOMB_PARQUET_H

#include "base/memory.h"
#include "formats/parquet_thrift.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

// Types, codecs, encodings and kinds of page by their numbers in parquet.thrift.
enum { P_INT64 = 2, P_BYTES = 6, P_NONE = 0, P_ZSTD = 6 };
enum { P_PLAIN = 0, P_DELTA_BYTES = 7, P_RLE_DICTIONARY = 8 };
enum { P_DATA = 0, P_DICTIONARY = 2 };

// A file of one column and one row group.
typedef struct ParquetBomb {
    ThriftWriter file;
    int type, codec;
    int64_t values;
} ParquetBomb;

static inline ParquetBomb parquet_bomb(int type, int codec, int64_t values) {
    ParquetBomb b = {.type = type, .codec = codec, .values = values};
    thrift_put(&b.file, "PAR1", 4);
    return b;
}

static inline void parquet_bomb_page(ParquetBomb *b, int kind, int encoding, int64_t values,
                                     const void *body, size_t packed, size_t unpacked) {
    int last = 0, inner = 0;
    ThriftWriter *w = &b->file;
    thrift_put_int(w, &last, 1, THRIFT_I32, kind);
    thrift_put_int(w, &last, 2, THRIFT_I32, (int64_t)unpacked);
    thrift_put_int(w, &last, 3, THRIFT_I32, (int64_t)packed);
    thrift_put_field(w, &last, kind == P_DATA ? 5 : 7, THRIFT_STRUCT);
    thrift_put_int(w, &inner, 1, THRIFT_I32, values);
    thrift_put_int(w, &inner, 2, THRIFT_I32, encoding);
    if (kind == P_DATA) {
        thrift_put_int(w, &inner, 3, THRIFT_I32, 3);
        thrift_put_int(w, &inner, 4, THRIFT_I32, 3);
    }
    thrift_put_stop(w);
    thrift_put_stop(w);
    thrift_put(w, body, packed);
}

static inline void parquet_bomb_leaf(ThriftWriter *w, int type, const char *name, size_t size) {
    int last = 0;
    thrift_put_int(w, &last, 1, THRIFT_I32, type);
    thrift_put_int(w, &last, 3, THRIFT_I32, 0); // required
    thrift_put_binary(w, &last, 4, name, size);
    thrift_put_stop(w);
}

static inline void parquet_bomb_group(ThriftWriter *w, const char *name, size_t size,
                                      int children) {
    int last = 0;
    thrift_put_int(w, &last, 3, THRIFT_I32, 0);
    thrift_put_binary(w, &last, 4, name, size);
    thrift_put_int(w, &last, 5, THRIFT_I32, children);
    thrift_put_stop(w);
}

static inline void parquet_bomb_chunk(ThriftWriter *w, int type, int codec, int64_t values,
                                      int64_t bytes) {
    int last = 0, inner = 0;
    thrift_put_field(w, &last, 3, THRIFT_STRUCT);
    thrift_put_int(w, &inner, 1, THRIFT_I32, type);
    thrift_put_int(w, &inner, 4, THRIFT_I32, codec);
    thrift_put_int(w, &inner, 5, THRIFT_I64, values);
    thrift_put_int(w, &inner, 7, THRIFT_I64, bytes);
    thrift_put_int(w, &inner, 9, THRIFT_I64, 4);
    thrift_put_stop(w);
    thrift_put_stop(w);
}

// Ends a footer that begins at `start`, and writes the file.
static inline void parquet_bomb_end(ThriftWriter *w, size_t start, const char *path) {
    thrift_put_stop(w);
    uint32_t length = (uint32_t)(w->size - start);
    thrift_put(w, &length, 4);
    thrift_put(w, "PAR1", 4);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(w->data, 1, w->size, f) != w->size || fclose(f) != 0) abort();
    mem_free(w->data);
}

static inline void parquet_bomb_write(ParquetBomb *b, const char *path) {
    ThriftWriter *w = &b->file;
    size_t start = w->size;
    int last = 0, group = 0;
    thrift_put_list(w, &last, 2, THRIFT_STRUCT, 2);
    parquet_bomb_group(w, "s", 1, 1);
    parquet_bomb_leaf(w, b->type, "x", 1);
    thrift_put_int(w, &last, 3, THRIFT_I64, b->values);
    thrift_put_list(w, &last, 4, THRIFT_STRUCT, 1);
    thrift_put_list(w, &group, 1, THRIFT_STRUCT, 1);
    parquet_bomb_chunk(w, b->type, b->codec, b->values, (int64_t)start - 4);
    thrift_put_int(w, &group, 3, THRIFT_I64, b->values);
    thrift_put_stop(w);
    parquet_bomb_end(w, start, path);
}

// ---- the bombs ----------------------------------------------------------------------------------

// Some 100 bytes that announce 2^27 values.
static inline void bomb_announced(const char *path) {
    ParquetBomb b = parquet_bomb(P_BYTES, P_NONE, 1 << 27);
    parquet_bomb_write(&b, path);
}

// Eight pages, each of which is really 2^24 times the one value of a dictionary.
static inline void bomb_runs(const char *path) {
    static const uint8_t run[] = {0, 0x80, 0x80, 0x80, 0x10}; // width 0; 2^24 times (<< 1)
    ParquetBomb b = parquet_bomb(P_INT64, P_NONE, 8 << 24);
    parquet_bomb_page(&b, P_DICTIONARY, P_PLAIN, 1, "\1\0\0\0\0\0\0\0", 8, 8);
    for (int i = 0; i < 8; i++)
        parquet_bomb_page(&b, P_DATA, P_RLE_DICTIONARY, 1 << 24, run, sizeof run, sizeof run);
    parquet_bomb_write(&b, path);
}

// What `size` zeros are packed to.
static inline void *pack_zeros(size_t size, size_t *packed) {
    void *zeros = calloc(1, size), *out = malloc(ZSTD_compressBound(size));
    *packed = zeros && out ? ZSTD_compress(out, ZSTD_compressBound(size), zeros, size, 1) : 0;
    if (!*packed || ZSTD_isError(*packed)) abort();
    free(zeros);
    return out;
}

// Pages of no values that unpack to 32 MB each; then one of the value that the column has.
static inline void bomb_empty_pages(const char *path) {
    enum { SIZE = 32 << 20 };
    size_t packed;
    void *page = pack_zeros(SIZE, &packed), *value = NULL;
    ParquetBomb b = parquet_bomb(P_INT64, P_ZSTD, 1);
    for (int i = 0; i < 64; i++) parquet_bomb_page(&b, P_DATA, P_PLAIN, 0, page, packed, SIZE);
    free(page);
    value = pack_zeros(8, &packed);
    parquet_bomb_page(&b, P_DATA, P_PLAIN, 1, value, packed, 8);
    free(value);
    parquet_bomb_write(&b, path);
}

// Dictionaries of 8 million empty strings.
static inline void bomb_dictionaries(const char *path) {
    enum { SIZE = 32 << 20 };
    size_t packed;
    void *page = pack_zeros(SIZE, &packed);
    ParquetBomb b = parquet_bomb(P_BYTES, P_ZSTD, 1);
    for (int i = 0; i < 16; i++)
        parquet_bomb_page(&b, P_DICTIONARY, P_PLAIN, SIZE / 4, page, packed, SIZE);
    free(page);
    parquet_bomb_write(&b, path);
}

// One value of a GiB.
static inline void bomb_unpacked(const char *path) {
    size_t packed, size = (size_t)1 << 30;
    void *page = pack_zeros(size, &packed);
    ParquetBomb b = parquet_bomb(P_BYTES, P_ZSTD, 1);
    parquet_bomb_page(&b, P_DATA, P_PLAIN, 1, page, packed, size);
    free(page);
    parquet_bomb_write(&b, path);
}

// DELTA_BINARY_PACKED with blocks of 128 and no bits: first, then each one more by `step`.
static inline void put_deltas(ThriftWriter *w, int64_t count, int64_t first, int64_t step) {
    static const uint8_t widths[4];
    thrift_put_varint(w, 128);
    thrift_put_varint(w, 4);
    thrift_put_varint(w, (uint64_t)count);
    thrift_put_zigzag(w, first);
    for (int64_t at = 1; at < count; at += 128) {
        thrift_put_zigzag(w, step);
        thrift_put(w, widths, 4);
    }
}

// Values that each repeat the one before and add a byte: a triangle of half a GiB.
static inline void bomb_fronts(const char *path) {
    enum { N = 32 << 10 };
    static const uint8_t tails[N];
    ThriftWriter page = {0};
    put_deltas(&page, N, 0, 1);
    put_deltas(&page, N, 1, 0);
    thrift_put(&page, tails, N);
    ParquetBomb b = parquet_bomb(P_BYTES, P_NONE, N);
    parquet_bomb_page(&b, P_DATA, P_DELTA_BYTES, N, page.data, page.size, page.size);
    mem_free(page.data);
    parquet_bomb_write(&b, path);
}

// A group with a name of a megabyte, and 60,000 leaves in it.
static inline void bomb_names(const char *path) {
    enum { LEAVES = 60000, NAME = 1 << 20 };
    char *name = malloc(NAME);
    ThriftWriter w = {0};
    int last = 0;
    if (!name) abort();
    memset(name, 'n', NAME);
    thrift_put(&w, "PAR1", 4);
    thrift_put_list(&w, &last, 2, THRIFT_STRUCT, LEAVES + 2);
    parquet_bomb_group(&w, "s", 1, 1);
    parquet_bomb_group(&w, name, NAME, LEAVES);
    for (int i = 0; i < LEAVES; i++) parquet_bomb_leaf(&w, P_INT64, "x", 1);
    thrift_put_int(&w, &last, 3, THRIFT_I64, 0);
    thrift_put_list(&w, &last, 4, THRIFT_STRUCT, 0);
    free(name);
    parquet_bomb_end(&w, 4, path);
}

// 60,000 leaves of truth values, and ten thousand row groups that list no chunks.
static inline void bomb_groups(const char *path) {
    enum { LEAVES = 60000, GROUPS = 10000 };
    ThriftWriter w = {0};
    int last = 0;
    thrift_put(&w, "PAR1", 4);
    thrift_put_list(&w, &last, 2, THRIFT_STRUCT, LEAVES + 1);
    parquet_bomb_group(&w, "s", 1, LEAVES);
    for (int i = 0; i < LEAVES; i++) parquet_bomb_leaf(&w, 0, "x", 1);
    thrift_put_int(&w, &last, 3, THRIFT_I64, 0);
    thrift_put_list(&w, &last, 4, THRIFT_STRUCT, GROUPS);
    for (int i = 0; i < GROUPS; i++) thrift_put_stop(&w);
    parquet_bomb_end(&w, 4, path);
}

#endif
