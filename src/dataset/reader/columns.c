// SPDX-License-Identifier: Apache-2.0
// The columns of the selected episodes, file by file. Rows are addressed by position and checked
// against the index columns.
#include "dataset/reader/steps.h"

#include "base/array.h"
#include "formats/parquet.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Rows of one episode that follow each other in one file.
typedef struct Piece {
    int64_t file, at;       // position in ds->data_files; its first row there
    int64_t episode, frame; // position in ds->episodes; its first frame within the episode
    int64_t count;
} Piece;

// One data file, and the pieces of it that are wanted. Files are read by several threads, each by
// one: they write to rows of their own, and read what no one changes.
typedef struct FileReader {
    Dataset *ds;
    const Source *source;
    const char *path;
    const Piece *pieces; // (n) in the order of their rows
    int64_t n;
    bool short_file; // it does not have the rows of its episode (v2.x)
    ParquetFile *file;
    int first_group, groups; // row groups that hold the pieces
    int64_t base, rows;      // first row of these groups, and how many there are
} FileReader;

// ---- one column -------------------------------------------------------------------------------

static int64_t row_width(const ParquetColumn *c, int64_t r) {
    return c->offsets[r + 1] - c->offsets[r];
}

// A column must give `width` numbers a row, flat (width 1) or as lists.
static bool check_width(const FileReader *d, const char *name, const ParquetColumn *c,
                        int64_t width, Error *err) {
    if (c->kind != PARQUET_NUMBERS || c->rows != d->rows || (!c->offsets && c->count != c->rows))
        return fail(err, "%s: column '%s' does not hold numbers; the file is damaged", d->path,
                    name);
    int64_t found = 1;
    if (c->offsets) {
        found = row_width(c, 0);
        for (int64_t r = 1; r < c->rows; r++) {
            if (row_width(c, r) == found) continue;
            return fail(err,
                        "%s: row %lld of column '%s' has %lld values, the rows before it %lld; "
                        "the file is damaged, copy it again",
                        d->path, (long long)(d->base + r), name, (long long)row_width(c, r),
                        (long long)found);
        }
    }
    if (found == width) return true;
    return fail(err,
                "%s: column '%s' has %lld value%s a row, but meta/info.json says %lld; the files "
                "do not belong together",
                d->path, name, (long long)found, found == 1 ? "" : "s", (long long)width);
}

// Reads a column over the file's row groups; parquet_column_free(out) in any case.
static bool read_column(FileReader *d, const char *name, int64_t width, ParquetColumn *out,
                        Error *err) {
    int column = parquet_find(d->file, name, NULL);
    if (column < 0) {
        return fail(err,
                    "%s: there is no column '%s', which the dataset must have; the file does not"
                    " belong to this dataset or is damaged",
                    d->path, name);
    }
    int64_t rows = source_most_rows(d->source);
    parquet_expect(d->file, rows < INT64_MAX / width ? rows * width : INT64_MAX);
    return parquet_read(d->file, column, d->first_group, d->groups, out, err) &&
           check_width(d, name, out, width, err);
}

static bool read_vectors(FileReader *d, const Feature *feature, float *out, Error *err) {
    if (!feature) return true;
    int64_t width = feature->size;
    ParquetColumn c = {0};
    bool ok = read_column(d, feature->disk_name, width, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Piece *p = &d->pieces[i];
        const Episode *e = &d->ds->episodes[p->episode];
        const double *from = c.numbers + (p->at - d->base) * width;
        float *to = out ? out + (e->first_row + p->frame) * width : NULL;
        for (int64_t k = 0; k < p->count * width; k++) {
            float value = (float)from[k];
            if (to) to[k] = value;
            if (isfinite(value)) continue;
            ok = fail(err,
                      "%s: row %lld (episode %lld, frame %lld): value %lld of '%s' is %f; repair "
                      "the recording or leave the episode out with --dataset.episodes",
                      d->path, (long long)(p->at + k / width), (long long)e->index,
                      (long long)(p->frame + k / width), (long long)(k % width), feature->disk_name,
                      from[k]);
            break;
        }
    }
    parquet_column_free(&c);
    return ok;
}

