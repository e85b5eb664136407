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

// ---- statistics ---------------------------------------------------------------------------------

enum { FIXED = 4, STATS = FIXED + N_QUANTILES };

// stats/FEATURE/STAT columns of one feature, whose numbers are the caller's to fill in.
typedef struct StatsColumns {
    double *stats[STATS]; // (n_episodes, dim)
    int64_t *count;       // (n_episodes)
} StatsColumns;

// In LeRobot's order. A camera's numbers are of shape (dim, 1, 1).
static StatsColumns add_stats(Table *t, const char *name, int dim, bool camera) {
    static const char *const fixed[FIXED] = {"min", "max", "mean", "std"};
    static const int64_t ones[] = {1, 1};
    const int64_t *offsets = even_offsets(t, dim);
    StatsColumns c;
    for (int s = 0; s < STATS; s++) {
        const char *stat = s < FIXED ? fixed[s] : quantile_names[s - FIXED];
        c.stats[s] = arena_alloc(&t->arena, sizeof(double) * table_rows(t) * (size_t)dim);
        add_column(t, arena_printf(&t->arena, "stats/%s/%s", name, stat), PARQUET_F64, true,
                   c.stats[s], offsets);
        if (camera) t->fields[t->n - 1].inner = ones, t->fields[t->n - 1].n_inner = 2;
        if (s != FIXED - 1) continue;
        c.count = arena_alloc(&t->arena, sizeof *c.count * table_rows(t));
        add_column(t, arena_printf(&t->arena, "stats/%s/count", name), PARQUET_I64, true, c.count,
                   even_offsets(t, 1));
    }
    return c;
}

static void set_stats(StatsColumns *c, int64_t at, const ValueStats *s) {
    const double fixed[FIXED] = {s->min, s->max, s->mean, s->std};
    for (int k = 0; k < STATS; k++)
        c->stats[k][at] = k < FIXED ? fixed[k] : s->quantiles[k - FIXED];
}

static void add_vector_stats(Table *t, const WriterFeature *f) {
    const DatasetWriter *w = t->w;
    const int dim = writer_stats_dim(f);
    StatsColumns c = add_stats(t, f->name, dim, false);
    for (int64_t i = 0; i < w->n_episodes; i++) {
        double *values = NEW(double, w->episodes[i].length *(f->dim / dim));
        c.count[i] = w->episodes[i].length;
        for (int j = 0; j < dim; j++) {
            int64_t n = writer_stats_values(w, f, i, j, values);
            ValueStats s = value_stats(values, n);
            set_stats(&c, i * dim + j, &s);
        }
        mem_free(values);
    }
}

static void add_camera_stats(Table *t, int camera) {
    const DatasetWriter *w = t->w;
    if (!writer_has_camera_stats(w, camera)) return;
    const int dim = w->episodes[0].cameras[camera].n_channels;
    StatsColumns c = add_stats(t, w->o.cameras[camera].name, dim, true);
    for (int64_t i = 0; i < w->n_episodes; i++) {
        const CameraStats *s = &w->episodes[i].cameras[camera];
        c.count[i] = s->frames;
        for (int j = 0; j < dim; j++) set_stats(&c, i * dim + j, &s->channels[j]);
    }
}

bool writer_write_episodes(DatasetWriter *w, Error *err) {
    Table t = {.w = w};
    int cameras = w->o.n_cameras;
    size_t room = (size_t)(7 + 14 * cameras + 10 * w->n_features + 2);
    t.fields = arena_alloc(&t.arena, sizeof *t.fields * room);
    t.values = arena_alloc(&t.arena, sizeof *t.values * room);
    add_place_columns(&t);
    for (int c = 0; c < cameras; c++)
        if (!w->o.cameras[c].in_parquet) add_video_columns(&t, c);
    // Of vectors, of cameras, of what counts rows.
    for (int i = 0; i < w->n_vectors; i++) add_vector_stats(&t, &w->features[i]);
    for (int c = 0; c < cameras; c++) add_camera_stats(&t, c);
    for (int i = w->n_vectors; i < w->n_features; i++) add_vector_stats(&t, &w->features[i]);
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
