// SPDX-License-Identifier: Apache-2.0
// Rows of an array, from the chunks of a grid.
#include "base/memory.h"
#include "import/zarr.h"
#include <stdio.h>
#include <string.h>

// ---- a chunk ------------------------------------------------------------------------------------

void zarr_chunk_name(const ZarrArray *a, const int64_t *at, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "%s/", a->name);
    for (int i = 0; i < a->rank && used < size; i++) {
        const char separator[2] = {i ? a->separator : '\0', '\0'};
        used += (size_t)snprintf(out + used, size - used, "%s%lld", separator, (long long)at[i]);
    }
}

// The machine's byte order, in place.
static void swap_bytes(uint8_t *p, size_t bytes, int item) {
    for (uint8_t *end = p + bytes; p < end; p += item)
        for (int i = 0; i < item / 2; i++) {
            uint8_t first = p[i];
            p[i] = p[item - 1 - i];
            p[item - 1 - i] = first;
        }
}

static CodecWish wish_of(const ZarrGroup *g, const ZarrArray *a) {
    CodecWish wish = {.bytes = a->chunk_bytes, .decode = g->decode};
    if (codec_is_image(&a->codec)) {
        wish.height = (int)a->chunk[1];
        wish.width = (int)a->chunk[2];
    }
    return wish;
}

CHECKED static bool make_room(ZarrCursor *c, size_t bytes, const ZarrGroup *g, Error *err) {
    if (c->chunk && c->chunk_room >= bytes) return true;
    mem_free(c->chunk);
    c->chunk = mem_try_raw(bytes + 1);
    c->chunk_room = c->chunk ? bytes : 0;
    return c->chunk || fail_memory(err, "%s: a chunk of %zu bytes", g->path, bytes);
}

// Unpacks the n bytes in c->packed into out, the whole chunk.
CHECKED static bool unpack(const ZarrGroup *g, const ZarrArray *a, ZarrCursor *c, size_t n,
                           uint8_t *out, Error *err) {
    CodecWish wish = wish_of(g, a);
    if (!codec_unpack(&a->codec, &c->codec, c->packed, n, &wish, out, err)) return false;
    if (a->swapped) swap_bytes(out, a->chunk_bytes, a->item);
    return true;
}

// The chunk at[] (in chunks) into `out`, or, with NULL, into the cursor, where it stays. *there is
// false where it is missing and the array's fill value stands for it: nothing is made of that, for
// it may be much larger than what is wanted of it.
CHECKED static bool read_chunk(const ZarrGroup *g, const ZarrArray *a, ZarrCursor *c,
                               const int64_t *at, uint8_t *out, bool *there, Error *err) {
    char name[512];
    size_t n = 0, index = sizeof *at * (size_t)a->rank;
    *there = true;
    if (!out && c->of == a && memcmp(c->at, at, index) == 0) return true;
    if (!out) c->of = NULL;
    zarr_chunk_name(a, at, name, sizeof name);
    if (!zarr_file(g, name, &c->packed, &c->packed_room, &n, there, err)) return false;
    if (!*there)
        return a->has_fill ||
               fail(err, "%s: %s is missing, and the array has no fill_value to stand for it",
                    g->path, name);
    CodecWish wish = wish_of(g, a);
    Error why;
    if (!codec_check(&a->codec, &c->codec, c->packed, n, &wish, &why))
        return fail_because(err, &why, "%s: %s %.800s", g->path, name, why.text);
    if (!out && !make_room(c, a->chunk_bytes, g, err)) return false;
    if (!unpack(g, a, c, n, out ? out : c->chunk, &why))
        return fail_because(err, &why, "%s: %s %.800s", g->path, name, why.text);
    if (!out) {
        c->of = a;
        memcpy(c->at, at, index);
    }
    return true;
}

// ---- rows ---------------------------------------------------------------------------------------

// What of a chunk lies in the rows that are wanted: from[] and size[] in the array's places.
typedef struct Part {
    int64_t from[ZARR_RANK], size[ZARR_RANK];
} Part;

static Part part_of(const ZarrArray *a, const int64_t *at, int64_t first, int64_t count) {
    Part p = {0};
    for (int i = 0; i < a->rank; i++) {
        int64_t from = at[i] * a->chunk[i], end = from + a->chunk[i];
        int64_t low = i ? 0 : first, high = i ? a->shape[i] : first + count;
        p.from[i] = from > low ? from : low;
        p.size[i] = (end < high ? end : high) - p.from[i];
    }
    return p;
}

static void fill_run(const ZarrArray *a, uint8_t *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i += (size_t)a->item) memcpy(out + i, a->fill, (size_t)a->item);
}

// Copies a part of the chunk to its place in out, whose row `first` is the first: runs along the
// last dimension, which lie together in both. chunk NULL: fills that place.
static void copy_part(const ZarrArray *a, const int64_t *at, const Part *p, int64_t first,
                      const uint8_t *chunk, uint8_t *out) {
    int last = a->rank - 1;
    size_t item = (size_t)a->item, run = (size_t)p->size[last] * item;
    int64_t k[ZARR_RANK] = {0};
    for (;;) {
        int64_t from = 0, to = 0;
        for (int i = 0; i < a->rank; i++) {
            int64_t place = p->from[i] + k[i];
            from = from * a->chunk[i] + (place - at[i] * a->chunk[i]);
            to = i ? to * a->shape[i] + place : place - first;
        }
        if (chunk)
            memcpy(out + (size_t)to * item, chunk + (size_t)from * item, run);
        else
            fill_run(a, out + (size_t)to * item, run);
        int i = last - 1;
        while (i >= 0 && ++k[i] == p->size[i]) k[i--] = 0;
        if (i < 0) return;
    }
}

