// SPDX-License-Identifier: Apache-2.0
// What zarr version 2 says of an array: the file .zarray, JSON.
#include "formats/json.h"
#include "import/zarr.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Reading {
    const json_t *said;
    const char *where, *name;
    ZarrArray *out;
} Reading;

// The sentence "FILE: ARRAY: WHAT".
__attribute__((format(printf, 3, 4))) CHECKED static bool refuse(const Reading *r, Error *err,
                                                                 const char *format, ...) {
    char what[700];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return fail(err, "%s: %s %s", r->where, r->name, what);
}

// ---- number types -------------------------------------------------------------------------------

static const char *type_name(char kind, int item) {
    static const struct {
        char kind;
        int item;
        const char *name;
    } types[] = {{'f', 2, "float16"}, {'f', 4, "float32"}, {'f', 8, "float64"}, {'i', 1, "int8"},
                 {'i', 2, "int16"},   {'i', 4, "int32"},   {'i', 8, "int64"},   {'u', 1, "uint8"},
                 {'u', 2, "uint16"},  {'u', 4, "uint32"},  {'u', 8, "uint64"},  {'b', 1, "bool"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].kind == kind && types[i].item == item) return types[i].name;
    return NULL;
}

// NumPy's short form: "<f4", ">i8", "|u1".
CHECKED static bool read_type(const Reading *r, Error *err) {
    const char *type = json_string_value(json_object_get(r->said, "dtype"));
    ZarrArray *a = r->out;
    const char *name = NULL;
    if (type && strlen(type) == 3 && strchr("<>|", type[0]) && type[2] >= '1' && type[2] <= '8')
        name = type_name(type[1], type[2] - '0');
    if (!name || (type[0] == '|' && type[2] != '1'))
        return refuse(r, err,
                      "has the number type %.60s, which is not read: write it again with numbers "
                      "(float32, uint8, ...)",
                      type ? type : "of a structure");
    a->kind = type[1];
    a->item = type[2] - '0';
    a->swapped = a->item > 1 && (type[0] == '<') != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    snprintf(a->dtype, sizeof a->dtype, "%s", name);
    return true;
}

// ---- fill_value ---------------------------------------------------------------------------------

static bool float_from_text(const char *text, double *out) {
    if (!text) return false;
    if (strcmp(text, "NaN") == 0)
        *out = (double)NAN;
    else if (strcmp(text, "Infinity") == 0)
        *out = (double)INFINITY;
    else if (strcmp(text, "-Infinity") == 0)
        *out = -(double)INFINITY;
    else
        return false;
    return true;
}

// Halves that a fill value can be, from a float: rounding is not wanted, for zarr wrote the value
// of a half.
static uint16_t half_bits(double value) {
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (isnan(f)) return sign | 0x7e00;
    if (isinf(f)) return sign | 0x7c00;
    double whole = ldexp(fabs(value), 24); // in units of the smallest half
    if (whole < 1024) return (uint16_t)(sign | (uint16_t)whole);
    int exponent;
    double fraction = frexp(fabs(value), &exponent); // [0.5, 1)
    return (uint16_t)(sign | (exponent + 14) << 10 | ((int)ldexp(fraction, 11) & 0x3ff));
}

CHECKED static bool read_fill(const Reading *r, Error *err) {
    const json_t *fill = json_object_get(r->said, "fill_value");
    ZarrArray *a = r->out;
    if (!fill || json_is_null(fill)) return true;
    double value = json_is_true(fill) ? 1 : json_number_value(fill);
    bool good = json_is_number(fill) || json_is_boolean(fill) ||
                (a->kind == 'f' && float_from_text(json_string_value(fill), &value));
    if (!good) return refuse(r, err, "has a fill_value that is no number: the file is damaged");
    a->has_fill = true;
    float single = (float)value;
    uint16_t half = half_bits(value);
    // Two's complement: the low bytes of a small number are the number in fewer bytes.
    int64_t whole = json_is_integer(fill) ? (int64_t)json_integer_value(fill)
                    : fabs(value) < 9e18  ? (int64_t)value
                                          : 0;
    if (a->kind != 'f') {
        for (int i = 0; i < a->item; i++) {
            int place = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i : a->item - 1 - i;
            a->fill[place] = (uint8_t)((uint64_t)whole >> (8 * i));
        }
    } else if (a->item == 8) {
        memcpy(a->fill, &value, 8);
    } else if (a->item == 4) {
        memcpy(a->fill, &single, 4);
    } else {
        memcpy(a->fill, &half, 2);
    }
    return true;
}

// ---- shape --------------------------------------------------------------------------------------

CHECKED static bool read_numbers(const Reading *r, const char *key, int64_t least, int64_t *out,
                                 int *n, Error *err) {
    const json_t *list = json_object_get(r->said, key);
    size_t size = json_array_size(list);
    if (!json_is_array(list) || size > ZARR_RANK)
        return refuse(r, err, "has no %s of at most %d numbers", key, ZARR_RANK);
    for (size_t i = 0; i < size; i++) {
        const json_t *number = json_array_get(list, i);
        if (!json_is_integer(number) || json_integer_value(number) < least)
            return refuse(r, err, "has a %s that is no list of whole numbers from %d on", key,
                          (int)least);
        out[i] = (int64_t)json_integer_value(number);
    }
    *n = (int)size;
    return true;
}

