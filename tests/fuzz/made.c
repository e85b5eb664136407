// SPDX-License-Identifier: Apache-2.0
// Files that are whole, with checksums, lengths and footers that fit what the input says: without
// these an input's mutations end at the first checksum.
#include "driver.h"

#include "base/memory.h"
#include "formats/parquet.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// ---- Parquet ------------------------------------------------------------------------------------

enum { MOST_COLUMNS = 48, MOST_ROWS = 128, MOST_ITEMS = 1024 };

typedef struct Column {
    char *name, *member;
    ParquetType type;
    bool list;
    char *rows[MOST_ROWS]; // as the text has them
    int n;
    int64_t offsets[MOST_ROWS + 1];
    union {
        int64_t *whole;
        float *single;
        double *real;
        uint8_t *flag;
        ParquetBytes *text;
        void *any;
    } values;
} Column;

static bool read_type(Column *c, const char *type) {
    static const char letters[] = "ifdbs";
    static const ParquetType types[] = {PARQUET_I64, PARQUET_F32, PARQUET_F64, PARQUET_BOOL,
                                        PARQUET_STRING};
    c->list = type[0] == 'l';
    const char *letter = type[0] ? strchr(letters, type[c->list]) : NULL;
    if (!letter || !*letter) return false;
    c->type = types[letter - letters];
    return true;
}

static bool read_column(Column *c, char *line) {
    char *rest, *word = strtok_r(line, " ", &rest);
    if (!word) return false;
    c->name = word;
    word = strtok_r(NULL, " ", &rest);
    if (!word || !read_type(c, word)) return false;
    char *slash = strchr(c->name, '/');
    const char *dot = strchr(c->name, '.');
    if (slash && dot && dot < slash && !c->list && c->type == PARQUET_STRING) {
        *slash = 0;
        c->member = slash + 1;
    }
    while (c->n < MOST_ROWS && (word = strtok_r(NULL, " ", &rest))) c->rows[c->n++] = word;
    return c->n > 0;
}

// In place: bytes in hexadecimal behind "0x", or a text in which '~' stands for a blank.
static ParquetBytes read_text(char *text) {
    size_t n = strlen(text);
    if (strncmp(text, "0x", 2) == 0 && strspn(text + 2, "0123456789abcdef") == n - 2) {
        n = n / 2 - 1;
        for (size_t i = 0; i < n; i++) {
            unsigned byte;
            if (sscanf(text + 2 + 2 * i, "%2x", &byte) != 1) abort();
            text[i] = (char)byte; // behind which it was read
        }
    } else {
        for (char *p = text; *p; p++)
            if (*p == '~') *p = ' ';
    }
    return (ParquetBytes){(const uint8_t *)text, n};
}

static void put_value(Column *c, int64_t at, char *text) {
    switch (c->type) {
    case PARQUET_I64:
        c->values.whole[at] = strtoll(text, NULL, 0);
        break;
    case PARQUET_F32:
        c->values.single[at] = strtof(text, NULL);
        break;
    case PARQUET_F64:
        c->values.real[at] = strtod(text, NULL);
        break;
    case PARQUET_BOOL:
        c->values.flag[at] = text[0] == '1';
        break;
    case PARQUET_STRING:
        c->values.text[at] = read_text(text);
        break;
    }
}

// The values of `rows` rows, of which the last given one is repeated.
static void fill_column(Column *c, int rows) {
    int64_t at = 0;
    c->values.any = NEW(ParquetBytes, MOST_ITEMS); // the widest
    for (int r = 0; r < rows; r++) {
        char *text = c->rows[r < c->n ? r : c->n - 1], *rest, *item;
        c->offsets[r] = at;
        if (r >= c->n && !c->list && c->type == PARQUET_STRING) { // it was changed in its place
            c->values.text[at] = c->values.text[at - 1];
            at++;
            continue;
        }
        if (!c->list) {
            put_value(c, at++, text);
            continue;
        }
        // A row that is repeated has its commas no more, and is its first value.
        for (item = strtok_r(text, ",", &rest); item && at < MOST_ITEMS;
             item = strtok_r(NULL, ",", &rest))
            put_value(c, at++, item);
    }
    c->offsets[rows] = at;
}