static bool has_column(const FileReader *d, const char *name) {
    return parquet_find(d->file, name, NULL) >= 0;
}

// Without videos nothing else asks for them, so where none were recorded they are those of fps.
static void make_timestamps(const FileReader *d) {
    for (int64_t i = 0; d->ds->timestamp && i < d->n; i++) {
        const Piece *p = &d->pieces[i];
        double *to = d->ds->timestamp + d->ds->episodes[p->episode].first_row + p->frame;
        for (int64_t k = 0; k < p->count; k++) to[k] = (double)(p->frame + k) / d->ds->fps;
    }
}

static bool has_videos(const Dataset *ds) {
    for (int c = 0; c < ds->n_cameras; c++)
        if (ds->cameras[c]->video) return true;
    return false;
}

static bool read_timestamps(FileReader *d, Error *err) {
    if (!has_column(d, "timestamp") && !has_videos(d->ds)) {
        make_timestamps(d);
        return true;
    }
    ParquetColumn c = {0};
    bool ok = read_column(d, "timestamp", 1, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Piece *p = &d->pieces[i];
        const double *from = c.numbers + (p->at - d->base);
        double *all = d->ds->timestamp;
        double *to = all ? all + d->ds->episodes[p->episode].first_row + p->frame : NULL;
        for (int64_t k = 0; ok && k < p->count; k++) {
            if (to) to[k] = from[k];
            if (!isfinite(from[k])) {
                ok = fail(err,
                          "%s: row %lld has no valid timestamp; the file is damaged, copy it "
                          "again",
                          d->path, (long long)(p->at + k));
            }
        }
    }
    parquet_column_free(&c);
    return ok;
}

// The columns that say which row it is.
typedef enum Counter { COUNT_INDEX, COUNT_EPISODE, COUNT_FRAME } Counter;

// Checks one of them: in each episode it must read start, start + step, ...
static bool check_counter(FileReader *d, Counter which, Error *err) {
    static const char *const names[] = {"index", "episode_index", "frame_index"};
    ParquetColumn c = {0};
    bool ok = read_column(d, names[which], 1, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Piece *p = &d->pieces[i];
        const Episode *e = &d->ds->episodes[p->episode];
        int64_t start = which == COUNT_EPISODE ? e->index
                        : which == COUNT_INDEX ? d->source->listed[e->index].from + p->frame
                                               : p->frame;
        for (int64_t k = 0; k < p->count; k++) {
            double found = c.numbers[p->at - d->base + k];
            int64_t wanted = start + (which == COUNT_EPISODE ? 0 : k);
            if (found == (double)wanted) continue;
            ok = fail(err,
                      "%s: row %lld has %s %.0f where %lld must be (episode %lld, frame %lld); the "
                      "data file and the meta folder do not belong together",
                      d->path, (long long)(p->at + k), names[which], found, (long long)wanted,
                      (long long)e->index, (long long)(p->frame + k));
            break;
        }
    }
    parquet_column_free(&c);
    return ok;
}

// ---- one file ---------------------------------------------------------------------------------

static bool open_row_groups(FileReader *d, Error *err) {
    if (!parquet_open(d->path, &d->file, err)) return false;
    if (!d->source->v30 && parquet_rows(d->file) != d->ds->data_files[d->pieces->file].rows) {
        d->short_file = true;
        return false; // columns_load says more
    }
    const Piece *first = &d->pieces[0], *last = &d->pieces[d->n - 1];
    int64_t row = 0, end = last->at + last->count;
    d->first_group = -1;
    for (int g = 0; g < parquet_row_groups(d->file); g++) {
        int64_t n = parquet_row_group_rows(d->file, g);
        if (row + n > first->at && row < end && n > 0) {
            if (d->first_group < 0) {
                d->first_group = g;
                d->base = row;
            }
            d->groups = g - d->first_group + 1;
            d->rows = row + n - d->base;
        }
        row += n;
    }
    return (d->first_group >= 0 && d->base + d->rows >= end) ||
           fail(err, "%s: its row groups do not add up; the file is damaged, copy it again",
                d->path);
}