// Nothing that is computed of the shapes later on overflows.
CHECKED static bool read_shape(const Reading *r, Error *err) {
    ZarrArray *a = r->out;
    int rank = 0;
    if (!read_numbers(r, "shape", 0, a->shape, &a->rank, err) ||
        !read_numbers(r, "chunks", 1, a->chunk, &rank, err))
        return false;
    if (rank != a->rank || rank == 0)
        return refuse(r, err, "has a shape of %d numbers and chunks of %d", a->rank, rank);
    int64_t all = a->item, chunk = a->item;
    a->row = 1;
    for (int i = 0; i < rank; i++) {
        int64_t size = a->shape[i] > a->chunk[i] ? a->shape[i] : a->chunk[i];
        bool over = __builtin_mul_overflow(all, size, &all) ||
                    __builtin_mul_overflow(chunk, a->chunk[i], &chunk);
        if (over || all > INT64_MAX / 4)
            return refuse(r, err, "has a shape beyond all memory: the file is damaged");
        if (i > 0) a->row *= a->shape[i];
    }
    if (chunk > ZARR_CHUNK_MOST)
        return refuse(r, err,
                      "has chunks of %lld bytes, more than the %lld that are read at once: write "
                      "it again in smaller chunks",
                      (long long)chunk, (long long)ZARR_CHUNK_MOST);
    a->chunk_bytes = (size_t)chunk;
    return true;
}

// An image codec's chunk is one image.
CHECKED static bool check_image(const Reading *r, Error *err) {
    const ZarrArray *a = r->out;
    bool one = a->rank == 4 && a->chunk[0] == 1 && a->chunk[3] == 3 && a->kind == 'u' &&
               a->item == 1 && a->chunk[1] <= INT32_MAX && a->chunk[2] <= INT32_MAX;
    return one || refuse(r, err,
                         "is packed as %s, but its chunks are not one image each, (1, height, "
                         "width, 3) of uint8: write it again in such chunks",
                         a->codec.name);
}

// ---- all of it ----------------------------------------------------------------------------------

CHECKED static bool read_rest(const Reading *r, Error *err) {
    ZarrArray *a = r->out;
    Error why;
    const char *order = json_string_value(json_object_get(r->said, "order"));
    const char *separator = json_string_value(json_object_get(r->said, "dimension_separator"));
    const json_t *filters = json_object_get(r->said, "filters");
    if (!order || strcmp(order, "C") != 0)
        return refuse(r, err,
                      "has its numbers in the order %.20s, of which only C is read: write it "
                      "again with order=\"C\"",
                      order ? order : "(none)");
    if (separator && strcmp(separator, ".") != 0 && strcmp(separator, "/") != 0)
        return refuse(r, err, "has the dimension_separator %.20s, which zarr does not know",
                      separator);
    a->separator = separator ? *separator : '.';
    if (filters && !json_is_null(filters) && json_array_size(filters) > 0) {
        const char *id = json_string_value(json_object_get(json_array_get(filters, 0), "id"));
        return refuse(r, err,
                      "goes through the filter %.60s, which is not read: write it again without "
                      "filters",
                      id ? id : "(unnamed)");
    }
    if (!codec_parse(json_object_get(r->said, "compressor"), &a->codec, &why))
        return refuse(r, err, "%s", why.text);
    return !codec_is_image(&a->codec) || check_image(r, err);
}

bool zarr_parse(const char *text, size_t size, const char *where, const char *name, ZarrArray *out,
                Error *err) {
    json_error_t why;
    *out = (ZarrArray){0};
    Reading r = {.where = where, .name = name, .out = out};
    snprintf(out->name, sizeof out->name, "%s", name);
    json_t *said = size <= ZARR_TEXT_MOST ? json_parse(text, size, 0, &why) : NULL;
    if (!said) return refuse(&r, err, "has a .zarray that is no JSON: the file is damaged");
    r.said = said;
    bool ok = json_integer_value(json_object_get(said, "zarr_format")) == 2 ||
              refuse(&r, err, "says no zarr_format 2, the one that is read");
    ok =
        ok && read_type(&r, err) && read_shape(&r, err) && read_fill(&r, err) && read_rest(&r, err);
    json_decref(said);
    return ok;
}

bool zarr_array(const ZarrGroup *g, const char *name, ZarrArray *out, Error *err) {
    char file[300];
    uint8_t *text = NULL;
    size_t room = 0, n = 0;
    bool there = false;
    snprintf(file, sizeof file, "%s/.zarray", name);
    *out = (ZarrArray){0};
    bool ok = zarr_text(g, file, &text, &room, &n, &there, err) &&
              (there || fail(err, "%s: has no array %s", g->path, name)) &&
              zarr_parse((const char *)text, n, g->path, name, out, err);
    mem_free(text);
    return ok;
}