static void write_table(const char *path, Column *columns, int n) {
    ParquetField fields[MOST_COLUMNS] = {{0}};
    ParquetValues values[MOST_COLUMNS] = {{0}};
    ParquetWriter *w = NULL;
    Error err;
    for (int i = 0; i < n; i++) {
        Column *c = &columns[i];
        fill_column(c, columns[0].n);
        fields[i] =
            (ParquetField){.name = c->name, .type = c->type, .list = c->list, .member = c->member};
        values[i] = (ParquetValues){c->values.any, c->list ? c->offsets : NULL};
    }
    if (parquet_writer_open(path, fields, n, NULL, 0, &w, &err)) {
        if (parquet_write_group(w, columns[0].n, values, &err))
            (void)!parquet_writer_close(w, &err);
        else
            parquet_writer_abort(w);
    }
    for (int i = 0; i < n; i++) mem_free(columns[i].values.any);
}

void fuzz_table(const char *path, const uint8_t *data, size_t size) {
    Column *columns = NEW(Column, MOST_COLUMNS);
    char *text = malloc(size + 1), *rest;
    int n = 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (char *line = strtok_r(text, "\n", &rest); line && n < MOST_COLUMNS;
         line = strtok_r(NULL, "\n", &rest)) {
        columns[n] = (Column){0};
        n += read_column(&columns[n], line);
    }
    if (n) write_table(path, columns, n);
    free(text);
    mem_free(columns);
}

// ---- safetensors --------------------------------------------------------------------------------

// The largest number that stands as the second of a pair behind "data_offsets".
static size_t data_size(const char *header) {
    size_t most = 0;
    for (const char *p = header; (p = strstr(p, "data_offsets")); p++) {
        unsigned long long from, to;
        const char *pair = strchr(p, '[');
        if (pair && sscanf(pair, "[%llu,%llu", &from, &to) == 2 && to > most) most = (size_t)to;
    }
    return most < 1 << 20 ? most : 1 << 20;
}

uint8_t *fuzz_safetensors(const uint8_t *data, size_t size, size_t *out) {
    const uint8_t *line = memchr(data, '\n', size);
    const size_t length = line ? (size_t)(line - data) : size, rest = size - length - !!line;
    char *header = malloc(length + 1);
    memcpy(header, data, length);
    header[length] = 0;
    const size_t said = data_size(header), bytes = rest > said ? rest : said;
    uint8_t *made = calloc(1, 8 + length + bytes + 1);
    for (int i = 0; i < 8; i++) made[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(made + 8, header, length);
    if (rest) memcpy(made + 8 + length, line + 1, rest);
    free(header);
    *out = 8 + length + bytes;
    return made;
}

// ---- zip ----------------------------------------------------------------------------------------

typedef struct Out {
    uint8_t *bytes;
    size_t n;
} Out;

static void put(Out *o, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) o->bytes[o->n++] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(Out *o, const void *p, size_t n) {
    if (n) memcpy(o->bytes + o->n, p, n);
    o->n += n;
}

// What a local header and an entry of the directory have in common.
static void put_header(Out *o, const FuzzPart *p) {
    put(o, 20, 2); // version
    put(o, 0, 8);  // flags, stored, time
    put(o, crc32_z(0, p->size ? p->data : (const uint8_t *)"", p->size), 4);
    put(o, p->size, 4);
    put(o, p->size, 4);
    put(o, strlen(p->name), 2);
    put(o, 0, 2);
}

static size_t zip_room(const FuzzPart *parts, int n) {
    size_t room = 100;
    for (int i = 0; i < n; i++) room += parts[i].size + 2 * sizeof parts[i].name + 100;
    return room;
}

uint8_t *fuzz_zip(const FuzzPart *parts, int n, size_t *size) {
    Out o = {.bytes = malloc(zip_room(parts, n))};
    size_t at[FUZZ_MOST_PARTS];
    for (int i = 0; i < n; i++) {
        at[i] = o.n;
        put(&o, 0x04034b50, 4);
        put_header(&o, &parts[i]);
        put_bytes(&o, parts[i].name, strlen(parts[i].name));
        put_bytes(&o, parts[i].data, parts[i].size);
    }
    const size_t directory = o.n;
    for (int i = 0; i < n; i++) {
        put(&o, 0x02014b50, 4);
        put(&o, 20, 2);
        put_header(&o, &parts[i]);
        put(&o, 0, 2); // comment
        put(&o, 0, 8); // disk, attributes
        put(&o, at[i], 4);
        put_bytes(&o, parts[i].name, strlen(parts[i].name));
    }
    const size_t bytes = o.n - directory;
    put(&o, 0x06054b50, 4);
    put(&o, 0, 4);
    put(&o, (uint64_t)n, 2);
    put(&o, (uint64_t)n, 2);
    put(&o, bytes, 4);
    put(&o, directory, 4);
    put(&o, 0, 2);
    *size = o.n;
    return o.bytes;
}
