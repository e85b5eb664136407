// SPDX-License-Identifier: Apache-2.0
// Datasets for the tests of this folder, and what the tests share.
#ifndef TACT_TESTS_DATASET_FIXTURE_H
#define TACT_TESTS_DATASET_FIXTURE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "dataset/dataset.h"
#include "dataset/frames.h"
#include "dataset/sample.h"
#include "formats/json.h"
#include "formats/parquet.h"
#include "formats/video.h"

#include "../ok.h" // last: cmocka defines `fail` as a macro

static inline void assert_within(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.12g is not %.12g", got, want);
}

// ---- places -----------------------------------------------------------------------------------

static inline char *at(Arena *a, const char *dir, const char *name) {
    return arena_printf(a, "%s/%s", dir, name);
}

static inline char *new_folder(Arena *a) {
    const char *tmp = getenv("TMPDIR");
    char *dir = arena_printf(a, "%s/tact-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

// Ends a test: removes its folder, and frees its fixture and what lies in the fixture's arena.
static inline int remove_fixture(void *fixture, Arena *arena, const char *dir) {
    Error err;
    bool removed = remove_tree(dir, &err);
    arena_free(arena);
    mem_free(fixture);
    return removed ? 0 : -1;
}

// A file or folder of the shared data, or the test is skipped.
static inline char *shared(Arena *a, const char *name) {
    const char *dir = getenv("TACT_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir && *dir ? dir : "../shared", name);
    if (!file_exists(path) && !dir_exists(path)) {
        print_message("skipped: %s is not there (set TACT_SHARED)\n", path);
        skip();
    }
    return arena_strdup(a, path);
}

// ---- opening ----------------------------------------------------------------------------------

static inline Dataset *open_all(const char *root) {
    Error err;
    Dataset *ds;
    OK(dataset_open(&(DatasetOptions){.root = root, .need_videos = true}, &ds, &err));
    return ds;
}

// The error is one clear line that has both texts in it.
static inline void assert_says(const Error *err, const char *first, const char *second) {
    if (!strstr(err->text, first) || !strstr(err->text, second))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err->text, first, second);
    assert_null(strchr(err->text, '\n'));
}

static inline void assert_refused(const DatasetOptions *o, const char *first, const char *second) {
    Error err = {""};
    Dataset *ds = (Dataset *)1;
    assert_false(dataset_open(o, &ds, &err));
    assert_null(ds);
    assert_says(&err, first, second);
}

static inline void assert_root_refused(const char *root, const char *first, const char *second) {
    assert_refused(&(DatasetOptions){.root = root, .need_videos = true}, first, second);
}

// ---- damage -----------------------------------------------------------------------------------

static inline void cut_file(const char *path, double keep) {
    char *data;
    size_t size;
    Error err;
    OK(file_read(path, &data, &size, &err));
    OK(file_write(path, data, (size_t)((double)size * keep), &err));
    mem_free(data);
}

static inline void flip_byte(const char *path, size_t offset) {
    char *data;
    size_t size;
    Error err;
    OK(file_read(path, &data, &size, &err));
    assert_true(offset < size);
    data[offset] ^= 0x55;
    OK(file_write(path, data, size, &err));
    mem_free(data);
}

// Sets a key of info.json, or removes it when value is NULL.
static inline void edit_info(const char *root, const char *key, json_t *value) {
    Arena a = {0};
    Error err;
    json_t *info;
    OK(json_read(at(&a, root, "meta/info.json"), &info, &err));
    if (value)
        json_object_set_new(info, key, value);
    else
        json_object_del(info, key);
    OK(json_write(at(&a, root, "meta/info.json"), info, 4, &err));
    json_decref(info);
    arena_free(&a);
}

// Sets a key of one feature.
static inline void edit_feature(const char *root, const char *feature, const char *key,
                                json_t *value) {
    Arena a = {0};
    Error err;
    json_t *info;
    OK(json_read(at(&a, root, "meta/info.json"), &info, &err));
    json_object_set_new(json_object_get(json_object_get(info, "features"), feature), key, value);
    OK(json_write(at(&a, root, "meta/info.json"), info, 4, &err));
    json_decref(info);
    arena_free(&a);
}

// ---- tables -----------------------------------------------------------------------------------

// A Parquet file of one row group.
static inline void write_parquet(const char *path, const ParquetField *fields, int n,
                                 const ParquetValues *values, int64_t rows) {
    Error err;
    ParquetWriter *w;
    OK(parquet_writer_open(path, fields, n, NULL, 0, &w, &err));
    OK(parquet_write_group(w, rows, values, &err));
    OK(parquet_writer_close(w, &err));
}

// ---- a tiny v3.0 dataset without cameras ------------------------------------------------------

// Three episodes of 4, 5 and 6 frames: 0 and 1 in data file 0, 2 in file 1; one file of episode
// metadata for 0, another for 1 and 2. state (2) as lists, action (1) as a flat column.
enum { TINY_EPISODES = 3, TINY_ROWS = 15, TINY_BAD_ROW = 6 };
static const int64_t tiny_from[TINY_EPISODES + 1] = {0, 4, 9, 15};

typedef enum TinyFault {
    TINY_GOOD,
    TINY_NAN,      // one state value
    TINY_INFINITE, // one action value
    TINY_RAGGED,   // one state row with a value too few
    TINY_WIDE,     // all state rows with a value too many
    TINY_INDEX,    // these columns wrong in one row
    TINY_EPISODE,
    TINY_FRAME,
    TINY_NO_STATE,    // the column is missing
    TINY_FEWER,       // those of frame numbers and times are
    TINY_LENGTH,      // episode 1 said to be a frame longer
    TINY_TEXT_ACTION, // action holds text
    TINY_STALE,       // the table of episodes names file 0 for all of them
} TinyFault;

static inline float tiny_state(int64_t row, int64_t j) {
    return (float)row + 0.125f * (float)j;
}

static inline float tiny_action(int64_t row) {
    return -(float)row;
}

static inline void tiny_data(const char *path, int64_t first, int64_t last, TinyFault fault,
                             bool f64) {
    int64_t frame[16], episode[16], index[16], task[16], offsets[16], n = last - first,
                                                                      at_value = 0;
    float action[16], time[16], narrow[64];
    double state[64];
    ParquetBytes texts[16];
    offsets[0] = 0;
    for (int64_t r = 0; r < n; r++) {
        int64_t row = first + r, e = row < tiny_from[1] ? 0 : row < tiny_from[2] ? 1 : 2;
        bool bad = row == TINY_BAD_ROW;
        int64_t width = fault == TINY_WIDE ? 3 : fault == TINY_RAGGED && bad ? 1 : 2;
        for (int64_t j = 0; j < width; j++) state[at_value++] = (double)tiny_state(row, j);
        if (fault == TINY_NAN && bad) state[at_value - 1] = (double)NAN;
        offsets[r + 1] = at_value;
        action[r] = fault == TINY_INFINITE && bad ? INFINITY : tiny_action(row);
        texts[r] = (ParquetBytes){(const uint8_t *)"x", 1};
        time[r] = (float)(row - tiny_from[e]) / 10;
        frame[r] = row - tiny_from[e] + (fault == TINY_FRAME && bad);
        episode[r] = e + (fault == TINY_EPISODE && bad);
        index[r] = row + (fault == TINY_INDEX && bad);
        task[r] = 0;
    }
    for (int64_t i = 0; i < at_value; i++) narrow[i] = (float)state[i];
    const ParquetField fields[] = {
        {.name = "action", .type = fault == TINY_TEXT_ACTION ? PARQUET_STRING : PARQUET_F32},
        {.name = fault == TINY_NO_STATE ? "other" : "observation.state",
         .type = f64 ? PARQUET_F64 : PARQUET_F32,
         .list = true},
        {.name = fault == TINY_FEWER ? "other time" : "timestamp", .type = PARQUET_F32},
        {.name = fault == TINY_FEWER ? "other number" : "frame_index", .type = PARQUET_I64},
        {.name = "episode_index", .type = PARQUET_I64},
        {.name = "index", .type = PARQUET_I64},
        {.name = "task_index", .type = PARQUET_I64},
    };
    const ParquetValues values[] = {
        {fault == TINY_TEXT_ACTION ? (const void *)texts : action, NULL},
        {f64 ? (const void *)state : narrow, offsets},
        {time, NULL},
        {frame, NULL},
        {episode, NULL},
        {index, NULL},
        {task, NULL},
    };
    write_parquet(path, fields, 7, values, n);
}

static inline void tiny_episodes(const char *path, int64_t first, int64_t last, TinyFault fault) {
    int64_t index[4], from[4], to[4], length[4], zero[4] = {0}, file[4], offsets[5] = {0},
                                                 n = last - first;
    ParquetBytes tasks[4];
    for (int64_t i = 0; i < n; i++) {
        int64_t e = first + i, longer = fault == TINY_LENGTH && e >= 1;
        index[i] = e;
        from[i] = tiny_from[e] + (longer && e > 1);
        to[i] = tiny_from[e + 1] + longer;
        length[i] = to[i] - from[i];
        file[i] = e == 2 && fault != TINY_STALE;
        offsets[i + 1] = i + 1;
        const char *task = e == 1 ? "second" : "first";
        tasks[i] = (ParquetBytes){(const uint8_t *)task, strlen(task)};
    }
    const ParquetField fields[] = {
        {.name = "tasks", .type = PARQUET_STRING, .list = true},
        {.name = "length", .type = PARQUET_I64},
        {.name = "episode_index", .type = PARQUET_I64},
        {.name = "dataset_from_index", .type = PARQUET_I64},
        {.name = "dataset_to_index", .type = PARQUET_I64},
        {.name = "data/chunk_index", .type = PARQUET_I64},
        {.name = "data/file_index", .type = PARQUET_I64},
    };
    const ParquetValues values[] = {
        {tasks, offsets}, {length, NULL}, {index, NULL}, {from, NULL},
        {to, NULL},       {zero, NULL},   {file, NULL},
    };
    write_parquet(path, fields, 7, values, n);
}

static inline void tiny_write(const char *root, TinyFault fault, bool f64) {
    Arena a = {0};
    Error err;
    OK(make_dirs(at(&a, root, "data/chunk-000"), &err));
    OK(make_dirs(at(&a, root, "meta/episodes/chunk-000"), &err));
    tiny_data(at(&a, root, "data/chunk-000/file-000.parquet"), 0, 9, fault, f64);
    tiny_data(at(&a, root, "data/chunk-000/file-001.parquet"), 9, 15, fault, f64);
    tiny_episodes(at(&a, root, "meta/episodes/chunk-000/file-000.parquet"), 0, 1, fault);
    tiny_episodes(at(&a, root, "meta/episodes/chunk-000/file-001.parquet"), 1, 3, fault);
    static const char info[] =
        "{\"codebase_version\": \"v3.0\", \"fps\": 10, \"features\": {"
        "\"observation.state\": {\"dtype\": \"float32\", \"shape\": [2], \"names\": [\"a\", "
        "\"b\"]},"
        "\"action\": {\"dtype\": \"float32\", \"shape\": [1], \"names\": null}}}";
    OK(file_write(at(&a, root, "meta/info.json"), info, sizeof info - 1, &err));
    arena_free(&a);
}

// ---- a v2.1 dataset ---------------------------------------------------------------------------

static inline void v21_data(const char *path, const Dataset *ds, const Episode *e) {
    int64_t n = e->length, *frame = NEW(int64_t, n), *episode = NEW(int64_t, n);
    int64_t *index = NEW(int64_t, n);
    int64_t *states = NEW(int64_t, n + 1), *actions = NEW(int64_t, n + 1);
    float *time = NEW(float, n);
    for (int64_t k = 0; k <= n; k++) {
        states[k] = k * ds->state->size;
        actions[k] = k * ds->action->size;
        if (k == n) break;
        frame[k] = k;
        index[k] = e->first_index + k;
        episode[k] = e->index;
        time[k] = (float)ds->timestamp[e->first_row + k];
    }
    const ParquetField fields[] = {
        {.name = "observation.state", .type = PARQUET_F32, .list = true},
        {.name = "action", .type = PARQUET_F32, .list = true},
        {.name = "timestamp", .type = PARQUET_F32},
        {.name = "frame_index", .type = PARQUET_I64},
        {.name = "episode_index", .type = PARQUET_I64},
        {.name = "index", .type = PARQUET_I64},
        {.name = "task_index", .type = PARQUET_I64},
    };
    const ParquetValues values[] = {
        {ds->state_data + e->first_row * ds->state->size, states},
        {ds->action_data + e->first_row * ds->action->size, actions},
        {time, NULL},
        {frame, NULL},
        {episode, NULL},
        {index, NULL},
        {episode, NULL},
    };
    write_parquet(path, fields, 7, values, n);
    mem_free(frame), mem_free(episode), mem_free(index), mem_free(states), mem_free(actions),
        mem_free(time);
}

static inline void v21_video(const char *path, const Dataset *ds, FrameReader *frames, int camera,
                             const Episode *e) {
    const Feature *f = ds->cameras[camera];
    uint8_t *rgb = mem_alloc((size_t)f->height * (size_t)f->width * 3);
    Error err;
    VideoWriter *w;
    OK(video_writer_open(path, NULL, f->height, f->width, (int)ds->fps, 2, 30, &w, &err));
    for (int64_t k = 0; k < e->length; k++) {
        OK(frames_read(frames, camera, e->first_row + k, rgb, &err));
        OK(video_writer_add(w, rgb, &err));
    }
    OK(video_writer_close(w, &err));
    mem_free(rgb);
}

// The v2.1 form of an open dataset with state, action and video cameras; chunks of two episodes.
static inline void v21_write(const char *root, const char *v30_root, const Dataset *ds) {
    Arena a = {0};
    Error err;
    FrameReader *frames;
    json_t *info;
    OK(frames_open(ds, 0, 0, &frames, &err));
    OK(make_dirs(at(&a, root, "meta"), &err));
    FILE *lines = fopen(at(&a, root, "meta/episodes.jsonl"), "w");
    assert_non_null(lines);
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        char *chunk = arena_printf(&a, "%s/data/chunk-%03d", root, (int)(i / 2));
        fprintf(lines, "{\"episode_index\": %d, \"tasks\": [\"%s\"], \"length\": %d}\n", (int)i,
                e->task, (int)e->length);
        OK(make_dirs(chunk, &err));
        v21_data(arena_printf(&a, "%s/episode_%06d.parquet", chunk, (int)i), ds, e);
        for (int c = 0; c < ds->n_cameras; c++) {
            chunk = arena_printf(&a, "%s/videos/chunk-%03d/%s", root, (int)(i / 2),
                                 ds->cameras[c]->name);
            OK(make_dirs(chunk, &err));
            v21_video(arena_printf(&a, "%s/episode_%06d.mp4", chunk, (int)i), ds, frames, c, e);
        }
    }
    assert_int_equal(fclose(lines), 0);
    frames_close(frames);
    OK(json_read(at(&a, v30_root, "meta/info.json"), &info, &err));
    json_object_set_new(info, "codebase_version", json_string("v2.1"));
    json_object_set_new(info, "chunks_size", json_integer(2));
    json_object_set_new(
        info, "data_path",
        json_string("data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"));
    json_object_set_new(info, "video_path",
                        json_string("videos/chunk-{episode_chunk:03d}/{video_key}/"
                                    "episode_{episode_index:06d}.mp4"));
    OK(json_write(at(&a, root, "meta/info.json"), info, 4, &err));
    json_decref(info);
    arena_free(&a);
}

#endif
