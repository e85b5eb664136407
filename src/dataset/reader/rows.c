// SPDX-License-Identifier: Apache-2.0
// Where the rows of the selected episodes lie. In v3.0 a row's place is its number: files follow
// each other in the order of their names, each goes on counting `index` where the one before it
// stopped, and an episode is the rows from its first number on. The file number in the table of
// episodes is only a hint: converters and merge tools have left wrong ones. It is tried first,
// because then no other file has to be there. In v2.1 each episode has its own file.
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "dataset/reader/data_files.h"
#include "dataset/reader/paths.h"
#include <stdlib.h>
#include <string.h>

// ---- by the file numbers of the table ---------------------------------------------------------

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// One entry a file, in the order of the episodes. *as_listed is false as soon as one episode does
// not lie wholly where the table says.
static bool place_by_hints(Source *s, const int64_t *sorted, DataFile *files, int64_t *n_files,
                           bool *as_listed, Error *err) {
    const Dataset *ds = s->ds;
    const Listed *last = NULL;
    *n_files = 0;
    *as_listed = true;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Listed *e = &s->listed[sorted[i]];
        if (!last || e->chunk != last->chunk || e->file != last->file) {
            const char *path;
            if (!source_data_path(s, e, &s->ds->arena, &path, err)) return false;
            *as_listed = file_exists(path);
            if (!*as_listed) return true;
            // In v2.x it has to hold this episode, and columns_load sees whether it does.
            files[*n_files] = (DataFile){path, e->from, e->length};
            if (s->v30 && !data_file_describe(s, path, &files[*n_files], err)) return false;
            ++*n_files;
        }
        last = e;
        const DataFile *f = &files[*n_files - 1];
        *as_listed = data_file_holds_start(f, e) && e->from + e->length <= f->first + f->rows;
        if (!*as_listed) return true;
        s->places[sorted[i]] = (RowPlace){*n_files - 1, e->from - f->first};
    }
    return true;
}

// ---- what is not there ------------------------------------------------------------------------

bool rows_missing(Source *s, int64_t listed, Error *err) {
    const Listed *e = &s->listed[listed];
    const char *path;
    char advice[700];
    if (!source_data_path(s, e, &s->scratch, &path, err)) return false;
    missing_advise(s, !file_exists(path), advice, sizeof advice);
    if (!file_exists(path))
        return fail(err, "%s: the file is missing (episode %lld needs it); %s", path,
                    (long long)listed, advice);
    DataFile f;
    if (!data_file_describe(s, path, &f, err)) return false;
    if (!s->v30)
        return fail(err,
                    "%s: the file has %lld rows, but episode %lld has %lld frames by the meta "
                    "folder (a recording that broke off?); %s",
                    path, (long long)f.rows, (long long)listed, (long long)e->length, advice);
    return fail(err,
                "%s: no data file here holds frames %lld to %lld, which episode %lld has by the "
                "meta folder (a recording that broke off, or files that are missing); %s",
                s->ds->root, (long long)e->from, (long long)(e->from + e->length - 1),
                (long long)listed, advice);
}

bool rows_find(Source *s, Error *err) {
    Dataset *ds = s->ds;
    bool as_listed;
    int64_t *sorted = arena_alloc(&s->scratch, sizeof *sorted * (size_t)ds->n_episodes);
    memcpy(sorted, s->selected, sizeof *sorted * (size_t)ds->n_episodes);
    qsort(sorted, (size_t)ds->n_episodes, sizeof *sorted, by_number);
    s->places = arena_alloc(&s->scratch, sizeof *s->places * (size_t)s->n_listed);
    DataFile *files = arena_alloc(&ds->arena, sizeof *files * (size_t)ds->n_episodes);
    if (!place_by_hints(s, sorted, files, &ds->n_data_files, &as_listed, err)) return false;
    ds->data_files = files;
    if (as_listed) return true;
    if (s->v30 && !data_files_scan(s, err)) return false;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Listed *e = &s->listed[sorted[i]];
        int64_t at = s->v30 ? data_files_find(s, e) : source_rows_there(s, sorted[i]) ? 0 : -1;
        if (at < 0) return rows_missing(s, sorted[i], err);
        if (s->v30) s->places[sorted[i]] = (RowPlace){at, e->from - s->scanned[at].first};
    }
    if (!s->v30) return fail(err, "%s: its files change while they are read", ds->root);
    ds->data_files = s->scanned;
    ds->n_data_files = s->n_scanned;
    return true;
}
