// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/data_files.h"

#include "base/file.h"
#include "dataset/reader/paths.h"
#include "dataset/reader/tables.h"
#include <string.h>

// That a file may have, so that numbers of rows can be added.
static const int64_t MOST_ROWS = INT64_C(1) << 40;

// ---- one file ---------------------------------------------------------------------------------

static int first_group_with_rows(const ParquetFile *f) {
    int g = 0;
    while (g < parquet_row_groups(f) && parquet_row_group_rows(f, g) == 0) g++;
    return g;
}

// Number of the first row of a file that has rows, from its column `index`.
static bool first_row_number(ParquetFile *f, const char *path, int64_t *out, Error *err) {
    int column = parquet_find(f, "index", NULL);
    if (column < 0) {
        return fail(err,
                    "%s: there is no column 'index', which the dataset must have; the file does not"
                    " belong to this dataset or is damaged",
                    path);
    }
    ParquetColumn c = {0};
    if (!parquet_read(f, column, first_group_with_rows(f), 1, &c, err)) return false;
    bool ok = c.kind == PARQUET_NUMBERS && c.count > 0 && number_index(c.numbers[0], out);
    parquet_column_free(&c);
    return ok || fail(err,
                      "%s: column 'index' does not begin with a row number; the file is "
                      "damaged, copy it again",
                      path);
}

bool data_file_describe(Source *s, const char *path, DataFile *out, Error *err) {
    ParquetFile *f = NULL;
    if (!parquet_open(path, &f, err)) return false;
    *out = (DataFile){.path = path, .rows = parquet_rows(f)};
    bool ok = !s->v30 || out->rows == 0 || first_row_number(f, path, &out->first, err);
    parquet_close(f);
    if (ok && out->rows > MOST_ROWS)
        return fail(err, "%s: %lld rows cannot be; the file is damaged, copy it again", path,
                    (long long)out->rows);
    return ok;
}

bool data_file_holds_start(const DataFile *f, const Listed *e) {
    return e->from >= f->first && e->from < f->first + f->rows;
}

// ---- all files --------------------------------------------------------------------------------

bool data_files_scan(Source *s, Error *err) {
    const char *first = s->data_template, *slash = strchr(first, '/');
    const char *brace = strchr(first, '{');
    bool literal = slash && (!brace || brace > slash);
    const char *dir = arena_printf(&s->scratch, "%s/%.*s", s->ds->root,
                                   literal ? (int)(slash - first) : 4, literal ? first : "data");
    if (s->scanned) return true;
    bool ok = true;
    Paths paths = {0};
    tables_find(&s->scratch, dir, &paths);
    s->scanned = arena_alloc(&s->ds->arena, sizeof *s->scanned * (size_t)(paths.n + 1));
    for (int i = 0; i < paths.n; i++) {
        DataFile *f = &s->scanned[s->n_scanned];
        Error other;
        if (!data_file_describe(s, arena_strdup(&s->ds->arena, paths.items[i]), f,
                                ok ? err : &other))
            ok = false;
        else if (f->rows > 0)
            s->n_scanned++;
    }
    return ok;
}

// Whether an episode that begins in file i lies whole in it and the files that follow it.
static bool whole_from(const Source *s, int64_t i, const Listed *e) {
    int64_t end = s->scanned[i].first + s->scanned[i].rows;
    while (end < e->from + e->length) {
        if (++i >= s->n_scanned || s->scanned[i].first != end) return false;
        end += s->scanned[i].rows;
    }
    return true;
}

// The file in which an episode begins, or -1 where it is not all there. Of several that hold its
// numbers (a recording that broke off leaves rows which no episode lists, and the next one counts
// on from the same number) the one that the table names is taken, else the one at the right
// position.
int64_t data_files_find(Source *s, const Listed *e) {
    const char *hint = "";
    Error unnamed;
    int64_t found = -1, position = 0;
    if (!source_data_path(s, e, &s->scratch, &hint, &unnamed)) hint = "";
    for (int64_t i = 0; i < s->n_scanned; i++) {
        const DataFile *f = &s->scanned[i];
        if (data_file_holds_start(f, e) && whole_from(s, i, e)) {
            if (strcmp(f->path, hint) == 0) return i;
            if (found < 0 || f->first == position) found = i;
        }
        position += f->rows;
    }
    return found;
}

bool source_rows_there(Source *s, int64_t listed) {
    const Listed *e = &s->listed[listed];
    const char *path;
    Error err;
    DataFile f;
    if (s->v30) return (data_files_scan(s, &err) || s->scanned) && data_files_find(s, e) >= 0;
    return source_data_path(s, e, &s->scratch, &path, &err) && file_exists(path) &&
           data_file_describe(s, path, &f, &err) && f.rows == e->length;
}
