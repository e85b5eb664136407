// SPDX-License-Identifier: Apache-2.0
// Metadata of LeRobot v3.0: meta/episodes/*/*.parquet and meta/tasks.parquet.
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "dataset/reader/tables.h"
#include <math.h>

// ---- tasks ------------------------------------------------------------------------------------

// Adds every text of a string column, in row order.
static bool add_tasks(Source *s, ParquetFile *f, int column, Error *err) {
    ParquetColumn c = {0};
    if (!parquet_read(f, column, 0, -1, &c, err)) return false;
    for (int64_t i = 0; c.kind == PARQUET_BYTES && i < c.count; i++)
        if (c.bytes[i].data) source_task(s, (const char *)c.bytes[i].data, c.bytes[i].size);
    parquet_column_free(&c);
    return true;
}

// The file may be missing, since the episodes name their tasks too.
static bool list_tasks(Source *s, Error *err) {
    const char *path = arena_printf(&s->scratch, "%s/meta/tasks.parquet", s->ds->root);
    if (!file_exists(path)) return true;
    ParquetFile *f = NULL;
    if (!parquet_open(path, &f, err)) return false;
    int column = parquet_find(f, "task", NULL);
    if (column < 0) column = parquet_find(f, "__index_level_0__", NULL); // older writers
    bool ok = column < 0 || add_tasks(s, f, column, err);
    parquet_close(f);
    return ok;
}

// ---- episodes ---------------------------------------------------------------------------------

// Where the frames of one camera lie, by columns; all NULL where it has no video, and `to` also
// where the table has none.
typedef struct VideoColumns {
    double *chunk, *file, *from, *to;
} VideoColumns;

// Columns of one metadata file while its episodes are read.
typedef struct EpisodeTable {
    const char *path;
    int64_t rows;
    double *index, *from, *to, *length, *chunk, *file;
    VideoColumns *videos; // (n_cameras)
    ParquetColumn tasks;
} EpisodeTable;

static void episode_table_free(EpisodeTable *t, int n_cameras) {
    double *columns[] = {t->index, t->from, t->to, t->length, t->chunk, t->file};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) mem_free(columns[i]);
    for (int c = 0; t->videos && c < n_cameras; c++) {
        mem_free(t->videos[c].chunk);
        mem_free(t->videos[c].file);
        mem_free(t->videos[c].from);
        mem_free(t->videos[c].to);
    }
    parquet_column_free(&t->tasks);
}

static bool read_video_columns(Source *s, ParquetFile *f, const char *path, const char *key,
                               VideoColumns *v, Error *err) {
    return numbers_read(f, path, arena_printf(&s->scratch, "videos/%s/to_timestamp", key), false,
                        &v->to, err) &&
           numbers_read(f, path, arena_printf(&s->scratch, "videos/%s/chunk_index", key), true,
                        &v->chunk, err) &&
           numbers_read(f, path, arena_printf(&s->scratch, "videos/%s/file_index", key), true,
                        &v->file, err) &&
           numbers_read(f, path, arena_printf(&s->scratch, "videos/%s/from_timestamp", key), true,
                        &v->from, err);
}

static bool episode_table_read(Source *s, ParquetFile *f, EpisodeTable *t, Error *err) {
    const Dataset *ds = s->ds;
    t->rows = parquet_rows(f);
    parquet_expect(f, ds->total_episodes);
    if (!numbers_read(f, t->path, "episode_index", true, &t->index, err) ||
        !numbers_read(f, t->path, "dataset_from_index", true, &t->from, err) ||
        !numbers_read(f, t->path, "dataset_to_index", true, &t->to, err) ||
        !numbers_read(f, t->path, "length", false, &t->length, err) ||
        !numbers_read(f, t->path, "data/chunk_index", true, &t->chunk, err) ||
        !numbers_read(f, t->path, "data/file_index", true, &t->file, err))
        return false;
    t->videos = arena_alloc(&s->scratch, sizeof *t->videos * (size_t)ds->n_cameras);
    for (int c = 0; c < ds->n_cameras; c++)
        if (ds->cameras[c]->video &&
            !read_video_columns(s, f, t->path, ds->cameras[c]->disk_name, &t->videos[c], err))
            return false;
    int tasks = parquet_find(f, "tasks", NULL);
    return tasks < 0 || parquet_read(f, tasks, 0, -1, &t->tasks, err);
}

