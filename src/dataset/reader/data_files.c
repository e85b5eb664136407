// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/data_files.h"

#include "base/file.h"
#include "dataset/reader/paths.h"
#include "dataset/reader/tables.h"
#include <stdlib.h>
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
    parquet_expect(f, source_most_rows(s));
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
    if (!tables_find(&s->scratch, dir, &paths, err)) return false;
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
    data_files_index(s);
    return ok;
}

// ---- the file of an episode -------------------------------------------------------------------

// A file of s->scanned. Sorted by their first rows, all of them are a balanced tree: the root of a
// range of them is the one in its middle, and below it are the two halves.
typedef struct FileByFirst {
    int64_t first, file; // number of its first row; position in s->scanned
    int64_t position;    // how many rows the files before it have, by name
    int64_t reach;       // end of the row numbers of all files in the range
} FileByFirst;

static int by_first(const void *a, const void *b) {
    const FileByFirst *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->file > y->file) - (x->file < y->file);
}

static int64_t set_reach(const Source *s, int64_t low, int64_t high) {
    if (low == high) return 0;
    int64_t middle = low + (high - low) / 2;
    FileByFirst *f = &s->by_first[middle];
    int64_t left = set_reach(s, low, middle), right = set_reach(s, middle + 1, high);
    f->reach = f->first + s->scanned[f->file].rows;
    if (left > f->reach) f->reach = left;
    if (right > f->reach) f->reach = right;
    return f->reach;
}

void data_files_index(Source *s) {
    int64_t position = 0;
    s->by_first = arena_alloc(&s->scratch, sizeof *s->by_first * (size_t)(s->n_scanned + 1));
    for (int64_t i = 0; i < s->n_scanned; i++) {
        s->by_first[i] = (FileByFirst){s->scanned[i].first, i, position, 0};
        position += s->scanned[i].rows;
    }
    qsort(s->by_first, (size_t)s->n_scanned, sizeof *s->by_first, by_first);
    set_reach(s, 0, s->n_scanned);
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

// The files that hold an episode; -1: none.
typedef struct FoundFiles {
    const char *hint;     // path by the table of episodes
    int64_t named, first; // the file at that path; the first of all
    int64_t placed;       // the one that has as many rows before it as its numbers say
} FoundFiles;

static void find_files(const Source *s, int64_t low, int64_t high, const Listed *e,
                       FoundFiles *found) {
    if (low == high) return;
    int64_t middle = low + (high - low) / 2;
    const FileByFirst *f = &s->by_first[middle];
    if (f->reach <= e->from) return;
    find_files(s, low, middle, e, found);
    if (f->first > e->from) return;
    const DataFile *file = &s->scanned[f->file];
    if (data_file_holds_start(file, e) && whole_from(s, f->file, e)) {
        if (strcmp(file->path, found->hint) == 0) found->named = f->file;
        if (found->first < 0 || f->file < found->first) found->first = f->file;
        if (f->first == f->position) found->placed = f->file;
    }
    find_files(s, middle + 1, high, e, found);
}

// Of several that hold its numbers (a recording that broke off leaves rows which no episode lists,
// and the next one counts on from the same number) the one that the table names is taken, else the
// one at the right position.
int64_t data_files_find(Source *s, const Listed *e) {
    FoundFiles found = {"", -1, -1, -1};
    Error unnamed;
    if (!source_data_path(s, e, &s->scratch, &found.hint, &unnamed)) found.hint = "";
    find_files(s, 0, s->n_scanned, e, &found);
    if (found.named >= 0) return found.named;
    return found.placed >= 0 ? found.placed : found.first;
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
