// SPDX-License-Identifier: Apache-2.0
// The columns of the selected episodes, file by file. Rows are addressed by position and checked
// against the index columns.
#include "dataset/dataset_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One data file and the selected episodes in it.
typedef struct DataFile {
    Dataset *ds;
    const Source *source;
    const char *path;
    const int64_t *picks; // (n) positions in ds->episodes, by data_row
    int64_t n;
    ParquetFile *file;
    int first_group, groups; // row groups that hold the episodes
    int64_t base, rows;      // first row of these groups, and how many there are
} DataFile;

// ---- one column -------------------------------------------------------------------------------

static int64_t row_width(const ParquetColumn *c, int64_t r) {
    return c->offsets[r + 1] - c->offsets[r];
}

// A column must give `width` numbers a row, flat (width 1) or as lists.
static bool check_width(const DataFile *d, const char *name, const ParquetColumn *c, int64_t width,
                        Error *err) {
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
static bool read_column(DataFile *d, const char *name, int64_t width, ParquetColumn *out,
                        Error *err) {
    int column = parquet_find(d->file, name, NULL);
    if (column < 0) {
        return fail(err,
                    "%s: there is no column '%s', which the dataset must have; the file does not"
                    " belong to this dataset or is damaged",
                    d->path, name);
    }
    return parquet_read(d->file, column, d->first_group, d->groups, out, err) &&
           check_width(d, name, out, width, err);
}

// First row of an episode within what read_column gave.
static int64_t first_in_column(const DataFile *d, const Episode *e) {
    return e->data_row - d->base;
}

static bool read_vectors(DataFile *d, const Feature *feature, float *out, Error *err) {
    if (!feature) return true;
    int64_t width = feature->size;
    ParquetColumn c = {0};
    bool ok = read_column(d, feature->disk_name, width, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Episode *e = &d->ds->episodes[d->picks[i]];
        const double *from = c.numbers + first_in_column(d, e) * width;
        float *to = out + e->first_row * width;
        for (int64_t k = 0; k < e->length * width; k++) {
            to[k] = (float)from[k];
            if (isfinite(to[k])) continue;
            ok = fail(err,
                      "%s: row %lld (episode %lld, frame %lld): value %lld of '%s' is %f; repair "
                      "the recording or leave the episode out with --dataset.episodes",
                      d->path, (long long)(e->data_row + k / width), (long long)e->index,
                      (long long)(k / width), (long long)(k % width), feature->disk_name, from[k]);
            break;
        }
    }
    parquet_column_free(&c);
    return ok;
}

static bool read_timestamps(DataFile *d, Error *err) {
    ParquetColumn c = {0};
    bool ok = read_column(d, "timestamp", 1, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Episode *e = &d->ds->episodes[d->picks[i]];
        const double *from = c.numbers + first_in_column(d, e);
        for (int64_t k = 0; ok && k < e->length; k++) {
            d->ds->timestamp[e->first_row + k] = from[k];
            if (!isfinite(from[k])) {
                ok = fail(err,
                          "%s: row %lld has no valid timestamp; the file is damaged, copy it "
                          "again",
                          d->path, (long long)(e->data_row + k));
            }
        }
    }
    parquet_column_free(&c);
    return ok;
}

// Checks a counting column: in each episode it must read start, start + step, ...
static bool check_counter(DataFile *d, const char *name, int64_t step, bool global, Error *err) {
    ParquetColumn c = {0};
    bool ok = read_column(d, name, 1, &c, err);
    for (int64_t i = 0; ok && i < d->n; i++) {
        const Episode *e = &d->ds->episodes[d->picks[i]];
        int64_t start = step == 0 ? e->index : global ? d->source->listed[e->index].from : 0;
        for (int64_t k = 0; k < e->length; k++) {
            double found = c.numbers[first_in_column(d, e) + k];
            if (found == (double)(start + k * step)) continue;
            ok = fail(err,
                      "%s: row %lld has %s %.0f where %lld must be (episode %lld, frame %lld); the "
                      "data file and the meta folder do not belong together",
                      d->path, (long long)(e->data_row + k), name, found,
                      (long long)(start + k * step), (long long)e->index, (long long)k);
            break;
        }
    }
    parquet_column_free(&c);
    return ok;
}

// ---- one file ---------------------------------------------------------------------------------

// Rows the file must have: those of all listed episodes in it.
static int64_t listed_rows(const Source *s, int64_t position) {
    const Listed *e = &s->listed[position];
    int64_t first = position, last = position;
    while (first > 0 && s->listed[first - 1].chunk == e->chunk &&
           s->listed[first - 1].file == e->file)
        first--;
    while (last + 1 < s->n_listed && s->listed[last + 1].chunk == e->chunk &&
           s->listed[last + 1].file == e->file)
        last++;
    return s->listed[last].from + s->listed[last].length - s->listed[first].from;
}

static bool open_file(DataFile *d, Error *err) {
    if (!parquet_open(d->path, &d->file, err)) return false;
    const Episode *first = &d->ds->episodes[d->picks[0]];
    const Episode *last = &d->ds->episodes[d->picks[d->n - 1]];
    int64_t expected = listed_rows(d->source, first->index);
    if (parquet_rows(d->file) != expected) {
        return fail(err,
                    "%s: the file has %lld rows, but its episodes have %lld frames by the meta "
                    "folder; copy both again",
                    d->path, (long long)parquet_rows(d->file), (long long)expected);
    }
    int64_t row = 0, end = last->data_row + last->length;
    d->first_group = -1;
    for (int g = 0; g < parquet_row_groups(d->file); g++) {
        int64_t n = parquet_row_group_rows(d->file, g);
        if (row + n > first->data_row && row < end && n > 0) {
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
static bool check_images(const DataFile *d, Error *err) {
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

static bool load_file(DataFile *d, Error *err) {
    Dataset *ds = d->ds;
    bool ok = open_file(d, err) && check_images(d, err) &&
              check_counter(d, "index", 1, true, err) &&
              check_counter(d, "episode_index", 0, true, err) &&
              check_counter(d, "frame_index", 1, false, err) && read_timestamps(d, err) &&
              read_vectors(d, ds->state, ds->state_data, err) &&
              read_vectors(d, ds->env, ds->env_data, err) &&
              read_vectors(d, ds->action, ds->action_data, err);
    parquet_close(d->file);
    d->file = NULL;
    return ok;
}

// ---- all files --------------------------------------------------------------------------------

// A selected episode as it is sorted: by place in the dataset.
typedef struct Pick {
    int64_t listed, position;
} Pick;

static int by_place(const void *a, const void *b) {
    int64_t x = ((const Pick *)a)->listed, y = ((const Pick *)b)->listed;
    return (x > y) - (x < y);
}

static bool same_file(const Source *s, int64_t a, int64_t b) {
    const Listed *x = &s->listed[a], *y = &s->listed[b];
    return x->chunk == y->chunk && x->file == y->file;
}

// Calls load (or, first, only a check of the row counts) for each file of the selection.
static bool each_file(Source *s, const int64_t *order, bool load, Error *err) {
    Dataset *ds = s->ds;
    for (int64_t i = 0, n; i < ds->n_episodes; i += n) {
        const Episode *e = &ds->episodes[order[i]];
        for (n = 1; i + n < ds->n_episodes; n++) {
            if (!same_file(s, e->index, ds->episodes[order[i + n]].index)) break;
        }
        DataFile d = {.ds = ds, .source = s, .path = e->data_path, .picks = order + i, .n = n};
        bool ok = load ? load_file(&d, err) : open_file(&d, err);
        parquet_close(d.file);
        if (!ok) return false;
    }
    return true;
}

static bool allocate(Dataset *ds, Error *err) {
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
        *vectors[i].out = arena_alloc(&ds->arena, count * sizeof(float));
    }
    size_t rows = (size_t)ds->rows;
    ds->timestamp = arena_alloc(&ds->arena, rows * sizeof *ds->timestamp);
    ds->index = arena_alloc(&ds->arena, rows * sizeof *ds->index);
    ds->episode_of = arena_alloc(&ds->arena, rows * sizeof *ds->episode_of);
    return true;
}

bool columns_load(Source *s, Error *err) {
    Dataset *ds = s->ds;
    Pick *picks = arena_alloc(&s->scratch, sizeof *picks * (size_t)ds->n_episodes);
    int64_t *order = arena_alloc(&s->scratch, sizeof *order * (size_t)ds->n_episodes);
    for (int64_t i = 0; i < ds->n_episodes; i++) picks[i] = (Pick){s->selected[i], i};
    qsort(picks, (size_t)ds->n_episodes, sizeof *picks, by_place);
    for (int64_t i = 0; i < ds->n_episodes; i++) order[i] = picks[i].position;
    // Row counts first: nothing is allocated for frames that no file holds.
    if (!each_file(s, order, false, err) || !allocate(ds, err)) return false;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        for (int64_t k = 0; k < e->length; k++) {
            ds->index[e->first_row + k] = s->listed[e->index].from + k;
            ds->episode_of[e->first_row + k] = i;
        }
    }
    return each_file(s, order, true, err);
}
