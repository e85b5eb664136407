// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/tables.h"

#include "base/array.h"
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- files ------------------------------------------------------------------------------------

static int not_hidden(const struct dirent *d) {
    return d->d_name[0] != '.';
}

// Byte order, whatever the locale.
static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

CHECKED static bool find_tables(Arena *arena, const char *dir, bool deeper, Paths *out,
                                Error *err) {
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, not_hidden, by_bytes);
    bool ok =
        n >= 0 || errno == ENOENT || errno == ENOTDIR || fail_errno(err, "%s: cannot open", dir);
    for (int i = 0; i < n; i++) {
        const char *path = arena_printf(arena, "%s/%s", dir, entries[i]->d_name);
        size_t length = strlen(path);
        if (deeper) {
            PathKind kind;
            ok = ok && path_look(path, &kind, err) &&
                 (kind != AT_DIR || find_tables(arena, path, false, out, err));
        } else if (length > 8 && strcmp(path + length - 8, ".parquet") == 0) {
            *ARENA_ARRAY_ADD(arena, out->items, out->n, out->room) = path;
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool tables_find(Arena *arena, const char *dir, Paths *out, Error *err) {
    return find_tables(arena, dir, true, out, err);
}

// ---- columns ----------------------------------------------------------------------------------

bool number_index(double x, int64_t *out) {
    if (!(x >= 0 && x < 9007199254740992.0) || x != floor(x)) return false;
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
