// SPDX-License-Identifier: Apache-2.0
// The footer: schema, row groups, key-value metadata.
#include "formats/parquet_internal.h"

#include <stdio.h>
#include <string.h>

// ---- schema -----------------------------------------------------------------------------------

typedef struct Element {
    int type, width, repetition, children;
    bool half, is_unsigned, time; // of the logical type; time: dates, times of day, points in time
    int scale;
    bool decimal; // scale counts
    const char *name;
} Element;

// NULL, and noted, for want of memory.
static void *footer_room(ParquetFile *f, size_t bytes) {
    void *p = arena_try(&f->arena, bytes);
    f->no_memory = f->no_memory || !p;
    return p;
}

// All texts of a footer and the zeros behind them take no more than the footer, in which each has
// its length before it.
static char *read_text(ParquetFile *f, ThriftReader *r) {
    size_t n;
    const uint8_t *bytes = thrift_binary(r, &n);
    char *text = f->texts;
    if (n) memcpy(text, bytes, n);
    text[n] = 0;
    f->texts += n + 1;
    return text;
}

// LogicalType's INTEGER: bit width, whether signed.
static bool read_unsigned(ThriftReader *r) {
    int id = 0, type;
    bool is_unsigned = false;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP)
        if (id == 2 && type == THRIFT_FALSE)
            is_unsigned = true;
        else
            thrift_skip(r, type);
    return is_unsigned;
}

// LogicalType's DECIMAL: scale, precision. Most writers give the scale in the element as well.
static int read_scale(ThriftReader *r) {
    int id = 0, type, scale = 0;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP)
        if (id == 1 && type == THRIFT_I32)
            scale = (int)thrift_int(r);
        else
            thrift_skip(r, type);
    return scale;
}

// A union: one field, which is a struct, and whose number is the kind.
static void read_logical_type(ThriftReader *r, Element *e) {
    enum { DECIMAL = 5, DATE = 6, TIMESTAMP = 8, INTEGER = 10, FLOAT16 = 15 };
    int id = 0, type;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP) {
        if (id == INTEGER && type == THRIFT_STRUCT) {
            if (read_unsigned(r)) e->is_unsigned = true;
            continue;
        }
        if (id == DECIMAL && type == THRIFT_STRUCT) {
            e->decimal = true;
            e->scale = read_scale(r);
            continue;
        }
        if (id == FLOAT16) e->half = true;
        if (id >= DATE && id <= TIMESTAMP) e->time = true;
        thrift_skip(r, type);
    }
}

// The older way to say what an element means, which writers still give as well.
static void read_converted_type(ThriftReader *r, Element *e) {
    enum { DECIMAL = 5, DATE = 6, TIMESTAMP_MICROS = 10, UINT_8 = 11, UINT_64 = 14 };
    int64_t v = thrift_int(r);
    if (v >= DATE && v <= TIMESTAMP_MICROS) e->time = true;
    if (v == DECIMAL) e->decimal = true;
    if (v >= UINT_8 && v <= UINT_64) e->is_unsigned = true;
}

static Element read_element(ParquetFile *f, ThriftReader *r) {
    Element e = {.type = -1, .name = ""};
    int id = 0, type;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP)
        if (id == 1 && type == THRIFT_I32)
            e.type = (int)thrift_int(r);
        else if (id == 2 && type == THRIFT_I32)
            e.width = (int)thrift_int(r);
        else if (id == 3 && type == THRIFT_I32)
            e.repetition = (int)thrift_int(r);
        else if (id == 4 && type == THRIFT_BINARY)
            e.name = read_text(f, r);
        else if (id == 5 && type == THRIFT_I32)
            e.children = (int)thrift_int(r);
        else if (id == 6 && type == THRIFT_I32)
            read_converted_type(r, &e);
        else if (id == 7 && type == THRIFT_I32)
            e.scale = (int)thrift_int(r);
        else if (id == 10 && type == THRIFT_STRUCT)
            read_logical_type(r, &e);
        else
            thrift_skip(r, type);
    return e;
}

// Walks the flattened tree depth first.
typedef struct Walk {
    ParquetFile *f;
    const Element *elements;
    int64_t count, at;
    int leaves;
} Walk;

