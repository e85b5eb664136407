// SPDX-License-Identifier: Apache-2.0
#include "serve/openpi/message.h"

#include <math.h>
#include <string.h>

// A text, or bytes: the client packs the keys of an array as bytes.
static bool is_word(const msgpack_object *o, const char *word) {
    const bool text = o->type == MSGPACK_OBJECT_STR, bytes = o->type == MSGPACK_OBJECT_BIN;
    const size_t size = text ? o->via.str.size : bytes ? o->via.bin.size : 0;
    return (text || bytes) && size == strlen(word) &&
           memcmp(text ? o->via.str.ptr : o->via.bin.ptr, word, size) == 0;
}

static const msgpack_object *member(const msgpack_object *o, const char *key) {
    if (o->type != MSGPACK_OBJECT_MAP) return NULL;
    for (uint32_t i = 0; i < o->via.map.size; i++)
        if (is_word(&o->via.map.ptr[i].key, key)) return &o->via.map.ptr[i].val;
    return NULL;
}

bool numpy_is_array(const msgpack_object *o) {
    return member(o, "__ndarray__") != NULL;
}

// "<f4": the byte order, the kind and the bytes of a value.
static bool read_dtype(const msgpack_object *o, NumpyArray *a) {
    if (!o || o->type != MSGPACK_OBJECT_STR || o->via.str.size < 2 ||
        o->via.str.size >= sizeof a->dtype)
        return false;
    memcpy(a->dtype, o->via.str.ptr, o->via.str.size);
    a->dtype[o->via.str.size] = '\0';
    const char *p = a->dtype;
    a->swapped = *p == '>';
    if (strchr("<>|=", *p)) p++;
    a->kind = *p++;
    if (*p < '1' || *p > '8' || p[1]) return false;
    a->item = *p - '0';
    switch (a->kind) {
    case 'b':
        return a->item == 1;
    case 'f':
        return a->item == 2 || a->item == 4 || a->item == 8;
    case 'i':
    case 'u':
        return a->item == 1 || a->item == 2 || a->item == 4 || a->item == 8;
    default:
        return false;
    }
}

static bool read_shape(const msgpack_object *o, NumpyArray *a) {
    if (!o || o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > NUMPY_DIMENSIONS) return false;
    a->n_dims = (int)o->via.array.size;
    a->count = 1;
    for (int i = 0; i < a->n_dims; i++) {
        const msgpack_object *n = &o->via.array.ptr[i];
        // So that no product of two goes over.
        if (n->type != MSGPACK_OBJECT_POSITIVE_INTEGER || n->via.u64 > INT32_MAX) return false;
        a->dims[i] = (size_t)n->via.u64;
        a->count *= a->dims[i];
        if (a->count > INT32_MAX) return false;
    }
    return true;
}

bool numpy_array(const msgpack_object *o, const char *name, NumpyArray *a, Error *err) {
    const msgpack_object *data = member(o, "data");
    *a = (NumpyArray){0};
    if (!numpy_is_array(o)) return fail(err, "%s is no array of NumPy's", name);
    if (!read_dtype(member(o, "dtype"), a))
        return fail(err, "%s: an array of dtype %s cannot be read; numbers can", name,
                    a->dtype[0] ? a->dtype : "unknown");
    if (!read_shape(member(o, "shape"), a))
        return fail(err, "%s: an array without a shape of at most %d dimensions", name,
                    NUMPY_DIMENSIONS);
    if (!data || data->type != MSGPACK_OBJECT_BIN ||
        data->via.bin.size != a->count * (size_t)a->item)
        return fail(err, "%s: an array of %zu values of %d bytes, but %u bytes of data", name,
                    a->count, a->item,
                    data && data->type == MSGPACK_OBJECT_BIN ? data->via.bin.size : 0);
    a->data = (const uint8_t *)data->via.bin.ptr;
    return true;
}

static double half_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                   : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                  : ldexp(fraction, -24);
    return bits >> 15 ? -value : value;
}

double numpy_value(const NumpyArray *a, size_t i) {
    uint64_t bits = 0;
    const uint8_t *p = a->data + i * (size_t)a->item;
    for (int k = 0; k < a->item; k++)
        bits |= (uint64_t)p[k] << 8 * (a->swapped ? a->item - 1 - k : k);
    if (a->kind == 'f') {
        double wide;
        float narrow;
        const uint32_t low = (uint32_t)bits;
        if (a->item == 2) return half_value((uint16_t)bits);
        memcpy(&narrow, &low, sizeof narrow);
        memcpy(&wide, &bits, sizeof wide);
        return a->item == 4 ? (double)narrow : wide;
    }
    if (a->kind != 'i') return (double)bits;
    const int unused = 64 - 8 * a->item; // the sign is moved to the top and back
    return (double)((int64_t)(bits << unused) >> unused);
}

bool numpy_number(const msgpack_object *o, double *out) {
    if (member(o, "__npgeneric__")) o = member(o, "data");
    switch (o ? o->type : MSGPACK_OBJECT_NIL) {
    case MSGPACK_OBJECT_BOOLEAN:
        *out = o->via.boolean;
        return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *out = (double)o->via.u64;
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *out = (double)o->via.i64;
        return true;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *out = o->via.f64;
        return true;
    default:
        return false;
    }
}
