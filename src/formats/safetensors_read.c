// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The order is that of the safetensors library's dtype enumeration, which sorts tensors by it.
const SafetensorsTypeInfo safetensors_types[] = {
    [ST_BOOL] = {"BOOL", 1, 0}, [ST_U8] = {"U8", 1, 1},    [ST_I8] = {"I8", 1, 2},
    [ST_I16] = {"I16", 2, 3},   [ST_U16] = {"U16", 2, 4},  [ST_F16] = {"F16", 2, 5},
    [ST_BF16] = {"BF16", 2, 6}, [ST_I32] = {"I32", 4, 7},  [ST_U32] = {"U32", 4, 8},
    [ST_F32] = {"F32", 4, 9},   [ST_F64] = {"F64", 8, 10}, [ST_I64] = {"I64", 8, 11},
    [ST_U64] = {"U64", 8, 12},
};
const int safetensors_type_count = sizeof(safetensors_types) / sizeof(safetensors_types[0]);

struct Safetensors {
    char *path;
    InputFile file; // while it is read
    uint8_t *data;  // all tensors, or NULL after safetensors_look
    json_t *header; // owns the names
    SafetensorsEntry *entries;
    int count;
    bool finite;
};

size_t safetensors_type_size(SafetensorsType type) {
    return safetensors_types[type].size;
}

bool safetensors_multiply(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

// The length of the header, which begins with byte 8.
static CHECKED bool read_length(const Safetensors *s, size_t *out, Error *err) {
    size_t size = s->file.size;
    uint8_t start[9];
    uint64_t length = 0;
    if (size < 8) {
        return fail(err,
                    "%s: not a safetensors file: %zu bytes, fewer than the 8 of the header "
                    "length; copy the file again",
                    s->path, size);
    }
    if (!input_read(&s->file, 0, start, size < sizeof start ? size : sizeof start, err))
        return false;
    for (int i = 7; i >= 0; i--) length = length << 8 | start[i];
    if (length > size - 8) {
        return fail(err,
                    "%s: the header claims %llu bytes but the file has %zu; it is cut short or "
                    "not a safetensors file",
                    s->path, (unsigned long long)length, size);
    }
    if (length < 2 || length > SAFETENSORS_MAX_HEADER || start[8] != '{') {
        return fail(err, "%s: no safetensors header (length %llu); this is another kind of file",
                    s->path, (unsigned long long)length);
    }
    *out = (size_t)length;
    return true;
}

static CHECKED bool read_header(Safetensors *s, size_t length, Error *err) {
    json_error_t problem;
    char *text = mem_try_raw(length);
    if (!text) return fail_memory(err, "%s: header of %zu bytes", s->path, length);
    bool ok = input_read(&s->file, 8, text, length, err);
    if (ok) s->header = json_parse(text, length, JSON_REJECT_DUPLICATES, &problem);
    mem_free(text);
    if (!ok || s->header) return ok;
    if (json_lacked_memory(&problem))
        return fail_memory(err, "%s: header of %zu bytes", s->path, length);
    return fail(err, "%s: the header is not valid JSON: %s (byte %d); the file is damaged", s->path,
                problem.text, problem.position);
}

static CHECKED bool check_metadata(const Safetensors *s, json_t *metadata, Error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return fail(err, "%s: __metadata__ is not an object; the file is damaged", s->path);
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) {
            return fail(err,
                        "%s: __metadata__ value of \"%s\" is not a string; the file is damaged",
                        s->path, key);
        }
    }
    return true;
}

static CHECKED bool read_type(const Safetensors *s, SafetensorsEntry *e, const json_t *value,
                              Error *err) {
    const char *name = json_string_value(value);
    for (int i = 0; name && i < safetensors_type_count; i++) {
        if (strcmp(name, safetensors_types[i].name) == 0) {
            e->type = (SafetensorsType)i;
            return true;
        }
    }
    return fail(err, "%s: tensor \"%s\" has dtype %s, which is not supported; convert it to F32",
                s->path, e->name, name ? name : "missing");
}

static CHECKED bool read_shape(const Safetensors *s, SafetensorsEntry *e, const json_t *shape,
                               Error *err) {
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > SAFETENSORS_MAX_RANK) {
        return fail(err,
                    "%s: tensor \"%s\" has no shape of at most %d numbers; the file is damaged",
                    s->path, e->name, SAFETENSORS_MAX_RANK);
    }
    e->rank = (int)rank;
    e->count = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *extent = json_array_get(shape, i);
        e->shape[i] = json_integer_value(extent);
        if (!json_is_integer(extent) || e->shape[i] < 0 ||
            !safetensors_multiply(e->count, e->shape[i], &e->count)) {
            return fail(err, "%s: tensor \"%s\" has an impossible shape; the file is damaged",
                        s->path, e->name);
        }
    }
    return true;
}

// An entry with where its data begin among all.
typedef struct Placed {
    SafetensorsEntry entry;
    size_t begin;
} Placed;

