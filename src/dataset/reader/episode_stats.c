// SPDX-License-Identifier: Apache-2.0
#include "dataset/episode_stats.h"

#include "base/file.h"
#include "dataset/reader/json_lines.h"
#include "dataset/reader/tables.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIXED = 4, STATS = FIXED + N_QUANTILES };

static const char *name_of(int kind) {
    static const char *const fixed[FIXED] = {"min", "max", "mean", "std"};
    return kind < FIXED ? fixed[kind] : quantile_names[kind - FIXED];
}

static double *array_of(const EpisodeStats *s, int kind) {
    double *const fixed[FIXED] = {s->min, s->max, s->mean, s->std};
    return kind < FIXED ? fixed[kind] : s->quantiles[kind - FIXED];
}

static bool is_v30(const Dataset *ds) {
    return strncmp(ds->version + (*ds->version == 'v'), "3", 1) == 0;
}

const char *episode_stats_place(const Dataset *ds) {
    return is_v30(ds) ? "meta/episodes" : "meta/episodes_stats.jsonl";
}

void episode_stats_free(EpisodeStats *s) {
    for (int k = 0; k < STATS; k++) mem_free(array_of(s, k));
    mem_free(s->count);
    *s = (EpisodeStats){0};
}

// A camera's frames are read as RGB; a depth map has what it says.
static int dim_of(const Feature *f) {
    bool depth = f->kind == FEATURE_VISUAL && f->depth;
    return f->kind != FEATURE_VISUAL ? (int)f->size : depth && f->channels == 1 ? 1 : 3;
}

static bool make_room(const Dataset *ds, const Feature *f, EpisodeStats *s, Error *err) {
    const int dim = dim_of(f);
    int64_t n = ds->total_episodes, values = n * dim;
    *s = (EpisodeStats){.dim = dim,
                        .n = n,
                        .min = TRY_NEW(double, values),
                        .max = TRY_NEW(double, values),
                        .mean = TRY_NEW(double, values),
                        .std = TRY_NEW(double, values),
                        .count = TRY_NEW(double, n)};
    bool had = s->min && s->max && s->mean && s->std && s->count;
    for (int q = 0; q < N_QUANTILES; q++) had = (s->quantiles[q] = TRY_NEW(double, values)) && had;
    if (!had) return fail_memory(err, "%s: statistics of %lld episodes", ds->root, (long long)n);
    for (int64_t i = 0; i < n; i++) s->count[i] = NAN;
    for (int k = 0; k < STATS; k++)
        for (int64_t i = 0; i < values; i++) array_of(s, k)[i] = NAN;
    return true;
}

// ---- v3.0 ---------------------------------------------------------------------------------------

// Copies a column's values to the episodes of its rows, where each row has `width` of them.
static bool take_column(ParquetFile *f, const char *column, const double *episodes, int width,
                        int64_t n, double *out, Error *err) {
    int at = parquet_find(f, column, NULL);
    ParquetColumn c = {0};
    if (at < 0 || parquet_leaf(f, at).kind != PARQUET_NUMBERS || !parquet_leaf(f, at).readable)
        return true;
    parquet_expect(f, n < INT64_MAX / width ? n * width : INT64_MAX);
    if (!parquet_read(f, at, 0, -1, &c, err)) return false;
    for (int64_t r = 0; r < c.rows && (c.offsets || width == 1); r++) {
        int64_t from = c.offsets ? c.offsets[r] : r * width, e;
        int64_t to = c.offsets ? c.offsets[r + 1] : from + width;
        if (to - from == width && to <= c.count && number_index(episodes[r], &e) && e < n)
            memcpy(out + e * width, c.numbers + from, sizeof *out * (size_t)width);
    }
    parquet_column_free(&c);
    return true;
}

static bool take_table(const char *path, const Feature *const *features, int n, EpisodeStats *out,
                       Error *err) {
    ParquetFile *f = NULL;
    double *episodes = NULL;
    bool ok =
        parquet_open(path, &f, err) && numbers_read(f, path, "episode_index", true, &episodes, err);
    for (int i = 0; ok && i < n; i++) {
        char column[512];
        for (int k = 0; ok && k < STATS; k++) {
            snprintf(column, sizeof column, "stats/%.400s/%s", features[i]->disk_name, name_of(k));
            ok = take_column(f, column, episodes, out[i].dim, out[i].n, array_of(&out[i], k), err);
        }
        snprintf(column, sizeof column, "stats/%.400s/count", features[i]->disk_name);
        ok = ok && take_column(f, column, episodes, 1, out[i].n, out[i].count, err);
    }
    mem_free(episodes);
    parquet_close(f);
    return ok;
}

static bool take_tables(const Dataset *ds, const Feature *const *features, int n, EpisodeStats *out,
                        Error *err) {
    Arena arena = {0};
    Paths paths = {0};
    bool ok = tables_find(&arena, arena_printf(&arena, "%s/meta/episodes", ds->root), &paths, err);
    for (int i = 0; ok && i < paths.n; i++) ok = take_table(paths.items[i], features, n, out, err);
    arena_free(&arena);
    return ok;
}

// ---- v2.1 ---------------------------------------------------------------------------------------

static void take_numbers(const json_t *from, int width, double *out) {
    if (json_is_array(from) && json_array_size(from) != (size_t)width) return;
    for (int i = 0; i < width; i++) {
        const json_t *value = json_is_array(from) ? json_array_get(from, (size_t)i) : from;
        while (json_is_array(value)) value = json_array_get(value, 0); // a camera's: [[[x]], ...]
        if (json_is_number(value)) out[i] = json_number_value(value);
    }
}

static void take_line(const json_t *line, const Feature *const *features, int n,
                      EpisodeStats *out) {
    const json_t *index = json_object_get(line, "episode_index");
    int64_t e = json_integer_value(index);
    for (int i = 0; json_is_integer(index) && e >= 0 && i < n && e < out[i].n; i++) {
        const json_t *stats =
            json_object_get(json_object_get(line, "stats"), features[i]->disk_name);
        for (int k = 0; k < STATS; k++)
            take_numbers(json_object_get(stats, name_of(k)), out[i].dim,
                         array_of(&out[i], k) + e * out[i].dim);
        take_numbers(json_object_get(stats, "count"), 1, out[i].count + e);
    }
}

// Python writes NaN and Infinity, which are no JSON: a line with one says nothing.
static bool take_lines(const Dataset *ds, const Feature *const *features, int n, EpisodeStats *out,
                       Error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", ds->root, episode_stats_place(ds));
    JsonLines l = {.path = path};
    if (!file_exists(path)) return true;
    if (!json_lines_read(&l, err)) return false;
    while (l.at < l.size) {
        Error odd;
        json_t *line = NULL;
        if (json_lines_next(&l, &line, &odd) && line) take_line(line, features, n, out);
        json_decref(line);
    }
    mem_free(l.data);
    return true;
}

bool episode_stats_read(const Dataset *ds, const Feature *const *features, int n, EpisodeStats *out,
                        Error *err) {
    bool ok = true;
    memset(out, 0, sizeof *out * (size_t)n);
    for (int i = 0; ok && i < n; i++) ok = make_room(ds, features[i], &out[i], err);
    return ok && (is_v30(ds) ? take_tables(ds, features, n, out, err)
                             : take_lines(ds, features, n, out, err));
}
