// SPDX-License-Identifier: Apache-2.0
// Where the rows of the selected episodes lie. In v3.0 a row's place is its number: files follow
// each other in the order of their names, each goes on counting `index` where the one before it
// stopped, and an episode is the rows from its first number on. The file number in the table of
// episodes is only a hint: converters and merge tools have left wrong ones. It is tried first,
// because then no other file has to be there. In v2.1 each episode has its own file.
#include "dataset/dataset_internal.h"

#include "base/file.h"
#include <stdlib.h>
#include <string.h>

// Of one file, so that numbers of rows can be added.
static const int64_t MOST_ROWS = INT64_C(1) << 40;

// ---- one file ---------------------------------------------------------------------------------

static int first_group_with_rows(const ParquetFile *f) {
    int g = 0;
    while (g < parquet_row_groups(f) && parquet_row_group_rows(f, g) == 0) g++;
    return g;
}

// Number of the first row of a file that has rows, from its column `index`.
static bool first_number(ParquetFile *f, const char *path, int64_t *out, Error *err) {
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

static bool look_into(Source *s, const char *path, DataFile *out, Error *err) {
    ParquetFile *f = NULL;
    if (!parquet_open(path, &f, err)) return false;
    *out = (DataFile){.path = path, .rows = parquet_rows(f)};
    bool ok = !s->v30 || out->rows == 0 || first_number(f, path, &out->first, err);
    parquet_close(f);
    if (ok && out->rows > MOST_ROWS)
        return fail(err, "%s: %lld rows cannot be; the file is damaged, copy it again", path,
                    (long long)out->rows);
    return ok;
}

static bool holds(const DataFile *f, const Listed *e) {
    return e->from >= f->first && e->from < f->first + f->rows;
}

// ---- by the file numbers of the table ---------------------------------------------------------

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// One entry a file, in the order of the episodes. *hold is false as soon as one episode does not
// lie wholly where the table says.
static bool place_by_hints(Source *s, const int64_t *sorted, DataFile *files, int64_t *n_files,
                           bool *hold, Error *err) {
    const Dataset *ds = s->ds;
    const Listed *last = NULL;
    *n_files = 0;
    *hold = true;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Listed *e = &s->listed[sorted[i]];
        if (!last || e->chunk != last->chunk || e->file != last->file) {
            const char *path;
            if (!source_data_path(s, e, &s->ds->arena, &path, err)) return false;
            *hold = file_exists(path);
            if (!*hold) return true;
            if (!look_into(s, path, &files[*n_files], err)) return false;
            if (!s->v30) files[*n_files].first = e->from;
            ++*n_files;
        }
        last = e;
        const DataFile *f = &files[*n_files - 1];
        *hold = holds(f, e) && e->from + e->length <= f->first + f->rows &&
                (s->v30 || f->rows == e->length);
        if (!*hold) return true;
        s->places[sorted[i]] = (Place){*n_files - 1, e->from - f->first};
    }
    return true;
}

// ---- by position over all files ---------------------------------------------------------------

// Looks into every file below data/, in the order of their names. Those that cannot be read are
// left out, and the first call tells of the first.
static bool scan(Source *s, Error *err) {
    const char *first = s->data_template, *slash = strchr(first, '/');
    const char *brace = strchr(first, '{');
    bool literal = slash && (!brace || brace > slash);
    const char *dir = arena_printf(&s->scratch, "%s/%.*s", s->ds->root,
                                   literal ? (int)(slash - first) : 4, literal ? first : "data");
    if (s->scanned) return true;
    bool ok = true;
    Paths paths = {0};
    source_find_parquet(s, dir, true, &paths);
    s->scanned = arena_alloc(&s->ds->arena, sizeof *s->scanned * (size_t)(paths.n + 1));
    for (int i = 0; i < paths.n; i++) {
        DataFile *f = &s->scanned[s->n_scanned];
        Error other;
        if (!look_into(s, arena_strdup(&s->ds->arena, paths.items[i]), f, ok ? err : &other))
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
static int64_t find_file(Source *s, const Listed *e) {
    const char *hint = "";
    Error unnamed;
    int64_t found = -1, position = 0;
    if (!source_data_path(s, e, &s->scratch, &hint, &unnamed)) hint = "";
    for (int64_t i = 0; i < s->n_scanned; i++) {
        const DataFile *f = &s->scanned[i];
        if (holds(f, e) && whole_from(s, i, e)) {
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
    if (s->v30) return (scan(s, &err) || s->scanned) && find_file(s, e) >= 0;
    return source_data_path(s, e, &s->scratch, &path, &err) && file_exists(path) &&
           look_into(s, path, &f, &err) && f.rows == e->length;
}

// ---- what is not there ------------------------------------------------------------------------

static bool rows_missing(Source *s, int64_t listed, Error *err) {
    const Listed *e = &s->listed[listed];
    const char *path;
    char advice[700];
    if (!source_data_path(s, e, &s->scratch, &path, err)) return false;
    source_advise(s, !file_exists(path), advice, sizeof advice);
    if (!file_exists(path))
        return fail(err, "%s: the file is missing (episode %lld needs it); %s", path,
                    (long long)listed, advice);
    DataFile f;
    if (!look_into(s, path, &f, err)) return false;
    if (!s->v30)
        return fail(err,
                    "%s: the file has %lld rows, but episode %lld has %lld frames by the meta "
                    "folder (a recording that broke off?); %s",
                    path, (long long)f.rows, (long long)listed, (long long)e->length, advice);
    return fail(err,
                "%s: no data file here holds frames %lld to %lld, which episode %lld has by the "
                "meta folder (a recording that broke off, or files that lack); %s",
                s->ds->root, (long long)e->from, (long long)(e->from + e->length - 1),
                (long long)listed, advice);
}

bool places_find(Source *s, Error *err) {
    Dataset *ds = s->ds;
    bool hold;
    int64_t *sorted = arena_alloc(&s->scratch, sizeof *sorted * (size_t)ds->n_episodes);
    memcpy(sorted, s->selected, sizeof *sorted * (size_t)ds->n_episodes);
    qsort(sorted, (size_t)ds->n_episodes, sizeof *sorted, by_number);
    s->places = arena_alloc(&s->scratch, sizeof *s->places * (size_t)s->n_listed);
    DataFile *files = arena_alloc(&ds->arena, sizeof *files * (size_t)ds->n_episodes);
    if (!place_by_hints(s, sorted, files, &ds->n_data_files, &hold, err)) return false;
    ds->data_files = files;
    if (hold) return true;
    if (s->v30 && !scan(s, err)) return false;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Listed *e = &s->listed[sorted[i]];
        int64_t at = s->v30 ? find_file(s, e) : source_rows_there(s, sorted[i]) ? 0 : -1;
        if (at < 0) return rows_missing(s, sorted[i], err);
        if (s->v30) s->places[sorted[i]] = (Place){at, e->from - s->scanned[at].first};
    }
    if (!s->v30) return fail(err, "%s: its files change while they are read", ds->root);
    ds->data_files = s->scanned;
    ds->n_data_files = s->n_scanned;
    return true;
}