// size: of the data.
static CHECKED bool read_entry(const Safetensors *s, const char *name, const json_t *value,
                               size_t size, Placed *placed, Error *err) {
    SafetensorsEntry *e = &placed->entry;
    e->name = name;
    if (!json_is_object(value)) {
        return fail(err, "%s: tensor \"%s\" is not described by an object; the file is damaged",
                    s->path, name);
    }
    if (!read_type(s, e, json_object_get(value, "dtype"), err) ||
        !read_shape(s, e, json_object_get(value, "shape"), err))
        return false;
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(last);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        begin < 0 || end < begin || (uint64_t)end > size) {
        return fail(err,
                    "%s: tensor \"%s\" lies outside the data (data_offsets %lld to %lld of %zu "
                    "bytes); the file is cut short or damaged",
                    s->path, name, (long long)begin, (long long)end, size);
    }
    int64_t bytes;
    if (!safetensors_multiply(e->count, (int64_t)safetensors_type_size(e->type), &bytes) ||
        bytes != end - begin) {
        return fail(err,
                    "%s: tensor \"%s\" has %lld bytes of data, but %lld elements of %s; the "
                    "file is damaged",
                    s->path, name, (long long)(end - begin), (long long)e->count,
                    safetensors_types[e->type].name);
    }
    e->bytes = (size_t)bytes;
    placed->begin = (size_t)begin;
    return true;
}

static int by_position(const void *a, const void *b) {
    const Placed *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->entry.bytes < y->entry.bytes ? -1 : x->entry.bytes > y->entry.bytes;
}

// Sorted by position, the tensors must cover the data exactly, without overlaps and holes.
static CHECKED bool check_cover(const Safetensors *s, const Placed *placed, size_t size,
                                Error *err) {
    size_t end = 0;
    for (int i = 0; i < s->count; i++) {
        const Placed *p = &placed[i];
        if (p->begin != end) {
            return fail(err, "%s: tensor \"%s\" %s; the file is damaged", s->path, p->entry.name,
                        p->begin < end ? "overlaps the tensor before it"
                                       : "does not follow the tensor before it (a hole)");
        }
        end += p->entry.bytes;
    }
    if (end != size) {
        return fail(err, "%s: %zu bytes of data belong to no tensor; the file is damaged", s->path,
                    size - end);
    }
    return true;
}

// Counts them in s->count.
static CHECKED bool place_entries(Safetensors *s, Placed *placed, size_t size, Error *err) {
    const char *name;
    json_t *value;
    json_object_foreach(s->header, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            if (!check_metadata(s, value, err)) return false;
        } else if (!read_entry(s, name, value, size, &placed[s->count++], err)) {
            return false;
        }
    }
    qsort(placed, (size_t)s->count, sizeof *placed, by_position);
    return check_cover(s, placed, size, err);
}

// In the order of their data.
static CHECKED bool read_entries(Safetensors *s, size_t size, Error *err) {
    size_t count = json_object_size(s->header);
    Placed *placed = mem_try(count * sizeof *placed);
    s->entries = mem_try(count * sizeof *s->entries);
    bool ok = placed && s->entries ? place_entries(s, placed, size, err)
                                   : fail_memory(err, "%s: a list of %zu tensors", s->path, count);
    for (int i = 0; ok && i < s->count; i++) s->entries[i] = placed[i].entry;
    mem_free(placed);
    return ok;
}

static bool all_finite(const uint8_t *floats, size_t count) {
    const uint32_t exponent = 0x7f800000; // all ones: infinite or NaN
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, floats + i * sizeof bits, sizeof bits);
        bad |= (bits & exponent) == exponent;
    }
    return !bad;
}

// Reads bytes from byte `from` of the file on, in pieces by all threads: what takes longest is that
// the system clears the memory and copies into it. Each piece is looked through while it is in the
// cache.
static CHECKED bool read_run(Safetensors *s, size_t from, uint8_t *to, size_t bytes, Error *err) {
    enum { PIECE = 1 << 20 };
    size_t failed = bytes;
    bool bad = false;
#pragma omp parallel for schedule(dynamic)
    for (size_t at = 0; at < bytes; at += PIECE) {
        size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        Error unsaid; // it is said below
        if (!input_read(&s->file, from + at, to + at, n, &unsaid)) {
#pragma omp atomic write
            failed = at;
        } else if (s->finite && !all_finite(to + at, n / sizeof(float))) {
#pragma omp atomic write
            bad = true;
        }
    }
    s->finite &= !bad;
    // Once more from where it failed, for the error.
    return failed == bytes || input_read(&s->file, from + failed, to + failed, bytes - failed, err);
}

// Decides which tensors are read: all, but those that follow each other and whose names begin with
// `without`, when they are large. Marks them by a pointer, which is not their data's yet. Returns
// the bytes of all that are read.
static size_t choose_data(Safetensors *s, const char *without) {
    enum { WORTH_IT = 4 << 20 };
    size_t total = 0;
    for (int i = 0, next; i < s->count; i = next) {
        size_t bytes = 0;
        for (next = i; without && next < s->count; next++) {
            if (strncmp(s->entries[next].name, without, strlen(without)) != 0) break;
            bytes += s->entries[next].bytes;
        }
        if (bytes >= WORTH_IT) continue;
        if (next == i) next++;
        for (int k = i; k < next; k++) {
            s->entries[k].data = s;
            total += s->entries[k].bytes;
        }
    }
    return total;
}

