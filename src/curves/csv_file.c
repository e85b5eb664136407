// SPDX-License-Identifier: Apache-2.0
#include "curves/csv_file.h"

#include "base/file.h"
#include "base/memory.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_SIZE = 64 + 32 * CSV_MAX_COLUMNS };

// Where the cell of a column begins in a row, or NULL: the row has fewer. `end` is behind the row.
static const char *cell_of(const char *row, const char *end, int column) {
    for (; row && column > 0; column--) {
        const char *comma = memchr(row, ',', (size_t)(end - row));
        row = comma ? comma + 1 : NULL;
    }
    return row;
}

// The place of a name in the line of names, or -1.
static int column_named(const char *names, const char *end, const char *name) {
    size_t n = strlen(name);
    for (int i = 0;; i++) {
        const char *cell = cell_of(names, end, i);
        if (!cell) return -1;
        if ((size_t)(end - cell) >= n && memcmp(cell, name, n) == 0 &&
            (cell + n == end || strchr(",\r\n", cell[n])))
            return i;
    }
}

// Whether a row tells of what was done until `step`. kept: the column that rows of this very step
// must have, or -1.
static bool row_stays(const char *row, const char *end, int64_t step, int kept) {
    char *after;
    long long at = strtoll(row, &after, 10);
    if (*row < '0' || *row > '9' || *after != ',' || at > step) return false;
    if (kept < 0 || at < step) return true;
    const char *cell = cell_of(row, end, kept);
    return cell && cell < end && !strchr(",\r\n", *cell);
}

bool csv_cut(const char *path, int64_t step, const char *keep, Error *err) {
    char *text;
    size_t size, kept = 0;
    int column = -1;
    if (!file_exists(path)) return true;
    if (!file_read(path, &text, &size, err)) return false;
    for (char *line = text, *end; (end = memchr(line, '\n', size - (size_t)(line - text)));
         line = end + 1) {
        bool names = line == text;
        if (names && keep) column = column_named(line, end, keep);
        if (!names && !row_stays(line, end, step, column)) continue;
        memmove(text + kept, line, (size_t)(end - line) + 1);
        kept += (size_t)(end - line) + 1;
    }
    bool ok = kept == size || file_write(path, text, kept, err);
    mem_free(text);
    return ok;
}

static size_t line_of_names(const CsvFile *f, char *line) {
    size_t used = (size_t)snprintf(line, LINE_SIZE, "step,timestamp");
    for (int i = 0; i < f->n && used < LINE_SIZE; i++)
        used += (size_t)snprintf(line + used, LINE_SIZE - used, ",%s", f->columns[i]);
    if (f->n > CSV_MAX_COLUMNS || used + 1 >= LINE_SIZE) abort(); // too many, or too long names
    line[used++] = '\n';
    line[used] = 0;
    return used;
}

// Whether the file begins with the line of names (of `size` bytes); *empty: it holds nothing, or is
// not there.
CHECKED static bool check_names(const char *path, const char *names, size_t size, bool *empty,
                                Error *err) {
    char there[LINE_SIZE + 1];
    FILE *file = fopen(path, "rb");
    if (!file && errno != ENOENT) return fail_errno(err, "%s: cannot open", path);
    size_t n = file ? fread(there, 1, size, file) : 0;
    bool read = !file || !ferror(file) || fail_errno(err, "%s: cannot read", path);
    if (file) fclose(file);
    if (!read) return false;
    *empty = n == 0;
    return n == 0 || (n == size && memcmp(there, names, size) == 0) ||
           fail(err,
                "%s: its columns are not those that this tact writes; move it away, and a new one "
                "is begun",
                path);
}

bool csv_open(CsvFile *f, const char *path, const char *const *columns, int n, Error *err) {
    char names[LINE_SIZE + 1];
    bool empty = false;
    *f = (CsvFile){.file = {.fd = -1}, .columns = columns, .n = n};
    size_t size = line_of_names(f, names);
    if (!check_names(path, names, size, &empty, err) || !append_open(&f->file, path, err))
        return false;
    if (!empty || append_write(&f->file, names, size, err)) return true;
    append_close(&f->file);
    return false;
}

// The fewest digits that read back the same.
static int print_number(char *out, size_t size, double value) {
    int n = 0;
    for (int digits = 6; digits <= 17; digits++) {
        n = snprintf(out, size, "%.*g", digits, value);
        if (!isfinite(value) || strtod(out, NULL) == value) break;
    }
    return n;
}

bool csv_write(CsvFile *f, int64_t step, const CurvePoint *points, int n, Error *err) {
    char line[LINE_SIZE];
    time_t now = time(NULL);
    struct tm utc;
    int written = 0;
    gmtime_r(&now, &utc);
    size_t used = (size_t)snprintf(line, sizeof line, "%lld,", (long long)step);
    used += strftime(line + used, sizeof line - used, "%Y-%m-%dT%H:%M:%S+00:00", &utc);
    for (int i = 0; i < f->n; i++) {
        line[used++] = ',';
        for (int k = 0; k < n; k++) {
            if (strcmp(points[k].name, f->columns[i]) != 0) continue;
            used += (size_t)print_number(line + used, sizeof line - used, points[k].value);
            written++;
        }
    }
    if (written != n) abort(); // a figure that has no column
    line[used++] = '\n';
    return append_write(&f->file, line, used, err);
}

int csv_last_row(const CsvFile *f, int64_t step, CurvePoint *points) {
    char *text;
    size_t size;
    int found = 0;
    Error ignored;
    if (!file_read(f->file.path, &text, &size, &ignored)) return 0;
    const char *end = size ? text + size - 1 : NULL; // the last row's newline
    const char *before = end ? memrchr(text, '\n', size - 1) : NULL;
    for (int i = 0; before && atoll(before + 1) == step && i < f->n; i++) {
        const char *cell = cell_of(before + 1, end, i + 2);
        char *after;
        double value = cell ? strtod(cell, &after) : 0;
        if (cell && after > cell) points[found++] = (CurvePoint){f->columns[i], value};
    }
    mem_free(text);
    return found;
}
