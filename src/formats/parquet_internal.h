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
enum { MAX_LEAVES = 65536, MAX_PAGE_BYTES = 1 << 30 };

// What a read may take, which parquet.h sums up. A few bytes can stand for any number of values
// (runs of one value), and can unpack to any number of bytes.
enum {
    FREE_VALUES = 1 << 18, // that a read may give whatever the file has, and whatever was expected
    VALUES_PER_BYTE = 1,   // and for each byte of the column in the file
    FREE_BYTES = 24 << 20, // that a read may keep of bytes: their pages, unpacked, and dictionaries
    BYTES_PER_BYTE = 24,   // and for each byte of the column in the file
    BYTES_PER_VALUE = 96,  // and for each value
    FREE_PAGE = 64 << 10,  // that a page of numbers may unpack to
    PAGE_PER_VALUE = 32,   // and for each of its values: eight, and its levels at their worst
    FREE_ENTRIES = 1 << 18 // that a dictionary may have beyond the number of values
};

// A leaf of the schema.
typedef struct Leaf {
    const char *path;       // "action.list.element", for messages: cut where it is very long
    const char *top, *last; // "action", "element"; names are the file's, one copy each
    const char *unread;     // why it is never read, in words that follow its path; NULL: it is
    int type, width;        // width of FIXED
    bool half;              // FIXED that holds float16
    bool is_unsigned;       // INT32 or INT64 that holds uint32 or uint64
    int scale;              // INT32 or INT64 that counts steps of 10^-scale (DECIMAL)
    int max_def, max_rep;
    int element_def; // definition level from which an entry is a leaf, not an empty list
} Leaf;

typedef struct Chunk {
    int type, codec;
    int64_t values, start, bytes; // start: first page, dictionary included
    bool encrypted;               // nothing else of it is known then
    bool bounded;                 // the footer says what its numbers lie between
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
    int64_t expected; // parquet_expect
    int n_leaves, n_groups, n_metadata;
    Leaf *leaves;
    RowGroup *groups;
    KeyValue *metadata;
    char *texts;    // room for the texts of the footer that is not taken yet
    bool no_memory; // for the footer, which is then not damaged
    Arena arena;
};

// parquet_footer.c: fills everything from the mapped file.
CHECKED bool parquet_footer(ParquetFile *f, Error *err);

// A page of a chunk.
typedef struct Page {
    int type, encoding;
    int def_encoding, rep_encoding; // v1
    int64_t values;
    bool packed;          // what is behind the levels of v2 is compressed
    const uint8_t *start; // its header in the file
    const uint8_t *body;  // its bytes in the file, in front v2's levels
    size_t body_bytes;
    const uint8_t *levels_rep, *levels_def; // v2: separate; v1: NULL
    size_t rep_bytes, def_bytes;
    const uint8_t *data; // values (v1: levels and values), as they are when not `packed`
    size_t bytes;        // of them, unpacked
} Page;

// parquet_pages.c: reads the page at *at (advanced past it) within [*at, end), all but what is
// packed. The type PAGE_INDEX has no more than that.
CHECKED bool parquet_page(const ParquetFile *f, const Chunk *c, const uint8_t **at,
                          const uint8_t *end, Page *page, Error *err);
// Unpacks page->bytes bytes into `out`, which become its data.
CHECKED bool parquet_page_unpack(const ParquetFile *f, const Chunk *c, Page *page, uint8_t *out,
                                 Error *err);
// Decodes `count` values of `width` bits in the RLE/bit-packed hybrid form; false when the bytes
// run out. A run beyond `count` is cut.
CHECKED bool parquet_hybrid(const uint8_t *data, size_t bytes, int width, int64_t count,
                            uint32_t *out);

// parquet_codecs.c: whether a codec is known; its name. Unpacks a page's bytes, of which exactly
// `size` must come out; *memory, false before, is set where it failed for want of memory.
bool parquet_codec_known(int codec);
const char *parquet_codec_name(int codec);
CHECKED bool parquet_unpack(int codec, const uint8_t *in, size_t n, uint8_t *out, size_t size,
                            bool *memory);

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
// bytes do not hold exactly those, or the leaf's type is none that the encoding is for.
CHECKED bool parquet_plain(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                           Values out);
// scratch: (count).
CHECKED bool parquet_from_dictionary(Values dictionary, int64_t size, const uint8_t *p,
                                     size_t bytes, int64_t count, Values out, uint32_t *scratch);
CHECKED bool parquet_rle_booleans(const uint8_t *p, size_t bytes, int64_t count, double *out,
                                  uint32_t *scratch);
// joined: (bytes) of values that are bytes, which stand in the page in pieces.
CHECKED bool parquet_split(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                           Values out, uint8_t *joined);
CHECKED bool parquet_delta_packed(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                                  Values out);
CHECKED bool parquet_delta_length(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                                  Values out);
// Bytes of all values together, of which a few in the page can stand for very many; those are what
// `joined` has room for.
CHECKED bool parquet_delta_bytes_size(const Leaf *leaf, const uint8_t *p, size_t bytes,
                                      int64_t count, size_t *total);
CHECKED bool parquet_delta_bytes(const Leaf *leaf, const uint8_t *p, size_t bytes, int64_t count,
                                 Values out, uint8_t *joined);

#endif