// Image columns are only looked for here: their bytes are read frame by frame.
static bool check_image_columns(const FileReader *d, Error *err) {
    for (int c = 0; c < d->ds->n_cameras; c++) {
        const Feature *f = d->ds->cameras[c];
        if (!f->video && parquet_find(d->file, f->disk_name, "bytes") < 0) {
            return fail(err,
                        "%s: there is no image column '%s', which meta/info.json lists; the file "
                        "does not belong to this dataset",
                        d->path, f->disk_name);
        }
    }
    return true;
}

static bool read_columns_of_file(FileReader *d, Error *err) {
    Dataset *ds = d->ds;
    // In v2.1 `index` counts for nothing: recorders have begun it anew, or twice at the same
    // number. LeRobot reads datasets without `frame_index` (GR00T's have none), as nothing asks
    // for it.
    bool ok = open_row_groups(d, err) && check_image_columns(d, err) &&
              (!d->source->v30 || check_counter(d, COUNT_INDEX, err)) &&
              check_counter(d, COUNT_EPISODE, err) &&
              (!has_column(d, "frame_index") || check_counter(d, COUNT_FRAME, err)) &&
              read_timestamps(d, err) && read_vectors(d, ds->state, ds->state_data, err) &&
              read_vectors(d, ds->env, ds->env_data, err) &&
              read_vectors(d, ds->action, ds->action_data, err);
    parquet_close(d->file);
    d->file = NULL;
    return ok;
}

// ---- all files --------------------------------------------------------------------------------

static int by_place(const void *a, const void *b) {
    const Piece *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

// The pieces of all episodes, in the order of files and rows. The caller frees.
static Piece *find_pieces(const Dataset *ds, int64_t *n) {
    int64_t room = 0;
    Piece *pieces = NULL;
    *n = 0;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        int64_t file = e->data_file, at = e->data_row;
        for (int64_t frame = 0; frame < e->length; file++, at = 0) {
            int64_t count = ds->data_files[file].rows - at;
            if (count > e->length - frame) count = e->length - frame;
            *ARRAY_ADD(pieces, *n, room) = (Piece){file, at, i, frame, count};
            frame += count;
        }
    }
    qsort(pieces, (size_t)*n, sizeof *pieces, by_place);
    return pieces;
}

// Memory for a column of so many bytes, in the dataset's arena.
static bool allocate_column(Dataset *ds, const char *name, size_t bytes, void *out, Error *err) {
    // Large blocks of an arena are blocks of their own: what can be had now is had there.
    if (!mem_could(bytes))
        return fail_memory(err,
                           "%s: %zu bytes for '%s' of %lld frames; choose fewer episodes with "
                           "--dataset.episodes",
                           ds->root, bytes, name, (long long)ds->rows);
    void *column = arena_alloc(&ds->arena, bytes);
    memcpy(out, &column, sizeof column);
    return true;
}

static bool allocate_columns(Source *s, Error *err) {
    Dataset *ds = s->ds;
    const struct {
        const Feature *feature;
        float **out;
    } vectors[] = {
        {ds->state, &ds->state_data}, {ds->env, &ds->env_data}, {ds->action, &ds->action_data}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        if (!vectors[i].feature) continue;
        // Sizes are at most 2^20 and the rows lie in files on disk, but columns compress well.
        if (ds->rows > (INT64_C(1) << 42) / vectors[i].feature->size) {
            return fail(err,
                        "%s: '%s' of the selected episodes is too large to be held in memory; "
                        "choose fewer with --dataset.episodes",
                        ds->root, vectors[i].feature->name);
        }
        size_t count = (size_t)(ds->rows * vectors[i].feature->size);
        if (!s->overview && !allocate_column(ds, vectors[i].feature->name, count * sizeof(float),
                                             vectors[i].out, err))
            return false;
    }
    size_t rows = (size_t)ds->rows;
    // In an overview only videos ask for times.
    return (s->overview && !ds->n_cameras) ||
           allocate_column(ds, "timestamp", rows * sizeof *ds->timestamp, &ds->timestamp, err);
}