// The data begin with byte `from`. without: NULL, or how the names begin of what is not wanted.
static CHECKED bool read_data(Safetensors *s, size_t from, const char *without, Error *err) {
    const size_t size = choose_data(s, without);
    s->data = mem_try_raw(size);
    if (!s->data) return fail_memory(err, "%s: %zu bytes", s->path, size);
    s->finite = true;
    for (int i = 0; i < s->count; i++) s->finite &= s->entries[i].type == ST_F32;
    uint8_t *to = s->data;
    for (int i = 0, next; i < s->count; i = next) {
        size_t run = 0; // without a hole between them, as was checked
        for (next = i; next < s->count && s->entries[next].data; next++) {
            s->entries[next].data = to + run;
            run += s->entries[next].bytes;
        }
        if (!read_run(s, from, to, run, err)) return false;
        from += run;
        to += run;
        for (; next < s->count && !s->entries[next].data; next++) from += s->entries[next].bytes;
    }
    return true;
}

static CHECKED bool open_file(const char *path, bool with_data, const char *without,
                              Safetensors **out, Error *err) {
    Safetensors *s = TRY_NEW(Safetensors, 1);
    size_t length = 0;
    if (s) s->path = mem_try_strdup(path);
    if (!s || !s->path) {
        mem_free(s);
        return fail_memory(err, "%s: its description", path);
    }
    bool ok = input_open(&s->file, path, err) && read_length(s, &length, err) &&
              read_header(s, length, err) && read_entries(s, s->file.size - 8 - length, err) &&
              (!with_data || read_data(s, 8 + length, without, err)) &&
              input_unchanged(&s->file, err);
    input_close(&s->file);
    if (ok)
        *out = s;
    else
        safetensors_close(s);
    return ok;
}

bool safetensors_open(const char *path, Safetensors **out, Error *err) {
    return open_file(path, true, NULL, out, err);
}

bool safetensors_open_without(const char *path, const char *prefix, Safetensors **out, Error *err) {
    return open_file(path, true, prefix, out, err);
}

bool safetensors_finite(const Safetensors *s) {
    return s->finite;
}

bool safetensors_look(const char *path, Safetensors **out, Error *err) {
    return open_file(path, false, NULL, out, err);
}

void safetensors_close(Safetensors *s) {
    if (s) {
        json_decref(s->header);
        mem_free(s->data);
        mem_free(s->entries);
        mem_free(s->path);
        mem_free(s);
    }
}

int safetensors_count(const Safetensors *s) {
    return s->count;
}

const SafetensorsEntry *safetensors_entry(const Safetensors *s, int i) {
    return &s->entries[i];
}

const SafetensorsEntry *safetensors_find(const Safetensors *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->entries[i].name, name) == 0) return &s->entries[i];
    return NULL;
}

static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value;
    if (exponent == 31)
        value = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

static double brain_value(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

double safetensors_value(const SafetensorsEntry *e, int64_t i) {
    union {
        double f64;
        float f32;
        int64_t i64;
        uint64_t u64;
        int32_t i32;
        uint32_t u32;
        int16_t i16;
        uint16_t u16;
        int8_t i8;
        uint8_t u8;
    } v = {0};
    size_t size = safetensors_type_size(e->type);
    memcpy(&v, (const uint8_t *)e->data + (size_t)i * size, size);
    switch (e->type) {
    case ST_F64:
        return v.f64;
    case ST_F32:
        return v.f32;
    case ST_F16:
        return half_value(v.u16);
    case ST_BF16:
        return brain_value(v.u16);
    case ST_I64:
        return (double)v.i64;
    case ST_U64:
        return (double)v.u64;
    case ST_I32:
        return v.i32;
    case ST_U32:
        return v.u32;
    case ST_I16:
        return v.i16;
    case ST_U16:
        return v.u16;
    case ST_I8:
        return v.i8;
    case ST_U8:
        return v.u8;
    case ST_BOOL:
        return v.u8 != 0;
    }
    return NAN;
}

bool safetensors_copy_f32(const SafetensorsEntry *e, float *out, int64_t count, Error *err) {
    if (e->count != count) {
        return fail(err,
                    "tensor \"%s\" has %lld elements, but %lld are needed; it belongs to "
                    "another model",
                    e->name, (long long)e->count, (long long)count);
    }
    if (e->type == ST_F32) {
        memcpy(out, e->data, e->bytes);
        return true;
    }
    if (e->type != ST_F64 && e->type != ST_F16 && e->type != ST_BF16) {
        return fail(err, "tensor \"%s\" is %s, but floating-point numbers are needed", e->name,
                    safetensors_types[e->type].name);
    }
    for (int64_t i = 0; i < count; i++) out[i] = (float)safetensors_value(e, i);
    return true;
}
