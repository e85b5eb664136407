// SPDX-License-Identifier: Apache-2.0
// The columns of the selected episodes, file by file. Rows are addressed by position and checked
// against the index columns.
#include "dataset/reader/steps.h"

#include "base/array.h"
#include "formats/parquet.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Rows of one episode that follow each other in one file.
typedef struct Piece {
    int64_t file, at;       // position in ds->data_files; its first row there
    int64_t episode, frame; // position in ds->episodes; its first frame within the episode
    int64_t count;
} Piece;

// One data file, and the pieces of it that are wanted.
typedef struct FileReader {
    Dataset *ds;
    const Source *source;
    const char *path;
    const Piece *pieces; // (n) in the order of their rows
    int64_t n;
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
    int64_t rows = d->ds->total_frames;
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
        float *to = out + (e->first_row + p->frame) * width;
        for (int64_t k = 0; k < p->count * width; k++) {
            to[k] = (float)from[k];
            if (isfinite(to[k])) continue;
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

static bool read_timestamps(FileReader *d, Error *err) {
    ParquetColumn c = {0};
    bool ok = read_column(d, "timestamp", 1, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Piece *p = &d->pieces[i];
        const double *from = c.numbers + (p->at - d->base);
        double *to = d->ds->timestamp + d->ds->episodes[p->episode].first_row + p->frame;
        for (int64_t k = 0; ok && k < p->count; k++) {
            to[k] = from[k];
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
    // number.
    bool ok = open_row_groups(d, err) && check_image_columns(d, err) &&
              (!d->source->v30 || check_counter(d, COUNT_INDEX, err)) &&
              check_counter(d, COUNT_EPISODE, err) && check_counter(d, COUNT_FRAME, err) &&
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

static bool allocate_columns(Dataset *ds, Error *err) {
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
        if (!mem_could(count * sizeof(float)))
            return fail_memory(err, "%s: '%s' of the selected episodes takes %zu bytes", ds->root,
                               vectors[i].feature->name, count * sizeof(float));
        *vectors[i].out = arena_alloc(&ds->arena, count * sizeof(float));
    }
    size_t rows = (size_t)ds->rows, row = sizeof *ds->timestamp + 2 * sizeof *ds->index;
    if (!mem_could(rows * row))
        return fail_memory(err, "%s: %zu rows of the selected episodes", ds->root, rows);
    ds->timestamp = arena_alloc(&ds->arena, rows * sizeof *ds->timestamp);
    ds->index = arena_alloc(&ds->arena, rows * sizeof *ds->index);
    ds->episode_of = arena_alloc(&ds->arena, rows * sizeof *ds->episode_of);
    return true;
}

bool columns_load(Source *s, Error *err) {
    Dataset *ds = s->ds;
    if (!allocate_columns(ds, err)) return false;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        for (int64_t k = 0; k < e->length; k++) {
            ds->index[e->first_row + k] = s->listed[e->index].from + k;
            ds->episode_of[e->first_row + k] = i;
        }
    }
    int64_t n_pieces;
    Piece *pieces = find_pieces(ds, &n_pieces);
    bool ok = true;
    for (int64_t i = 0, n; ok && i < n_pieces; i += n) {
        for (n = 1; i + n < n_pieces && pieces[i + n].file == pieces[i].file;) n++;
        FileReader d = {.ds = ds,
                        .source = s,
                        .path = ds->data_files[pieces[i].file].path,
                        .pieces = pieces + i,
                        .n = n};
        ok = read_columns_of_file(&d, err);
        parquet_close(d.file);
    }
    mem_free(pieces);
    return ok;
}