// All files, which threads take one after the other.
typedef struct Reading {
    Source *source;
    const Piece *pieces;
    int64_t n_pieces;
    pthread_mutex_t lock; // of what follows
    int64_t next;         // piece with which the next file begins
    int64_t failed;       // first piece of the first file that failed; n_pieces: none
    bool short_file;
    Error err; // of that file
} Reading;

// The pieces of the next file; false where there is none, or none any more that counts.
static bool take_file(Reading *r, int64_t *first, int64_t *n) {
    pthread_mutex_lock(&r->lock);
    bool more = r->next < r->failed;
    *first = r->next;
    for (*n = 1;
         *first + *n < r->n_pieces && r->pieces[*first + *n].file == r->pieces[*first].file;)
        ++*n;
    if (more) r->next += *n;
    pthread_mutex_unlock(&r->lock);
    return more;
}

static void *read_files(void *arg) {
    Reading *r = arg;
    Dataset *ds = r->source->ds;
    for (int64_t first, n; take_file(r, &first, &n);) {
        Error err;
        const Piece *pieces = r->pieces + first;
        FileReader d = {.ds = ds,
                        .source = r->source,
                        .path = ds->data_files[pieces->file].path,
                        .pieces = pieces,
                        .n = n};
        if (read_columns_of_file(&d, &err)) continue;
        pthread_mutex_lock(&r->lock);
        if (first < r->failed) {
            r->failed = first;
            r->short_file = d.short_file;
            r->err = err;
        }
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

enum { MOST_THREADS = 8 };

// How many threads read: each holds a column of a file at a time, and all together no more than
// this.
static int reading_threads(const Dataset *ds, int64_t n_pieces) {
    const int64_t most_bytes = INT64_C(256) << 20;
    int64_t rows = 1, width = 1, threads = sysconf(_SC_NPROCESSORS_ONLN);
    const Feature *features[] = {ds->state, ds->env, ds->action};
    for (int i = 0; i < 3; i++)
        if (features[i] && features[i]->size > width) width = features[i]->size;
    for (int64_t i = 0; i < ds->n_data_files; i++)
        if (ds->data_files[i].rows > rows) rows = ds->data_files[i].rows;
    const int64_t room = most_bytes / (int64_t)sizeof(double) / width / rows;
    if (threads > room) threads = room;
    if (threads > n_pieces) threads = n_pieces;
    return threads > MOST_THREADS ? MOST_THREADS : threads < 1 ? 1 : (int)threads;
}

// This thread reads too, so a thread that cannot be had is none the less.
static bool read_all_files(Reading *r, Error *err) {
    pthread_t others[MOST_THREADS];
    const int wanted = reading_threads(r->source->ds, r->n_pieces);
    int started = 0;
    pthread_mutex_init(&r->lock, NULL);
    while (started < wanted - 1 && pthread_create(&others[started], NULL, read_files, r) == 0)
        started++;
    read_files(r);
    for (int i = 0; i < started; i++) pthread_join(others[i], NULL);
    pthread_mutex_destroy(&r->lock);
    if (r->failed == r->n_pieces) return true;
    if (r->short_file)
        return rows_missing(r->source, r->source->selected[r->pieces[r->failed].episode], err);
    *err = r->err;
    return false;
}

bool columns_load(Source *s, Error *err) {
    Dataset *ds = s->ds;
    if (!allocate_columns(s, err)) return false;
    Reading r = {.source = s};
    Piece *pieces = find_pieces(ds, &r.n_pieces);
    r.pieces = pieces;
    r.failed = r.n_pieces;
    bool ok = read_all_files(&r, err);
    mem_free(pieces);
    return ok;
}
