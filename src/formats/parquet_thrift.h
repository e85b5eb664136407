// SPDX-License-Identifier: Apache-2.0
// Thrift's compact protocol, as far as Parquet's metadata needs it: a cursor that cannot run past
// its bytes, and a growing buffer to write to.
#ifndef TACT_FORMATS_PARQUET_THRIFT_H
#define TACT_FORMATS_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Wire types.
enum {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12,
};

// A reader. After the first fault `bad` stays set and everything read is zero.
typedef struct ThriftReader {
    const uint8_t *at, *end;
    bool bad;
    int depth; // of nested structs being skipped
} ThriftReader;

uint64_t thrift_varint(ThriftReader *r);
int64_t thrift_int(ThriftReader *r); // zigzag
// Next field of a struct: its type, or THRIFT_STOP. *id carries the last field's id, 0 at first.
int thrift_field(ThriftReader *r, int *id);
// Header of a list: element type into *type, count returned. A count beyond the bytes left is bad.
int64_t thrift_list(ThriftReader *r, int *type);
// Bytes of a binary; borrowed.
const uint8_t *thrift_binary(ThriftReader *r, size_t *size);
void thrift_skip(ThriftReader *r, int type);

typedef struct ThriftWriter {
    uint8_t *data; // mem_free
    size_t size;
    int64_t capacity;
} ThriftWriter;

void thrift_put(ThriftWriter *w, const void *bytes, size_t n);
void thrift_put_varint(ThriftWriter *w, uint64_t v);
// Field header; *last is the struct's last field id.
void thrift_put_field(ThriftWriter *w, int *last, int id, int type);
void thrift_put_int(ThriftWriter *w, int *last, int id, int type, int64_t v);
void thrift_put_binary(ThriftWriter *w, int *last, int id, const void *bytes, size_t n);
void thrift_put_list(ThriftWriter *w, int *last, int id, int type, size_t count);
void thrift_put_zigzag(ThriftWriter *w, int64_t v);
void thrift_put_stop(ThriftWriter *w);

#endif
