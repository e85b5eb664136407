// SPDX-License-Identifier: Apache-2.0
// Data files: one column a feature, and with images_in_parquet a struct {bytes, path} a camera.
#include "dataset/writer/writer_state.h"

#include "base/file.h"
#include <stdio.h>
#include <string.h>

static ParquetType column_type(const WriterFeature *f) {
    return strstr(f->dtype, "int")            ? PARQUET_I64 // LeRobot narrows what it reads
           : strcmp(f->dtype, "bool") == 0    ? PARQUET_BOOL
           : strcmp(f->dtype, "float64") == 0 ? PARQUET_F64
                                              : PARQUET_F32;
}

// A feature is a column of numbers, where it has one in each row, else of lists.
static ParquetField feature_field(const WriterFeature *f) {
    ParquetField field = {.name = f->name, .type = column_type(f), .list = f->dim > 1};
    if (f->rank > 1)
        field = (ParquetField){.name = f->name,
                               .type = field.type,
                               .list = true,
                               .inner = f->shape + 1,
                               .n_inner = f->rank - 1};
    return field;
}

void dataset_writer_path(const DatasetWriter *w, int camera, int64_t file, char *out, size_t size) {
    long long chunk = file / WRITER_CHUNK, number = file % WRITER_CHUNK;
    if (camera < 0)
        snprintf(out, size, "%s/data/chunk-%03lld/file-%03lld.parquet", w->temporary, chunk,
                 number);
    else
        snprintf(out, size, "%s/videos/%s/chunk-%03lld/file-%03lld.mp4", w->temporary,
                 w->o.cameras[camera].name, chunk, number);
}

bool dataset_writer_data_open(DatasetWriter *w, int64_t file, Error *err) {
    ParquetField *fields = NEW(ParquetField, w->n_features + 2 * w->o.n_cameras + w->o.n_texts);
    int n = 0;
    for (int i = 0; i < w->n_features; i++) fields[n++] = feature_field(&w->features[i]);
    for (int i = 0; i < w->o.n_texts; i++)
        fields[n++] = (ParquetField){.name = w->o.texts[i], .type = PARQUET_STRING};
    for (int c = 0; c < w->o.n_cameras; c++) {
        const char *name = w->o.cameras[c].name;
        if (!w->o.cameras[c].in_parquet) continue;
        fields[n++] = (ParquetField){.name = name, .type = PARQUET_STRING, .member = "bytes"};
        fields[n++] = (ParquetField){.name = name, .type = PARQUET_STRING, .member = "path"};
    }
    char dir[4300], path[4300];
    dataset_writer_path(w, -1, file, path, sizeof path);
    path_parent(dir, sizeof dir, path);
    bool ok = make_dirs(dir, err) && parquet_writer_open(path, fields, n, NULL, 0, &w->data, err);
    mem_free(fields);
    return ok;
}

// The type in which a column's values are handed to the file.
static const void *convert_values(Arena *a, ParquetType type, const double *values, size_t n) {
    if (type == PARQUET_F64) return values;
    if (type == PARQUET_I64) {
        int64_t *integers = arena_alloc(a, sizeof *integers * n);
        for (size_t i = 0; i < n; i++) integers[i] = (int64_t)values[i];
        return integers;
    }
    if (type == PARQUET_BOOL) {
        uint8_t *flags = arena_alloc(a, n);
        for (size_t i = 0; i < n; i++) flags[i] = values[i] != 0;
        return flags;
    }
    float *reals = arena_alloc(a, sizeof *reals * n);
    for (size_t i = 0; i < n; i++) reals[i] = (float)values[i];
    return reals;
}

// Values of one feature at n rows of an episode, as the data file wants them.
static ParquetValues feature_values(const DatasetWriter *w, const WriterFeature *f, int64_t episode,
                                    int64_t first, int64_t n, Arena *a) {
    int64_t row = w->episodes[episode].from + first;
    const double *values = f->values ? f->values + row * f->dim : NULL;
    int64_t *offsets = NULL;
    if (f->counter) {
        double *counted = arena_alloc(a, sizeof *counted * (size_t)n);
        for (int64_t k = 0; k < n; k++) counted[k] = writer_value(w, f, episode, row + k, 0);
        values = counted;
    } else if (f->dim > 1 || f->rank > 1) {
        offsets = arena_alloc(a, sizeof *offsets * (size_t)(n + 1));
        for (int64_t k = 0; k <= n; k++) offsets[k] = k * f->dim;
    }
    return (ParquetValues){convert_values(a, column_type(f), values, (size_t)(n * f->dim)),
                           offsets};
}

// The ending that a file's first bytes ask for.
static const char *image_ending(const ParquetBytes *file) {
    static const struct {
        const char *begin, *ending;
    } kinds[] = {{"\xff\xd8", "jpg"}, {"RIFF", "webp"}, {"II*", "tiff"}, {"MM", "tiff"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i].begin);
        if (file->size > n && memcmp(file->data, kinds[i].begin, n) == 0) return kinds[i].ending;
    }
    return "png";
}

static const ParquetBytes *image_paths(const ParquetBytes *files, int64_t first, int64_t n,
                                       Arena *a) {
    ParquetBytes *paths = arena_alloc(a, sizeof *paths * (size_t)n);
    for (int64_t k = 0; k < n; k++) {
        const char *path =
            arena_printf(a, "frame-%06lld.%s", (long long)(first + k), image_ending(&files[k]));
        paths[k] = (ParquetBytes){(const uint8_t *)path, strlen(path)};
    }
    return paths;
}

bool dataset_writer_data_rows(DatasetWriter *w, int64_t episode, int64_t first, int64_t n,
                              const ParquetBytes *const *bytes, Error *err) {
    int cameras = w->o.n_cameras;
    Arena a = {0};
    ParquetValues *values =
        arena_alloc(&a, sizeof *values * (size_t)(w->n_features + 2 * cameras + w->o.n_texts));
    int at = 0;
    for (int i = 0; i < w->n_features; i++)
        values[at++] = feature_values(w, &w->features[i], episode, first, n, &a);
    for (int i = 0; i < w->o.n_texts; i++) values[at++] = (ParquetValues){bytes[cameras + i], NULL};
    for (int c = 0; c < cameras; c++) {
        if (!w->o.cameras[c].in_parquet) continue;
        values[at++] = (ParquetValues){bytes[c], NULL};
        values[at++] = (ParquetValues){image_paths(bytes[c], first, n, &a), NULL};
    }
    bool ok = parquet_write_group(w->data, n, values, err);
    arena_free(&a);
    return ok;
}

bool dataset_writer_data_close(DatasetWriter *w, Error *err) {
    ParquetWriter *data = w->data;
    w->data = NULL;
    return parquet_writer_close(data, err);
}
