// SPDX-License-Identifier: Apache-2.0
// Parquet as LeRobot and its kin write it: flat columns, lists of primitives (any nesting of LIST
// is flattened to leaf values; only one list level gives offsets), structs of {bytes, path}.
// Encodings PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY, RLE (levels, booleans), the three DELTA_* and
// BYTE_STREAM_SPLIT; data pages v1 and v2; codecs none, snappy, gzip, zstd, lz4_raw, brotli. Other
// things are refused by name.
// The reader trusts nothing: every length and offset is checked against the file and the page, and
// page checksums are verified where the writer stored them, as are the least and greatest value of
// a column. Without checksums a flipped byte within a number can still go unseen.
// What it takes in memory is bounded by the file's own size S, whatever the file announces. Opening
// takes no more than 64 MB + 16 S. Reading a column that has C of these bytes takes no more than
// 64 MB + 160 C, and 160 bytes for each value beyond 2^18 + C, which parquet_expect has to allow.
// (The mapped file itself is not counted.)
#ifndef TACT_FORMATS_PARQUET_H
#define TACT_FORMATS_PARQUET_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

typedef struct ParquetFile ParquetFile;

typedef enum ParquetKind {
    // INT32 and INT64 (unsigned ones and decimals too), FLOAT, DOUBLE, BOOLEAN and float16 leaves,
    // read as double. Dates, times and points in time are refused, and so are decimals that are
    // stored as bytes: neither is what a bare number or string would say.
    PARQUET_NUMBERS,
    PARQUET_BYTES, // other BYTE_ARRAY and FIXED_LEN_BYTE_ARRAY leaves
} ParquetKind;

typedef struct ParquetBytes {
    const uint8_t *data; // borrowed from the ParquetColumn; not terminated
    size_t size;
} ParquetBytes;

// The values of one leaf column over a range of rows. Free with parquet_column_free.
typedef struct ParquetColumn {
    ParquetKind kind;
    int64_t rows;        // rows of the range
    int64_t count;       // leaf values; == rows for a flat column
    int64_t *offsets;    // (rows + 1) index of the first leaf of each row; NULL for a flat column
    double *numbers;     // (count) PARQUET_NUMBERS; a null leaf is NaN. int64 is exact to 2^53
    ParquetBytes *bytes; // (count) PARQUET_BYTES; a null leaf has data NULL
    void *storage;       // private
} ParquetColumn;

// Opens and checks the footer. The file stays mapped until parquet_close.
CHECKED bool parquet_open(const char *path, ParquetFile **out, Error *err);
void parquet_close(ParquetFile *f); // NULL allowed

int64_t parquet_rows(const ParquetFile *f);
int parquet_row_groups(const ParquetFile *f);
int64_t parquet_row_group_rows(const ParquetFile *f, int group);
// Index of the leaf column of a top-level field; `member` names a struct member (e.g. "bytes") or
// is NULL for a flat or list field. -1 if there is none.
int parquet_find(const ParquetFile *f, const char *field, const char *member);

// A leaf column as the footer describes it; the texts are the file's.
typedef struct ParquetLeaf {
    const char *field, *member; // as of parquet_find; of a flat field both are the same
    ParquetKind kind;           // that of what would be read
    bool list;
    bool readable;
} ParquetLeaf;
int parquet_leaves(const ParquetFile *f);
ParquetLeaf parquet_leaf(const ParquetFile *f, int column);

// Says that the caller holds so many values of a column in any case, because another file says how
// many there are: a few bytes of runs can stand for that many. Counts until it is called again.
void parquet_expect(ParquetFile *f, int64_t values);

// Reads one column over row groups [first, first + groups); groups -1 means all that follow. On an
// error *out is empty.
CHECKED bool parquet_read(ParquetFile *f, int column, int first, int groups, ParquetColumn *out,
                          Error *err);
void parquet_column_free(ParquetColumn *c);

// Writer: PLAIN pages v1 with snappy, one call a row group.
typedef enum ParquetType {
    PARQUET_I64,
    PARQUET_F32,
    PARQUET_F64,
    PARQUET_BOOL,
    PARQUET_STRING
} ParquetType;

typedef struct ParquetField {
    const char *name;
    ParquetType type;
    bool list; // LIST with inner names "list" and "element"
    // Lists in the lists: how many values (of the innermost) or lists each has, from the outside
    // in; none: a list of values. offsets count the innermost values.
    const int64_t *inner;
    int n_inner;
    const char
        *member; // non-NULL: leaf `member` of a struct `name` (image columns: "bytes", "path");
                 // members of one struct stand next to each other. STRING here is raw bytes
} ParquetField;

typedef struct ParquetWriter ParquetWriter;
// Values of one field for one row group. For list fields offsets has rows + 1 entries.
typedef struct ParquetValues {
    const void *data; // int64_t, float, double, uint8_t (BOOL) or ParquetBytes, by field type
    const int64_t *offsets;
} ParquetValues;

// metadata: n_metadata pairs key, value stored in the file's key-value metadata.
CHECKED bool parquet_writer_open(const char *path, const ParquetField *fields, int n_fields,
                                 const char *const (*metadata)[2], int n_metadata,
                                 ParquetWriter **out, Error *err);
CHECKED bool parquet_write_group(ParquetWriter *w, int64_t rows, const ParquetValues *values,
                                 Error *err);
// Writes the footer, syncs and moves the file into place. The writer is freed, also on failure.
CHECKED bool parquet_writer_close(ParquetWriter *w, Error *err);
// Drops the file. NULL allowed.
void parquet_writer_abort(ParquetWriter *w);

#endif
