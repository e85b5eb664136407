// SPDX-License-Identifier: Apache-2.0
// A Parquet file of a dataset, read whole, changed and written again.
#ifndef TACT_TESTS_CHECK_TABLE_H
#define TACT_TESTS_CHECK_TABLE_H

#include "base/memory.h"
#include "formats/parquet.h"

#include <string.h>

#include "../ok.h"

enum { TABLE_MOST = 128 };

typedef struct Table {
    ParquetFile *file; // its texts are borrowed
    int n;             // columns
    int64_t rows;
    ParquetField fields[TABLE_MOST];
    ParquetColumn columns[TABLE_MOST];
} Table;

static inline Table *table_read(const char *path) {
    Error err;
    Table *t = NEW(Table, 1);
    OK(parquet_open(path, &t->file, &err));
    t->n = parquet_leaves(t->file);
    t->rows = parquet_rows(t->file);
    assert_true(t->n <= TABLE_MOST);
    for (int i = 0; i < t->n; i++) {
        ParquetLeaf leaf = parquet_leaf(t->file, i);
        OK(parquet_read(t->file, i, 0, -1, &t->columns[i], &err));
        bool bytes = leaf.kind == PARQUET_BYTES;
        t->fields[i] = (ParquetField){
            .name = leaf.field, .type = bytes ? PARQUET_STRING : PARQUET_F64, .list = leaf.list};
    }
    return t;
}

// The values of a column of numbers.
static inline double *table_numbers(Table *t, const char *name) {
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->fields[i].name, name) == 0) return t->columns[i].numbers;
    fail_msg("no column %s", name);
    return NULL;
}

// Writes the first `rows` rows, and frees the table.
static inline void table_write(Table *t, const char *path, int64_t rows) {
    Error err;
    ParquetWriter *w;
    ParquetValues values[TABLE_MOST];
    for (int i = 0; i < t->n; i++) {
        const ParquetColumn *c = &t->columns[i];
        values[i] = (ParquetValues){.data = c->kind == PARQUET_BYTES ? (const void *)c->bytes
                                                                     : (const void *)c->numbers,
                                    .offsets = c->offsets};
    }
    OK(parquet_writer_open(path, t->fields, t->n, NULL, 0, &w, &err));
    OK(parquet_write_group(w, rows, values, &err));
    OK(parquet_writer_close(w, &err));
    for (int i = 0; i < t->n; i++) parquet_column_free(&t->columns[i]);
    parquet_close(t->file);
    mem_free(t);
}

#endif
