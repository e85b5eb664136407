// SPDX-License-Identifier: Apache-2.0
// meta/tasks.parquet, meta/info.json.
#include "dataset/writer/writer_state.h"

#include "formats/json.h"
#include <string.h>

// ---- tasks ------------------------------------------------------------------------------------

// Says to pandas that column `task` is the table's index, which is where LeRobot looks for texts.
static const char pandas[] =
    "{\"index_columns\": [\"task\"], \"column_indexes\": [{\"name\": null, \"field_name\": null, "
    "\"pandas_type\": \"unicode\", \"numpy_type\": \"object\", \"metadata\": {\"encoding\": "
    "\"UTF-8\"}}], \"columns\": [{\"name\": \"task_index\", \"field_name\": \"task_index\", "
    "\"pandas_type\": \"int64\", \"numpy_type\": \"int64\", \"metadata\": null}, {\"name\": "
    "\"task\", \"field_name\": \"task\", \"pandas_type\": \"unicode\", \"numpy_type\": \"object\", "
    "\"metadata\": null}], \"creator\": {\"library\": \"tact\", \"version\": \"" TACT_VERSION
    "\"}, \"pandas_version\": \"2.0.0\"}";

static bool write_tasks(DatasetWriter *w, Error *err) {
    static const ParquetField fields[] = {{.name = "task_index", .type = PARQUET_I64},
                                          {.name = "task", .type = PARQUET_STRING}};
    static const char *const metadata[][2] = {{"pandas", pandas}};
    int64_t *index = arena_alloc(&w->arena, sizeof *index * (size_t)w->tasks.n);
    ParquetBytes *texts = arena_alloc(&w->arena, sizeof *texts * (size_t)w->tasks.n);
    for (int i = 0; i < w->tasks.n; i++) {
        index[i] = i; // LeRobot takes the row number for the task_index
        texts[i] = (ParquetBytes){(const uint8_t *)w->tasks.texts[i], strlen(w->tasks.texts[i])};
    }
    const ParquetValues values[] = {{index, NULL}, {texts, NULL}};
    const char *path = arena_printf(&w->arena, "%s/meta/tasks.parquet", w->temporary);
    ParquetWriter *writer = NULL;
    if (!parquet_writer_open(path, fields, 2, metadata, 1, &writer, err)) return false;
    if (!parquet_write_group(writer, w->tasks.n, values, err)) {
        parquet_writer_abort(writer);
        return false;
    }
    return parquet_writer_close(writer, err);
}

// ---- info.json --------------------------------------------------------------------------------

static json_t *strings_json(const char *const *items, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_bytes(items[i]));
    return list;
}

// LeRobot writes whole numbers of frames a second as integers.
static json_t *fps_json(const DatasetWriter *w) {
    int64_t whole = (int64_t)w->o.fps;
    return (double)whole == w->o.fps ? json_integer(whole) : json_real(w->o.fps);
}

static json_t *camera_json(const DatasetWriter *w, const WriterCamera *camera) {
    static const char *const axes[] = {"height", "width", "channels"};
    json_t *feature = json_object(), *shape = json_array();
    json_array_append_new(shape, json_integer(camera->height));
    json_array_append_new(shape, json_integer(camera->width));
    json_array_append_new(shape, json_integer(3));
    json_object_set_new(feature, "dtype", json_string(camera->in_parquet ? "image" : "video"));
    json_object_set_new(feature, "shape", shape);
    json_object_set_new(feature, "names", strings_json(axes, 3));
    if (camera->in_parquet) return feature;
    json_t *info = json_object();
    json_object_set_new(info, "video.height", json_integer(camera->height));
    json_object_set_new(info, "video.width", json_integer(camera->width));
    json_object_set_new(info, "video.codec", json_string("av1"));
    json_object_set_new(info, "video.pix_fmt", json_string("yuv420p"));
    json_object_set_new(info, "video.is_depth_map", json_false());
    json_object_set_new(info, "video.fps", fps_json(w));
    json_object_set_new(info, "video.channels", json_integer(3));
    json_object_set_new(info, "has_audio", json_false());
    json_object_set_new(info, "video.g", json_integer(WRITER_GOP));
    json_object_set_new(info, "video.crf", json_integer(WRITER_CRF));
    json_object_set_new(feature, "info", info);
    return feature;
}

static json_t *features_json(const DatasetWriter *w) {
    json_t *features = w->o.features ? json_deep_copy(w->o.features) : json_object();
    for (int i = 0; i < w->n_features; i++) {
        const WriterFeature *f = &w->features[i];
        if (json_object_get(features, f->name)) continue;
        json_t *feature = json_object(), *shape = json_array();
        json_array_append_new(shape, json_integer(f->dim));
        json_object_set_new(feature, "dtype", json_bytes(f->dtype));
        json_object_set_new(feature, "shape", shape);
        json_object_set_new(feature, "names",
                            f->names ? strings_json(f->names, f->dim) : json_null());
        json_object_set_new_nocheck(features, f->name, feature);
    }
    for (int c = 0; c < w->o.n_cameras; c++) {
        const WriterCamera *camera = &w->o.cameras[c];
        if (json_object_get(features, camera->name)) continue;
        json_object_set_new_nocheck(features, camera->name, camera_json(w, camera));
    }
    return features;
}

static json_t *splits_json(DatasetWriter *w) {
    const WriterSplit all = {"train", 0, w->n_episodes};
    const WriterSplit *splits = w->o.n_splits ? w->o.splits : &all;
    json_t *list = json_object();
    for (int i = 0; i < (w->o.n_splits ? w->o.n_splits : 1); i++) {
        const char *range = arena_printf(&w->arena, "%lld:%lld", (long long)splits[i].first,
                                         (long long)splits[i].end);
        json_object_set_new_nocheck(list, splits[i].name, json_string(range));
    }
    return list;
}

static bool write_info(DatasetWriter *w, Error *err) {
    json_t *root = json_object();
    bool videos = false;
    for (int c = 0; c < w->o.n_cameras; c++) videos = videos || !w->o.cameras[c].in_parquet;
    const char *robot = w->o.robot_type;
    json_object_set_new(root, "codebase_version", json_string("v3.0"));
    json_object_set_new(root, "fps", fps_json(w));
    json_object_set_new(root, "features", features_json(w));
    json_object_set_new(root, "total_episodes", json_integer(w->n_episodes));
    json_object_set_new(root, "total_frames", json_integer(w->rows));
    json_object_set_new(root, "total_tasks", json_integer(w->tasks.n));
    json_object_set_new(root, "chunks_size", json_integer(WRITER_CHUNK));
    json_object_set_new(root, "data_files_size_in_mb", json_integer(WRITER_DATA_MB));
    json_object_set_new(root, "video_files_size_in_mb", json_integer(WRITER_VIDEO_MB));
    json_object_set_new(root, "data_path",
                        json_string("data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"));
    json_object_set_new(
        root, "video_path",
        videos ? json_string("videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4")
               : json_null());
    json_object_set_new(root, "robot_type", json_bytes(robot));
    json_object_set_new(root, "splits", splits_json(w));
    const char *path = arena_printf(&w->arena, "%s/meta/info.json", w->temporary);
    bool ok = json_write(path, root, 4, err);
    json_decref(root);
    return ok;
}

bool writer_write_meta(DatasetWriter *w, Error *err) {
    return write_tasks(w, err) && writer_write_stats(w, err) && write_info(w, err);
}
