// SPDX-License-Identifier: Apache-2.0
// Private to the Parquet reader and writer. Numbers of enumerations are those of the format's
// parquet.thrift.
#ifndef TACT_FORMATS_PARQUET_INTERNAL_H
#define TACT_FORMATS_PARQUET_INTERNAL_H

#include "base/memory.h"
#include "formats/parquet.h"
#include "formats/parquet_thrift.h"

enum {
    TYPE_BOOLEAN,
    TYPE_INT32,
    TYPE_INT64,
    TYPE_INT96,
    TYPE_FLOAT,
    TYPE_DOUBLE,
    TYPE_BYTE_ARRAY,
    TYPE_FIXED
};
enum { REPEAT_REQUIRED, REPEAT_OPTIONAL, REPEAT_REPEATED };
enum {
    CODEC_NONE = 0,
    CODEC_SNAPPY = 1,
    CODEC_GZIP = 2,
    CODEC_LZO = 3,
    CODEC_BROTLI = 4,
    CODEC_LZ4_OLD = 5,
    CODEC_ZSTD = 6,
    CODEC_LZ4_RAW = 7
};
enum {
    ENCODING_PLAIN = 0,
    ENCODING_PLAIN_DICTIONARY = 2,
    ENCODING_RLE = 3,
    ENCODING_DELTA_BINARY_PACKED = 5,
    ENCODING_DELTA_LENGTH_BYTE_ARRAY = 6,
    ENCODING_DELTA_BYTE_ARRAY = 7,
    ENCODING_RLE_DICTIONARY = 8,
    ENCODING_BYTE_STREAM_SPLIT = 9
};
enum { PAGE_DATA = 0, PAGE_INDEX = 1, PAGE_DICTIONARY = 2, PAGE_DATA_V2 = 3 };
enum {
    MAX_LEAVES = 65536,
    MAX_PAGE_VALUES = 1 << 24,
    MAX_PAGE_BYTES = 1 << 30,
    MAX_READ_VALUES = 1 << 27
};

// A leaf of the schema.
typedef struct Leaf {
    char *path, *top, *last; // "action.list.element", "action", "element"
    int type, width;         // width of FIXED
    bool half;               // FIXED that holds float16
    bool is_unsigned;        // INT32 or INT64 that holds uint32 or uint64
    int scale;               // INT32 or INT64 that counts steps of 10^-scale (DECIMAL)
    int max_def, max_rep;
    int element_def; // definition level from which an entry is a leaf, not an empty list
} Leaf;

typedef struct Chunk {
    int type, codec;
    int64_t values, start, bytes, unpacked; // start: first page, dictionary included
    bool bounded;                           // the footer says what its numbers lie between
    double min, max;
} Chunk;

typedef struct RowGroup {
    int64_t rows;
    Chunk *chunks; // one per leaf
} RowGroup;

typedef struct KeyValue {
    char *key, *value;
} KeyValue;

struct ParquetFile {
    char *path;
    const uint8_t *data; // the mapping
    size_t size;
    int64_t rows;
    int n_leaves, n_groups, n_metadata;
    Leaf *leaves;
    RowGroup *groups;
    KeyValue *metadata;
    Arena arena;
};

// parquet_footer.c: fills everything from the mapped file.
CHECKED bool parquet_footer(ParquetFile *f, Error *err);

// A page with its payload unpacked.
typedef struct Page {
    int type, encoding;
    int def_encoding, rep_encoding; // v1
    int64_t values;
    const uint8_t *levels_rep, *levels_def; // v2: separate; v1: NULL
    size_t rep_bytes, def_bytes;
    const uint8_t *data; // values (v1: levels and values)
    size_t bytes;
} Page;

// parquet_pages.c: reads the page at *at (advanced past it) within [*at, end). Unpacked bytes live
// in `arena` or in the mapping. NULL data for index pages.
CHECKED bool parquet_page(const ParquetFile *f, const Chunk *c, const uint8_t **at,
                          const uint8_t *end, Arena *arena, Page *page, Error *err);
// Decodes `count` values of `width` bits in the RLE/bit-packed hybrid form; false when the bytes
// run out. A run beyond `count` is cut.
CHECKED bool parquet_hybrid(const uint8_t *data, size_t bytes, int width, int64_t count,
                            uint32_t *out);

// parquet_codecs.c: whether a codec is known; its name. Unpacks a page's bytes, of which exactly
// `size` must come out.
bool parquet_codec_known(int codec);
const char *parquet_codec_name(int codec);
CHECKED bool parquet_unpack(int codec, const uint8_t *in, size_t n, uint8_t *out, size_t size);

// Where values go: exactly one is set, by the column's kind.
typedef struct Values {
    double *numbers;
    ParquetBytes *bytes; // borrowed from the page
} Values;

// Bytes of one number in PLAIN encoding; 0 for booleans, and for leaves that hold bytes.
size_t parquet_number_width(const Leaf *leaf);
// The number in those bytes.
double parquet_number(const Leaf *leaf, const uint8_t *p);
// An INT32 or INT64 leaf's number, from the sign-extended integer that is stored.
double parquet_integer(const Leaf *leaf, int64_t stored);
// Some writers end a page with up to eight zero bytes more than its values take; any other bytes
// left over are a sign of damage.
bool parquet_only_padding(const uint8_t *p, const uint8_t *end);

// parquet_values.c and parquet_delta.c: `count` values of a page, at least one; false when the
// bytes do not hold exactly those, or the leaf's type is none that the encoding is for. Bytes that
// stand in the page in pieces are put together in `arena`.
CHECKED bool parquet_plain(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                           Values out);
CHECKED bool parquet_from_dictionary(Values dictionary, int64_t size, const uint8_t *p,
                                     size_t bytes, int64_t count, Values out);
CHECKED bool parquet_rle_booleans(const uint8_t *p, size_t bytes, int64_t count, double *out);
CHECKED bool parquet_split(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                           Values out, Arena *arena);
CHECKED bool parquet_delta_packed(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                                  Values out);
CHECKED bool parquet_delta_length(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                                  Values out);
CHECKED bool parquet_delta_bytes(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                                 Values out, Arena *arena);

#endif