enum { MAX_NESTING = 16, MAX_SCALE = 76 }; // MAX_SCALE: digits of the widest decimals
enum { PATH_ROOM = 256 };

// What a bare number or a string of bytes would not say is not read.
static const char *why_unread(const Element *e) {
    bool integer = e->type == TYPE_INT32 || e->type == TYPE_INT64;
    if (e->type == TYPE_INT96) return "is INT96 (a point in time)";
    if (e->time && integer) return "holds dates or times, which are no numbers";
    if (e->decimal && e->type >= TYPE_BYTE_ARRAY) return "holds decimals as bytes";
    return NULL;
}

static void add_leaf(Walk *w, const Element *e, const char *path, const char *top, int def, int rep,
                     int element_def) {
    Leaf *leaf = &w->f->leaves[w->leaves++];
    bool integer = e->type == TYPE_INT32 || e->type == TYPE_INT64;
    const char *whole = top == e->name ? top : arena_try_strdup(&w->f->arena, path);
    if (!whole) w->f->no_memory = true;
    *leaf = (Leaf){.path = whole,
                   .top = top,
                   .last = e->name,
                   .unread = why_unread(e),
                   .type = e->type,
                   .width = e->width,
                   .max_def = def,
                   .max_rep = rep,
                   .element_def = element_def,
                   .half = e->half && e->type == TYPE_FIXED && e->width == 2,
                   .is_unsigned = e->is_unsigned && integer,
                   .scale = e->decimal && integer ? e->scale : 0};
}

static bool walk_schema(Walk *w, const char *prefix, const char *top, int depth, int def, int rep,
                        int element_def) {
    if (w->at >= w->count || depth > MAX_NESTING) return false;
    const Element *e = &w->elements[w->at++];
    char path[PATH_ROOM];
    if (e->repetition < REPEAT_REQUIRED || e->repetition > REPEAT_REPEATED) return false;
    snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", e->name);
    if (depth == 0) top = e->name;
    if (e->repetition != REPEAT_REQUIRED) def++;
    if (e->repetition == REPEAT_REPEATED) {
        rep++;
        element_def = def;
    }
    if (e->children <= 0) {
        if (e->type < TYPE_BOOLEAN || e->type > TYPE_FIXED) return false;
        if (e->type == TYPE_FIXED && (e->width <= 0 || e->width > MAX_PAGE_BYTES)) return false;
        if (e->decimal && (e->scale < 0 || e->scale > MAX_SCALE)) return false;
        add_leaf(w, e, path, top, def, rep, element_def);
        return !w->f->no_memory;
    }
    for (int i = 0; i < e->children; i++)
        if (!walk_schema(w, path, top, depth + 1, def, rep, element_def)) return false;
    return true;
}

static bool read_schema(ParquetFile *f, ThriftReader *r) {
    int type;
    int64_t n = thrift_list(r, &type);
    if (type != THRIFT_STRUCT || n < 1 || n > MAX_LEAVES) return false;
    Element *elements = TRY_NEW(Element, n);
    f->leaves = footer_room(f, (size_t)n * sizeof *f->leaves);
    if (!elements || !f->leaves) {
        f->no_memory = true;
        mem_free(elements);
        return false;
    }
    for (int64_t i = 0; i < n && !r->bad; i++) elements[i] = read_element(f, r);
    Walk w = {.f = f, .elements = elements, .count = n, .at = 1};
    bool ok = !r->bad;
    for (int i = 0; ok && i < elements[0].children; i++) ok = walk_schema(&w, "", "", 0, 0, 0, 0);
    ok = ok && w.at == n;
    f->n_leaves = w.leaves;
    mem_free(elements);
    return ok;
}

// ---- row groups -------------------------------------------------------------------------------

// Bytes of a number in PLAIN encoding.
typedef struct Bound {
    const uint8_t *data;
    size_t size;
} Bound;

static bool decode_bound(const Leaf *leaf, Bound b, double *out) {
    size_t width = parquet_number_width(leaf);
    if (!width || !b.data || b.size != width) return false;
    *out = parquet_number(leaf, b.data);
    return true;
}

