// SPDX-License-Identifier: Apache-2.0
#include "formats/parquet_thrift.h"

#include "base/array.h"
#include <string.h>

enum { MAX_DEPTH = 32 };

static uint8_t next_byte(ThriftReader *r) {
    if (r->at >= r->end) {
        r->bad = true;
        return 0;
    }
    return *r->at++;
}

uint64_t thrift_varint(ThriftReader *r) {
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t b = next_byte(r);
        if (shift < 64) v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return r->bad ? 0 : v;
    }
    r->bad = true;
    return 0;
}

int64_t thrift_int(ThriftReader *r) {
    uint64_t v = thrift_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

int thrift_field(ThriftReader *r, int *id) {
    uint8_t b = next_byte(r);
    int type = b & 15, delta = b >> 4;
    if (r->bad || type == THRIFT_STOP) return THRIFT_STOP;
    if (delta)
        *id += delta;
    else
        *id = (int)(int16_t)thrift_int(r);
    return r->bad ? THRIFT_STOP : type;
}

int64_t thrift_list(ThriftReader *r, int *type) {
    uint8_t b = next_byte(r);
    uint64_t n = b >> 4;
    *type = b & 15;
    if (n == 15) n = thrift_varint(r);
    // Every element takes at least a byte.
    if (n > (uint64_t)(r->end - r->at)) r->bad = true;
    return r->bad ? 0 : (int64_t)n;
}

const uint8_t *thrift_binary(ThriftReader *r, size_t *size) {
    uint64_t n = thrift_varint(r);
    if (n > (uint64_t)(r->end - r->at)) r->bad = true;
    *size = r->bad ? 0 : (size_t)n;
    const uint8_t *p = r->at;
    r->at += *size;
    return p;
}

static void skip_struct(ThriftReader *r) {
    int id = 0, type;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP) thrift_skip(r, type);
}

// Inside a container a boolean takes a byte.
static int element_type(int type) {
    return type == THRIFT_TRUE || type == THRIFT_FALSE ? THRIFT_BYTE : type;
}

static void skip_map(ThriftReader *r) {
    uint64_t n = thrift_varint(r);
    if (n == 0 || r->bad) return;
    uint8_t types = next_byte(r);
    // Every key and every value takes at least a byte.
    if (n > (uint64_t)(r->end - r->at) / 2) r->bad = true;
    for (uint64_t i = 0; i < n && !r->bad; i++) {
        thrift_skip(r, element_type(types >> 4));
        thrift_skip(r, element_type(types & 15));
    }
}

void thrift_skip(ThriftReader *r, int type) {
    size_t size;
    if (r->bad || ++r->depth > MAX_DEPTH) {
        r->bad = true;
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_BYTE:
        next_byte(r);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        thrift_varint(r);
        break;
    case THRIFT_DOUBLE:
        if (r->end - r->at < 8)
            r->bad = true;
        else
            r->at += 8;
        break;
    case THRIFT_BINARY:
        thrift_binary(r, &size);
        break;
    case THRIFT_LIST:
    case THRIFT_SET: {
        int element;
        int64_t n = thrift_list(r, &element);
        for (int64_t i = 0; i < n && !r->bad; i++) thrift_skip(r, element_type(element));
        break;
    }
    case THRIFT_MAP:
        skip_map(r);
        break;
    case THRIFT_STRUCT:
        skip_struct(r);
        break;
    default:
        r->bad = true;
    }
    r->depth--;
}

// ---- writing ----------------------------------------------------------------------------------

void thrift_put(ThriftWriter *w, const void *bytes, size_t n) {
    ARRAY_ROOM(w->data, (int64_t)w->size, w->capacity, (int64_t)n);
    if (n) memcpy(w->data + w->size, bytes, n);
    w->size += n;
}

void thrift_put_varint(ThriftWriter *w, uint64_t v) {
    do {
        uint8_t b = (uint8_t)(v & 0x7f) | (v > 0x7f ? 0x80 : 0);
        thrift_put(w, &b, 1);
        v >>= 7;
    } while (v);
}

void thrift_put_zigzag(ThriftWriter *w, int64_t v) {
    thrift_put_varint(w, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void thrift_put_field(ThriftWriter *w, int *last, int id, int type) {
    uint8_t b = (uint8_t)((id - *last) << 4 | type);
    thrift_put(w, &b, 1);
    *last = id;
}

void thrift_put_int(ThriftWriter *w, int *last, int id, int type, int64_t v) {
    thrift_put_field(w, last, id, type);
    thrift_put_zigzag(w, v);
}

void thrift_put_binary(ThriftWriter *w, int *last, int id, const void *bytes, size_t n) {
    thrift_put_field(w, last, id, THRIFT_BINARY);
    thrift_put_varint(w, n);
    thrift_put(w, bytes, n);
}

void thrift_put_list(ThriftWriter *w, int *last, int id, int type, size_t count) {
    thrift_put_field(w, last, id, THRIFT_LIST);
    uint8_t b = (uint8_t)((count < 15 ? count : 15) << 4 | (size_t)type);
    thrift_put(w, &b, 1);
    if (count >= 15) thrift_put_varint(w, count);
}

void thrift_put_stop(ThriftWriter *w) {
    thrift_put(w, "\0", 1);
}