// First task of row r, or NULL.
static const char *first_task(Source *s, const ParquetColumn *c, int64_t r) {
    if (c->kind != PARQUET_BYTES || !c->bytes || r >= c->rows) return NULL;
    int64_t i = r;
    if (c->offsets) {
        i = c->offsets[r];
        if (c->offsets[r + 1] == i) return NULL;
    }
    if (i >= c->count || !c->bytes[i].data) return NULL;
    return source_task(s, (const char *)c->bytes[i].data, c->bytes[i].size);
}

// Checks row r of the table and makes it the next listed episode.
static bool list_episode_of_row(Source *s, const EpisodeTable *t, int64_t r, Error *err) {
    int64_t number = s->n_listed, index, to, length;
    Listed *e = &s->listed[number];
    int64_t expected = number > 0 ? e[-1].from + e[-1].length : 0;
    if (!number_index(t->index[r], &index) || index != number) {
        return fail(err,
                    "%s: row %lld should be episode %lld; the files in meta/episodes are "
                    "incomplete or out of order, copy them again",
                    t->path, (long long)r, (long long)number);
    }
    if (!number_index(t->from[r], &e->from) || !number_index(t->to[r], &to) || to <= e->from ||
        e->from != expected) {
        return fail(err,
                    "%s: episode %lld has frames from %.0f to %.0f, but should start at %lld; "
                    "the file is damaged, copy it again",
                    t->path, (long long)number, t->from[r], t->to[r], (long long)expected);
    }
    e->length = to - e->from;
    if (t->length && (!number_index(t->length[r], &length) || length != e->length)) {
        return fail(err,
                    "%s: episode %lld has length %.0f but frames from %.0f to %.0f; the file is "
                    "damaged, copy it again",
                    t->path, (long long)number, t->length[r], t->from[r], t->to[r]);
    }
    bool ok = number_index(t->chunk[r], &e->chunk) && number_index(t->file[r], &e->file);
    for (int c = 0; ok && c < s->ds->n_cameras; c++) {
        const VideoColumns *columns = &t->videos[c];
        if (!columns->from) continue;
        ListedVideo *v = &e->videos[c];
        v->from = columns->from[r];
        v->to = columns->to && columns->to[r] > v->from ? columns->to[r] : (double)INFINITY;
        ok = number_index(columns->chunk[r], &v->chunk) &&
             number_index(columns->file[r], &v->file) && isfinite(v->from);
    }
    if (!ok) {
        return fail(err,
                    "%s: episode %lld has no valid file number or time; the file is damaged, "
                    "copy it again",
                    t->path, (long long)number);
    }
    e->task = first_task(s, &t->tasks, r);
    s->n_listed++;
    return true;
}

static bool list_episodes_of_file(Source *s, const char *path, Error *err) {
    EpisodeTable t = {.path = path};
    ParquetFile *f = NULL;
    bool ok = parquet_open(path, &f, err) && episode_table_read(s, f, &t, err);
    if (ok) source_make_listed(s, t.rows);
    for (int64_t r = 0; ok && r < t.rows; r++) ok = list_episode_of_row(s, &t, r, err);
    episode_table_free(&t, s->ds->n_cameras);
    parquet_close(f);
    return ok;
}

bool v30_list(Source *s, Error *err) {
    if (!list_tasks(s, err)) return false;
    const char *dir = arena_printf(&s->scratch, "%s/meta/episodes", s->ds->root);
    Paths paths = {0};
    if (!tables_find(&s->scratch, dir, &paths, err)) return false;
    if (paths.n == 0)
        return fail(err, "%s: no parquet file in there; copy the dataset's meta folder again", dir);
    for (int i = 0; i < paths.n; i++)
        if (!list_episodes_of_file(s, paths.items[i], err)) return false;
    return true;
}
