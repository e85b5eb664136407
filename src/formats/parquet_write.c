// SPDX-License-Identifier: Apache-2.0
// The writer: row groups as they come, the footer at the end.
#include "formats/parquet_writer.h"

#include "base/file.h"
#include <string.h>

enum { PAGE_TARGET = 1 << 20 }; // bytes of values from which a new page begins
enum { CONVERTED_UTF8 = 0, CONVERTED_LIST = 3 };

typedef struct WrittenChunk {
    int64_t start, packed, unpacked, entries;
} WrittenChunk;

typedef struct WrittenGroup {
    int64_t rows;
    WrittenChunk *chunks;
    struct WrittenGroup *next;
} WrittenGroup;

struct ParquetWriter {
    AtomicFile file;
    Arena arena;
    Column *columns;
    int n_columns, n_metadata, n_groups;
    KeyValue *metadata;
    int64_t at, rows;
    WrittenGroup *first, *last;
};

static void copy_inner(Arena *a, Column *c, const ParquetField *f) {
    if (f->n_inner == 0) return;
    c->inner = arena_alloc(a, sizeof *c->inner * (size_t)f->n_inner);
    int64_t values = 1;
    for (int k = f->n_inner - 1; k >= 0; k--) c->inner[k] = values *= f->inner[k];
}

bool parquet_writer_open(const char *path, const ParquetField *fields, int n_fields,
                         const char *const (*metadata)[2], int n_metadata, ParquetWriter **out,
                         Error *err) {
    ParquetWriter *w = NEW(ParquetWriter, 1);
    *out = NULL;
    w->n_columns = n_fields;
    w->columns = arena_alloc(&w->arena, (size_t)(n_fields + 1) * sizeof *w->columns);
    for (int i = 0; i < n_fields; i++) {
        const ParquetField *f = &fields[i];
        w->columns[i] = (Column){.name = arena_strdup(&w->arena, f->name),
                                 .type = f->type,
                                 .list = f->list,
                                 .max_rep = f->list ? 1 + f->n_inner : 0,
                                 .max_def = f->list     ? 3 + 2 * f->n_inner
                                            : f->member ? 2
                                                        : 1};
        copy_inner(&w->arena, &w->columns[i], f);
        if (f->member) w->columns[i].member = arena_strdup(&w->arena, f->member);
    }
    w->n_metadata = n_metadata;
    w->metadata = arena_alloc(&w->arena, (size_t)(n_metadata + 1) * sizeof *w->metadata);
    for (int i = 0; i < n_metadata; i++)
        w->metadata[i] = (KeyValue){arena_strdup(&w->arena, metadata[i][0]),
                                    arena_strdup(&w->arena, metadata[i][1])};
    if (!atomic_open(&w->file, path, err)) {
        parquet_writer_abort(w);
        return false;
    }
    if (fwrite("PAR1", 1, 4, w->file.stream) != 4) {
        fail_errno(err, "%s: cannot write", path);
        parquet_writer_abort(w);
        return false;
    }
    w->at = 4;
    *out = w;
    return true;
}

void parquet_writer_abort(ParquetWriter *w) {
    if (!w) return;
    atomic_abort(&w->file);
    arena_free(&w->arena);
    mem_free(w);
}

// ---- row groups -------------------------------------------------------------------------------

static size_t row_bytes(const Column *c, const ParquetValues *v, int64_t row) {
    int64_t begin = c->list ? v->offsets[row] : row, end = c->list ? v->offsets[row + 1] : row + 1;
    if (c->type != PARQUET_STRING) return (size_t)(end - begin) * 8;
    size_t n = 0;
    for (int64_t i = begin; i < end; i++) n += 4 + ((const ParquetBytes *)v->data)[i].size;
    return n;
}

