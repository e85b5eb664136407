// SPDX-License-Identifier: Apache-2.0
// A table that grows by rows: "step", "timestamp", and figures in columns that are fixed from the
// start. Figures that a row does not have are left empty.
#ifndef TACT_CURVES_CSV_FILE_H
#define TACT_CURVES_CSV_FILE_H

#include "curves/append_file.h"
#include "curves/point.h"
#include <stdbool.h>

enum { CSV_MAX_COLUMNS = 64 };

typedef struct CsvFile {
    AppendFile file;
    const char *const *columns; // (n) of the figures; borrowed
    int n;
} CsvFile;

// To be called before a run goes on after `step`: takes the rows of later steps out of the file,
// and a half row at its end. keep NULL, or the name of a column: of `step` itself only the rows
// stay that have this figure. The file is changed whole or not at all; one that is not there is no
// error.
CHECKED bool csv_cut(const char *path, int64_t step, const char *keep, Error *err);
// Opens it for further rows, and writes the line of names where it is empty. A file that has other
// columns, as another version of tact has them, is an error. columns: n of at most CSV_MAX_COLUMNS.
CHECKED bool csv_open(CsvFile *f, const char *path, const char *const *columns, int n, Error *err);
// Adds a row of this moment. Every point's name is one of the columns.
CHECKED bool csv_write(CsvFile *f, int64_t step, const CurvePoint *points, int n, Error *err);
// The figures of the file's last row into points (room for f->n of them), where that row is of
// `step`. Returns how many; 0: it is of another step, or there is none.
int csv_last_row(const CsvFile *f, int64_t step, CurvePoint *points);

#endif