// Whether the chunk is these rows and nothing else, so that it may be unpacked into their place.
static bool is_whole(const ZarrArray *a, const Part *p) {
    for (int i = 0; i < a->rank; i++)
        if (p->size[i] != a->chunk[i] || (i && a->chunk[i] != a->shape[i])) return false;
    return true;
}

bool zarr_rows(const ZarrGroup *g, const ZarrArray *a, ZarrCursor *c, int64_t first, int64_t count,
               void *out, Error *err) {
    int64_t at[ZARR_RANK] = {0};
    if (first < 0 || count < 0 || first > a->shape[0] - count)
        return fail(err, "%s: %s has %lld rows, but %lld to %lld are wanted", g->path, a->name,
                    (long long)a->shape[0], (long long)first, (long long)(first + count - 1));
    if (count == 0 || a->row == 0) return true;
    for (at[0] = first / a->chunk[0];;) {
        Part p = part_of(a, at, first, count);
        uint8_t *direct = NULL;
        if (is_whole(a, &p))
            direct = (uint8_t *)out + (size_t)((p.from[0] - first) * a->row) * (size_t)a->item;
        bool there;
        if (!read_chunk(g, a, c, at, direct, &there, err)) return false;
        if (!direct || !there) copy_part(a, at, &p, first, there ? c->chunk : NULL, out);
        int i = a->rank - 1;
        for (; i >= 0; i--) {
            int64_t end = i ? a->shape[i] : first + count;
            if (++at[i] * a->chunk[i] < end) break;
            if (i) at[i] = 0;
        }
        if (i < 0) return true;
    }
}

// ---- numbers ------------------------------------------------------------------------------------

static double from_half(uint16_t bits) {
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023, value;
    if (exponent == 31)
        value = fraction > 0 ? (double)__builtin_nanf("") : (double)__builtin_inff();
    else if (exponent == 0)
        value = fraction * 0x1p-24;
    else
        value = __builtin_ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

// Every whole number below it is a double of its own; the one after it becomes it.
#define FIRST_INEXACT ((int64_t)1 << 53)

static double number(const ZarrArray *a, const uint8_t *p) {
#define AS(type)                                                                                   \
    do {                                                                                           \
        type v;                                                                                    \
        memcpy(&v, p, sizeof v);                                                                   \
        return (double)v;                                                                          \
    } while (0)
    if (a->kind == 'f') {
        uint16_t half;
        if (a->item == 8) AS(double);
        if (a->item == 4) AS(float);
        memcpy(&half, p, 2);
        return from_half(half);
    }
    switch (a->kind == 'i' ? a->item : -a->item) {
    case 8:
        AS(int64_t);
    case 4:
        AS(int32_t);
    case 2:
        AS(int16_t);
    case 1:
        AS(int8_t);
    case -8:
        AS(uint64_t);
    case -4:
        AS(uint32_t);
    case -2:
        AS(uint16_t);
    default:
        return *p;
    }
#undef AS
}

bool zarr_doubles(const ZarrArray *a, const void *numbers, int64_t n, double *out, int64_t *bad) {
    bool long_ints = a->item == 8 && a->kind != 'f';
    for (int64_t i = 0; i < n; i++) {
        out[i] = number(a, (const uint8_t *)numbers + i * a->item);
        if (long_ints && !(out[i] < (double)FIRST_INEXACT && out[i] > -(double)FIRST_INEXACT)) {
            *bad = i;
            return false;
        }
    }
    return true;
}

// ---- what is there ------------------------------------------------------------------------------

bool zarr_complete(const ZarrGroup *g, const ZarrArray *a, int64_t rows, Error *err) {
    int64_t at[ZARR_RANK] = {0};
    char name[512];
    if (rows == 0 || a->row == 0) return true;
    for (;;) {
        zarr_chunk_name(a, at, name, sizeof name);
        if (!zarr_has_file(g, name))
            return fail(err,
                        "%s: %s is missing, a part of row %lld: copy all of it again from where "
                        "it is whole",
                        g->path, name, (long long)(at[0] * a->chunk[0]));
        int i = a->rank - 1;
        for (; i >= 0; i--) {
            if (++at[i] * a->chunk[i] < (i ? a->shape[i] : rows)) break;
            at[i] = 0;
        }
        if (i < 0) return true;
    }
}

bool zarr_stored(const ZarrGroup *g, const ZarrArray *a, ZarrCursor *c, int64_t row, size_t *n,
                 Error *err) {
    int64_t at[ZARR_RANK] = {row / a->chunk[0]};
    char name[512];
    bool there = false;
    zarr_chunk_name(a, at, name, sizeof name);
    if (!zarr_file(g, name, &c->packed, &c->packed_room, n, &there, err)) return false;
    if (!there) *n = 0;
    return true;
}

void zarr_cursor_free(ZarrCursor *c) {
    mem_free(c->packed);
    mem_free(c->chunk);
    codec_state_free(c->codec);
    *c = (ZarrCursor){0};
}