static bool write_chunk(ParquetWriter *w, const Column *c, const ParquetValues *v, int64_t rows,
                        WrittenChunk *chunk, Error *err) {
    chunk->start = w->at;
    for (int64_t first = 0; first < rows;) {
        size_t bytes = 0;
        int64_t end = first;
        while (end < rows && bytes < PAGE_TARGET) bytes += row_bytes(c, v, end++);
        if (bytes > MAX_PAGE_BYTES)
            return fail(err, "%s: column %s: a value of %zu bytes is too large", w->file.path,
                        c->name, bytes);
        ThriftWriter page = {0};
        size_t unpacked;
        chunk->entries += parquet_encode_page(c, v, first, end - first, &page, &unpacked);
        bool ok = fwrite(page.data, 1, page.size, w->file.stream) == page.size ||
                  fail_errno(err, "%s: cannot write", w->file.path);
        w->at += (int64_t)page.size;
        chunk->packed += (int64_t)page.size;
        chunk->unpacked += (int64_t)unpacked;
        mem_free(page.data);
        if (!ok) return false;
        first = end;
    }
    return true;
}

bool parquet_write_group(ParquetWriter *w, int64_t rows, const ParquetValues *values, Error *err) {
    WrittenGroup *g = arena_alloc(&w->arena, sizeof *g);
    g->rows = rows;
    g->chunks = arena_alloc(&w->arena, (size_t)(w->n_columns + 1) * sizeof *g->chunks);
    for (int i = 0; i < w->n_columns; i++)
        if (!write_chunk(w, &w->columns[i], &values[i], rows, &g->chunks[i], err)) return false;
    if (w->last)
        w->last->next = g;
    else
        w->first = g;
    w->last = g;
    w->n_groups++;
    w->rows += rows;
    return true;
}

// ---- footer -----------------------------------------------------------------------------------

static int physical_type(ParquetType type) {
    static const int types[] = {[PARQUET_I64] = TYPE_INT64,
                                [PARQUET_F32] = TYPE_FLOAT,
                                [PARQUET_F64] = TYPE_DOUBLE,
                                [PARQUET_BOOL] = TYPE_BOOLEAN,
                                [PARQUET_STRING] = TYPE_BYTE_ARRAY};
    return types[type];
}

static void put_text(ThriftWriter *t, int *last, int id, const char *s) {
    thrift_put_binary(t, last, id, s, strlen(s));
}

// type -1: a group of `children`. converted -1: none. repetition -1: the root.
static void put_element(ThriftWriter *t, int type, int repetition, const char *name, int children,
                        int converted) {
    int last = 0;
    if (type >= 0) thrift_put_int(t, &last, 1, THRIFT_I32, type);
    if (repetition >= 0) thrift_put_int(t, &last, 3, THRIFT_I32, repetition);
    put_text(t, &last, 4, name);
    if (children > 0) thrift_put_int(t, &last, 5, THRIFT_I32, children);
    if (converted >= 0) thrift_put_int(t, &last, 6, THRIFT_I32, converted);
    thrift_put_stop(t);
}

// Columns of one struct stand next to each other.
static int struct_members(const ParquetWriter *w, int i) {
    int n = 1;
    const Column *c = &w->columns[i];
    while (c->member && i + n < w->n_columns && c[n].member && !strcmp(c[n].name, c->name)) n++;
    return n;
}

static void put_schema(ThriftWriter *t, const ParquetWriter *w) {
    int fields = 0, elements = 1;
    for (int i = 0; i < w->n_columns; i += struct_members(w, i)) {
        fields++;
        elements += w->columns[i].list     ? 1 + 2 * w->columns[i].max_rep
                    : w->columns[i].member ? 1 + struct_members(w, i)
                                           : 1;
    }
    int list = 1; // field 2 of FileMetaData follows field 1
    thrift_put_list(t, &list, 2, THRIFT_STRUCT, (size_t)elements);
    put_element(t, -1, -1, "schema", fields, -1);
    for (int i = 0; i < w->n_columns; i += struct_members(w, i)) {
        const Column *c = &w->columns[i];
        int type = physical_type(c->type), text = c->type == PARQUET_STRING ? CONVERTED_UTF8 : -1;
        if (c->list) {
            for (int k = 0; k < c->max_rep; k++) {
                put_element(t, -1, REPEAT_OPTIONAL, k == 0 ? c->name : "element", 1,
                            CONVERTED_LIST);
                put_element(t, -1, REPEAT_REPEATED, "list", 1, -1);
            }
            put_element(t, type, REPEAT_OPTIONAL, "element", 0, text);
        } else if (c->member) {
            put_element(t, -1, REPEAT_OPTIONAL, c->name, struct_members(w, i), -1);
            for (int k = 0; k < struct_members(w, i); k++) {
                // An image's path is text, its bytes are not.
                bool is_text = c[k].type == PARQUET_STRING && strcmp(c[k].member, "bytes") != 0;
                put_element(t, physical_type(c[k].type), REPEAT_OPTIONAL, c[k].member, 0,
                            is_text ? CONVERTED_UTF8 : -1);
            }
        } else {
            put_element(t, type, REPEAT_OPTIONAL, c->name, 0, text);
        }
    }
}

