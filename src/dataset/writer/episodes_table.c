// SPDX-License-Identifier: Apache-2.0
// meta/episodes: one row an episode, with its place in the files and its statistics.
#include "dataset/writer/writer_state.h"

#include "base/file.h"
#include <stdio.h>
#include <string.h>

// The table being put together, column by column. Everything lies in the arena.
typedef struct Table {
    const DatasetWriter *w;
    Arena arena;
    int n, room;
    ParquetField *fields;
    ParquetValues *values;
} Table;

static void add_column(Table *t, const char *name, ParquetType type, bool list, const void *data,
                       const int64_t *offsets) {
    t->fields[t->n] = (ParquetField){.name = name, .type = type, .list = list};
    t->values[t->n++] = (ParquetValues){data, offsets};
}

static size_t table_rows(const Table *t) {
    return (size_t)t->w->n_episodes;
}

// A column of one integer an episode; zeros to begin with.
static int64_t *add_integers(Table *t, const char *name) {
    int64_t *data = arena_alloc(&t->arena, sizeof *data * table_rows(t));
    add_column(t, name, PARQUET_I64, false, data, NULL);
    return data;
}

static double *add_reals(Table *t, const char *name) {
    double *data = arena_alloc(&t->arena, sizeof *data * table_rows(t));
    add_column(t, name, PARQUET_F64, false, data, NULL);
    return data;
}

// 0, width, 2 width, ...: offsets of a list column with equally long lists.
static const int64_t *even_offsets(Table *t, int width) {
    int64_t *offsets = arena_alloc(&t->arena, sizeof *offsets * (table_rows(t) + 1));
    for (size_t i = 0; i <= table_rows(t); i++) offsets[i] = (int64_t)i * width;
    return offsets;
}

static void add_tasks(Table *t) {
    const DatasetWriter *w = t->w;
    int64_t *offsets = arena_alloc(&t->arena, sizeof *offsets * (table_rows(t) + 1)), n = 0;
    for (int64_t i = 0; i < w->n_episodes; i++) offsets[i + 1] = n += w->episodes[i].n_tasks;
    ParquetBytes *tasks = arena_alloc(&t->arena, sizeof *tasks * (size_t)n);
    for (int64_t i = 0; i < w->n_episodes; i++)
        for (int k = 0; k < w->episodes[i].n_tasks; k++) {
            const char *text = w->tasks.texts[w->episodes[i].tasks[k]];
            tasks[offsets[i] + k] = (ParquetBytes){(const uint8_t *)text, strlen(text)};
        }
    add_column(t, "tasks", PARQUET_STRING, true, tasks, offsets);
}

static void add_place_columns(Table *t) {
    const DatasetWriter *w = t->w;
    int64_t *index = add_integers(t, "episode_index");
    add_tasks(t);
    int64_t *length = add_integers(t, "length");
    int64_t *chunk = add_integers(t, "data/chunk_index"),
            *file = add_integers(t, "data/file_index");
    int64_t *from = add_integers(t, "dataset_from_index");
    int64_t *to = add_integers(t, "dataset_to_index");
    for (int64_t i = 0; i < w->n_episodes; i++) {
        const WriterEpisode *e = &w->episodes[i];
        index[i] = i;
        length[i] = e->length;
        chunk[i] = e->places[0].file / WRITER_CHUNK;
        file[i] = e->places[0].file % WRITER_CHUNK;
        from[i] = e->from;
        to[i] = e->from + e->length;
    }
}

static void add_video_columns(Table *t, int camera) {
    const DatasetWriter *w = t->w;
    const char *key = w->o.cameras[camera].name;
    Arena *a = &t->arena;
    int64_t *chunk = add_integers(t, arena_printf(a, "videos/%s/chunk_index", key));
    int64_t *file = add_integers(t, arena_printf(a, "videos/%s/file_index", key));
    double *from = add_reals(t, arena_printf(a, "videos/%s/from_timestamp", key));
    double *to = add_reals(t, arena_printf(a, "videos/%s/to_timestamp", key));
    for (int64_t i = 0; i < w->n_episodes; i++) {
        const WriterPlace *place = &w->episodes[i].places[1 + camera];
        chunk[i] = place->file / WRITER_CHUNK;
        file[i] = place->file % WRITER_CHUNK;
        from[i] = place->from;
        to[i] = place->to;
    }
}

// stats/FEATURE/STAT columns of one feature.
static void add_stats_columns(Table *t, const WriterFeature *f) {
    enum { FIXED = 4, COLUMNS = FIXED + N_QUANTILES };
    static const char *const fixed[FIXED] = {"min", "max", "mean", "std"};
    const DatasetWriter *w = t->w;
    double *columns[COLUMNS];
    const int64_t *offsets = even_offsets(t, f->dim);
    for (int s = 0; s < COLUMNS; s++) {
        const char *stat = s < FIXED ? fixed[s] : quantile_names[s - FIXED];
        columns[s] = arena_alloc(&t->arena, sizeof(double) * table_rows(t) * (size_t)f->dim);
        add_column(t, arena_printf(&t->arena, "stats/%s/%s", f->name, stat), PARQUET_F64, true,
                   columns[s], offsets);
    }
    int64_t *count = arena_alloc(&t->arena, sizeof *count * table_rows(t));
    add_column(t, arena_printf(&t->arena, "stats/%s/count", f->name), PARQUET_I64, true, count,
               even_offsets(t, 1));
    for (int64_t i = 0; i < w->n_episodes; i++) {
        const WriterEpisode *e = &w->episodes[i];
        double *values = NEW(double, e->length);
        count[i] = e->length;
        for (int j = 0; j < f->dim; j++) {
            for (int64_t k = 0; k < e->length; k++)
                values[k] = writer_value(w, f, i, e->from + k, j);
            ValueStats s = value_stats(values, e->length);
            double all[COLUMNS] = {s.min, s.max, s.mean, s.std};
            memcpy(all + FIXED, s.quantiles, sizeof s.quantiles);
            for (int c = 0; c < COLUMNS; c++) columns[c][i * f->dim + j] = all[c];
        }
        mem_free(values);
    }
}

bool writer_write_episodes(DatasetWriter *w, Error *err) {
    Table t = {.w = w};
    int cameras = w->o.n_cameras;
    size_t room = (size_t)(7 + 4 * cameras + 10 * w->n_features + 2);
    t.fields = arena_alloc(&t.arena, sizeof *t.fields * room);
    t.values = arena_alloc(&t.arena, sizeof *t.values * room);
    add_place_columns(&t);
    for (int c = 0; c < cameras; c++)
        if (!w->o.cameras[c].in_parquet) add_video_columns(&t, c);
    for (int i = 0; i < w->n_features; i++) add_stats_columns(&t, &w->features[i]);
    add_integers(&t, "meta/episodes/chunk_index");
    add_integers(&t, "meta/episodes/file_index");
    const char *dir = arena_printf(&t.arena, "%s/meta/episodes/chunk-000", w->temporary);
    const char *path = arena_printf(&t.arena, "%s/file-000.parquet", dir);
    ParquetWriter *writer = NULL;
    bool ok =
        make_dirs(dir, err) && parquet_writer_open(path, t.fields, t.n, NULL, 0, &writer, err);
    if (ok && !parquet_write_group(writer, w->n_episodes, t.values, err)) {
        parquet_writer_abort(writer);
        ok = false;
    } else if (ok) {
        ok = parquet_writer_close(writer, err);
    }
    arena_free(&t.arena);
    return ok;
}