// Many writers store no checksums, but nearly all store the least and the greatest value of a
// column, by which a damaged page can be caught. Older writers compared unsigned numbers as if
// they were signed: there are no bounds where min > max.
static void read_statistics(ThriftReader *r, const Leaf *leaf, Chunk *c) {
    int id = 0, type;
    Bound bounds[7] = {{0}}; // by field: 1 max, 2 min (older writers), 5 max, 6 min
    while ((type = thrift_field(r, &id)) != THRIFT_STOP)
        if (type == THRIFT_BINARY && id >= 1 && id <= 6)
            bounds[id].data = thrift_binary(r, &bounds[id].size);
        else
            thrift_skip(r, type);
    Bound max = bounds[5].data ? bounds[5] : bounds[1],
          min = bounds[6].data ? bounds[6] : bounds[2];
    c->bounded = !r->bad && decode_bound(leaf, min, &c->min) && decode_bound(leaf, max, &c->max) &&
                 c->min <= c->max;
}

static void read_column_metadata(ThriftReader *r, const Leaf *leaf, Chunk *c) {
    int id = 0, type;
    int64_t data = -1, dictionary = -1;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP) {
        if (id == 12 && type == THRIFT_STRUCT) {
            read_statistics(r, leaf, c);
            continue;
        }
        if (type != THRIFT_I32 && type != THRIFT_I64) {
            thrift_skip(r, type);
            continue;
        }
        int64_t v = thrift_int(r);
        if (id == 1)
            c->type = (int)v;
        else if (id == 4)
            c->codec = (int)v;
        else if (id == 5)
            c->values = v;
        else if (id == 7)
            c->bytes = v;
        else if (id == 9)
            data = v;
        else if (id == 11)
            dictionary = v;
    }
    // Some writers leave the dictionary's offset 0.
    c->start = dictionary > 0 && dictionary < data ? dictionary : data;
}

static void read_chunk(ThriftReader *r, const Leaf *leaf, Chunk *c) {
    int id = 0, type;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP)
        if (id == 3 && type == THRIFT_STRUCT) {
            read_column_metadata(r, leaf, c);
        } else {
            if (id == 8) c->encrypted = true; // crypto_metadata
            thrift_skip(r, type);
        }
}

static bool chunk_is_sane(const ParquetFile *f, const Leaf *leaf, Chunk *c, int64_t rows) {
    if (c->encrypted) return true;
    if (c->values == 0 && c->start <= 0) { // pyarrow: no rows, no pages, and so no place
        c->start = 4;
        c->bytes = 0;
    }
    // Without repetition every row is one entry.
    return c->start >= 4 && c->bytes >= 0 && c->values >= 0 && c->type == leaf->type &&
           (uint64_t)c->start <= f->size && (uint64_t)c->bytes <= f->size - (uint64_t)c->start &&
           (leaf->max_rep > 0 || c->values == rows);
}

static bool read_chunks(ParquetFile *f, ThriftReader *r, RowGroup *g) {
    int element;
    int64_t n = thrift_list(r, &element);
    if (n != f->n_leaves || (n > 0 && element != THRIFT_STRUCT) || g->chunks) return false;
    g->chunks = footer_room(f, (size_t)(n + 1) * sizeof *g->chunks);
    if (!g->chunks) return false;
    for (int64_t i = 0; i < n && !r->bad; i++) {
        g->chunks[i] = (Chunk){.type = -1, .start = -1};
        read_chunk(r, &f->leaves[i], &g->chunks[i]);
    }
    return !r->bad;
}

static bool read_group(ParquetFile *f, ThriftReader *r, RowGroup *g) {
    int id = 0, type;
    while ((type = thrift_field(r, &id)) != THRIFT_STOP) {
        if (id == 1 && type == THRIFT_LIST) {
            if (!read_chunks(f, r, g)) return false;
        } else if (id == 3 && type == THRIFT_I64) {
            g->rows = thrift_int(r);
        } else {
            thrift_skip(r, type);
        }
    }
    if (r->bad || g->rows < 0 || !g->chunks) return false;
    for (int i = 0; i < f->n_leaves; i++)
        if (!chunk_is_sane(f, &f->leaves[i], &g->chunks[i], g->rows)) return false;
    return true;
}

// Bytes of the smallest ones in a footer: a list of chunks and a number of rows; a key.
enum { LEAST_GROUP = 5, LEAST_KEY_VALUE = 3 };