static void put_path(ThriftWriter *t, int *last, const Column *c) {
    int n = c->list ? 1 + 2 * c->max_rep : c->member ? 2 : 1;
    thrift_put_list(t, last, 3, THRIFT_BINARY, (size_t)n);
    for (int i = 0; i < n; i++) {
        const char *part = i == 0 ? c->name : c->member ? c->member : i % 2 ? "list" : "element";
        thrift_put_varint(t, strlen(part));
        thrift_put(t, part, strlen(part));
    }
}

static void put_chunk(ThriftWriter *t, const Column *c, const WrittenChunk *chunk) {
    int last = 0, inner = 0;
    thrift_put_int(t, &last, 2, THRIFT_I64, chunk->start);
    thrift_put_field(t, &last, 3, THRIFT_STRUCT);
    thrift_put_int(t, &inner, 1, THRIFT_I32, physical_type(c->type));
    thrift_put_list(t, &inner, 2, THRIFT_I32, 2);
    thrift_put_zigzag(t, ENCODING_PLAIN);
    thrift_put_zigzag(t, ENCODING_RLE);
    put_path(t, &inner, c);
    thrift_put_int(t, &inner, 4, THRIFT_I32, CODEC_SNAPPY);
    thrift_put_int(t, &inner, 5, THRIFT_I64, chunk->entries);
    thrift_put_int(t, &inner, 6, THRIFT_I64, chunk->unpacked);
    thrift_put_int(t, &inner, 7, THRIFT_I64, chunk->packed);
    thrift_put_int(t, &inner, 9, THRIFT_I64, chunk->start);
    thrift_put_stop(t);
    thrift_put_stop(t);
}

static void put_groups(ThriftWriter *t, int *last, const ParquetWriter *w) {
    thrift_put_list(t, last, 4, THRIFT_STRUCT, (size_t)w->n_groups);
    for (const WrittenGroup *g = w->first; g; g = g->next) {
        int inner = 0;
        int64_t bytes = 0;
        thrift_put_list(t, &inner, 1, THRIFT_STRUCT, (size_t)w->n_columns);
        for (int i = 0; i < w->n_columns; i++) {
            put_chunk(t, &w->columns[i], &g->chunks[i]);
            bytes += g->chunks[i].unpacked;
        }
        thrift_put_int(t, &inner, 2, THRIFT_I64, bytes);
        thrift_put_int(t, &inner, 3, THRIFT_I64, g->rows);
        thrift_put_stop(t);
    }
}

static void put_footer(ThriftWriter *t, const ParquetWriter *w) {
    int last = 0;
    thrift_put_int(t, &last, 1, THRIFT_I32, 1);
    put_schema(t, w);
    last = 2;
    thrift_put_int(t, &last, 3, THRIFT_I64, w->rows);
    put_groups(t, &last, w);
    if (w->n_metadata) {
        thrift_put_list(t, &last, 5, THRIFT_STRUCT, (size_t)w->n_metadata);
        for (int i = 0; i < w->n_metadata; i++) {
            int inner = 0;
            put_text(t, &inner, 1, w->metadata[i].key);
            put_text(t, &inner, 2, w->metadata[i].value);
            thrift_put_stop(t);
        }
    }
    put_text(t, &last, 6, "tact version " TACT_VERSION);
    thrift_put_stop(t);
}

bool parquet_writer_close(ParquetWriter *w, Error *err) {
    ThriftWriter t = {0};
    put_footer(&t, w);
    uint32_t length = (uint32_t)t.size;
    thrift_put(&t, &length, 4);
    thrift_put(&t, "PAR1", 4);
    bool ok = fwrite(t.data, 1, t.size, w->file.stream) == t.size ||
              fail_errno(err, "%s: cannot write", w->file.path);
    ok = ok && atomic_commit(&w->file, err);
    mem_free(t.data);
    parquet_writer_abort(w); // nothing is left to drop after a commit
    return ok;
}
