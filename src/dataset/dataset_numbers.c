// SPDX-License-Identifier: Apache-2.0
#include "dataset/dataset_internal.h"

#include <math.h>
#include <string.h>

bool number_index(double x, int64_t *out) {
    if (!(x >= 0 && x <= 9007199254740992.0) || x != floor(x)) return false;
    *out = (int64_t)x;
    return true;
}

bool numbers_read(ParquetFile *f, const char *path, const char *column, bool required, double **out,
                  Error *err) {
    *out = NULL;
    int c = parquet_find(f, column, NULL);
    if (c < 0) {
        return !required || fail(err,
                                 "%s: column '%s' is missing; the file is not a LeRobot file or"
                                 " incomplete, copy it again",
                                 path, column);
    }
    ParquetColumn values = {0};
    if (!parquet_read(f, c, 0, -1, &values, err)) return false;
    bool ok = values.kind == PARQUET_NUMBERS && values.count == values.rows &&
              values.rows == parquet_rows(f);
    if (ok) {
        *out = NEW(double, values.rows);
        if (values.rows) memcpy(*out, values.numbers, sizeof(double) * (size_t)values.rows);
    }
    parquet_column_free(&values);
    return ok || fail(err,
                      "%s: column '%s' does not hold one number a row; the file is damaged, "
                      "copy it again",
                      path, column);
}