// *rows: of all groups.
static bool read_groups(ParquetFile *f, ThriftReader *r, int64_t *rows) {
    int type;
    int64_t n = thrift_list(r, &type);
    if (n > 0 && type != THRIFT_STRUCT) return false;
    if (n > (r->end - r->at) / LEAST_GROUP) return false;
    f->groups = footer_room(f, (size_t)(n + 1) * sizeof *f->groups);
    if (!f->groups) return false;
    for (int64_t i = 0; i < n; i++) {
        if (!read_group(f, r, &f->groups[i])) return false;
        if (f->groups[i].rows > INT64_MAX - *rows) return false;
        *rows += f->groups[i].rows;
    }
    f->n_groups = (int)n;
    return true;
}

static bool read_key_values(ParquetFile *f, ThriftReader *r) {
    int type;
    int64_t n = thrift_list(r, &type);
    if (n > 0 && type != THRIFT_STRUCT) return false;
    if (n > (r->end - r->at) / LEAST_KEY_VALUE) return false;
    f->metadata = footer_room(f, (size_t)(n + 1) * sizeof *f->metadata);
    if (!f->metadata) return false;
    f->n_metadata = (int)n;
    for (int64_t i = 0; i < n && !r->bad; i++) {
        int id = 0;
        f->metadata[i] = (KeyValue){"", ""};
        while ((type = thrift_field(r, &id)) != THRIFT_STOP)
            if (id == 1 && type == THRIFT_BINARY)
                f->metadata[i].key = read_text(f, r);
            else if (id == 2 && type == THRIFT_BINARY)
                f->metadata[i].value = read_text(f, r);
            else
                thrift_skip(r, type);
    }
    return !r->bad;
}

static bool footer_damaged(const ParquetFile *f, const char *what, Error *err) {
    if (f->no_memory) return fail_memory(err, "%s: its footer", f->path);
    return fail(err, "%s: damaged Parquet file: %s; copy it again", f->path, what);
}

static bool is_encrypted(const ParquetFile *f) {
    return f->size >= 12 &&
           (memcmp(f->data, "PARE", 4) == 0 || memcmp(f->data + f->size - 4, "PARE", 4) == 0);
}

bool parquet_footer(ParquetFile *f, Error *err) {
    if (is_encrypted(f))
        return fail(err, "%s: is encrypted, which is not supported: write it again unencrypted",
                    f->path);
    if (f->size < 12 || memcmp(f->data, "PAR1", 4) != 0)
        return fail(err, "%s: not a Parquet file", f->path);
    if (memcmp(f->data + f->size - 4, "PAR1", 4) != 0)
        return footer_damaged(f, "its end is missing (cut short?)", err);
    uint32_t length;
    memcpy(&length, f->data + f->size - 8, 4);
    if (length > f->size - 12) return footer_damaged(f, "its footer is longer than the file", err);
    ThriftReader r = {f->data + f->size - 8 - length, f->data + f->size - 8, false, 0};
    int id = 0, type;
    bool schema = false, groups = false;
    int64_t rows = 0;
    f->texts = footer_room(f, length + 1);
    if (!f->texts) return footer_damaged(f, "", err);
    while ((type = thrift_field(&r, &id)) != THRIFT_STOP) {
        if (id == 2 && type == THRIFT_LIST && !schema) { // the row groups are read by it: once only
            if (!read_schema(f, &r))
                return footer_damaged(f, "its schema does not hold together", err);
            schema = true;
        } else if (id == 3 && type == THRIFT_I64 && !groups) {
            f->rows = thrift_int(&r);
        } else if (id == 4 && type == THRIFT_LIST && schema && !groups) {
            if (!read_groups(f, &r, &rows))
                return footer_damaged(f, "its row groups do not hold together", err);
            groups = true;
        } else if (id == 5 && type == THRIFT_LIST && !f->metadata) {
            if (!read_key_values(f, &r))
                return footer_damaged(f, "its metadata does not hold together", err);
        } else {
            thrift_skip(&r, type);
        }
    }
    if (r.bad || !schema || !groups)
        return footer_damaged(f, "its footer does not hold together", err);
    if (rows != f->rows)
        return footer_damaged(f, "its row groups have more or fewer rows than it says it has", err);
    return true;
}
