// SPDX-License-Identifier: Apache-2.0
// Columns of a dataset's data files by episode and row, whatever they hold. Private to src/edit.
#ifndef TACT_EDIT_COLUMNS_H
#define TACT_EDIT_COLUMNS_H

#include "dataset/dataset.h"
#include "formats/parquet.h"

// One row group of one file is held at a time, as far as its columns were asked for: rows are best
// read in their order.
typedef struct ColumnReader ColumnReader;

ColumnReader *columns_open(const Dataset *ds);
void columns_close(ColumnReader *r); // NULL allowed

// Rows first .. first+n-1 of an episode (position) of a column of `width` numbers a row, into out
// (n, width). A missing value is NaN. whole: a value that is no whole number, or 2^53 and beyond,
// where a double does not tell it from its neighbours, is refused.
CHECKED bool columns_numbers(ColumnReader *r, const char *column, int64_t width, bool whole,
                             int64_t episode, int64_t first, int64_t n, double *out, Error *err);
// Likewise of a column of one string a row, or of member `member` of a struct, copied into the
// arena; a missing one has data NULL.
CHECKED bool columns_bytes(ColumnReader *r, const char *column, const char *member, int64_t episode,
                           int64_t first, int64_t n, Arena *arena, ParquetBytes *out, Error *err);

#endif
