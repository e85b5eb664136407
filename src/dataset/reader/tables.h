// SPDX-License-Identifier: Apache-2.0
// Small helpers for the Parquet tables of a dataset.
#ifndef TACT_DATASET_READER_TABLES_H
#define TACT_DATASET_READER_TABLES_H

#include "dataset/reader/source.h"
#include "formats/parquet.h"

// Paths of files, in order.
typedef struct Paths {
    const char **items;
    int n;
    int64_t room;
} Paths;

// Adds the Parquet files in the folders of a folder, in the order of their names' bytes. Paths are
// in `arena`.
CHECKED bool tables_find(Arena *arena, const char *dir, Paths *out, Error *err);

// A number that is an integer in [0, 2^53); false else.
bool number_index(double x, int64_t *out);
// Reads a flat number column over all rows (mem_free *out), or sets *out NULL when there is no such
// column and `required` is false.
CHECKED bool numbers_read(ParquetFile *f, const char *path, const char *column, bool required,
                          double **out, Error *err);

#endif
