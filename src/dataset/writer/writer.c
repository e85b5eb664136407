// SPDX-License-Identifier: Apache-2.0
// Frames go straight to the data file (one row group an episode) and the video files; what the
// metadata needs is kept. All of it is below a temporary folder beside the root until the end.
#include "dataset/writer/writer_state.h"

#include "base/array.h"
#include "base/file.h"
#include "formats/image_codec.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIXEL_SAMPLE_STEP = 4 }; // every so many frames go into a camera's statistics

// ---- opening ----------------------------------------------------------------------------------

static const char *const *copy_names(Arena *a, const char *const *names, int n) {
    if (!names) return NULL;
    const char **copy = arena_alloc(a, sizeof *copy * (size_t)n);
    for (int i = 0; i < n; i++) copy[i] = arena_strdup(a, names[i]);
    return copy;
}

static void copy_options(DatasetWriter *w, const WriterOptions *o) {
    Arena *a = &w->arena;
    w->o = *o;
    if (o->robot_type) w->o.robot_type = arena_strdup(a, o->robot_type);
    w->o.state_names = copy_names(a, o->state_names, o->state_dim);
    w->o.action_names = copy_names(a, o->action_names, o->action_dim);
    WriterCamera *cameras = arena_alloc(a, sizeof *cameras * (size_t)o->n_cameras);
    for (int c = 0; c < o->n_cameras; c++) {
        cameras[c] = o->cameras[c];
        cameras[c].name = arena_strdup(a, o->cameras[c].name);
    }
    w->o.cameras = cameras;
    char *root = arena_strdup(a, o->root);
    for (size_t n = strlen(root); n > 1 && root[n - 1] == '/'; n--) root[n - 1] = 0;
    w->root = w->o.root = root;
    w->temporary = arena_printf(a, "%s.tmp.%ld", root, (long)getpid());
}

static void add_feature(DatasetWriter *w, const char *name, int dim, const char *const *names,
                        float **data) {
    if (dim <= 0) return;
    w->features[w->n_features++] = (WriterFeature){name, "float32", dim, names, data};
}

static void list_features(DatasetWriter *w) {
    add_feature(w, "observation.state", w->o.state_dim, w->o.state_names, &w->state);
    add_feature(w, "observation.environment_state", w->o.env_dim, NULL, &w->env);
    add_feature(w, "action", w->o.action_dim, w->o.action_names, &w->action);
    add_feature(w, "timestamp", 1, NULL, NULL);
    static const char *const counters[] = {"frame_index", "episode_index", "index", "task_index"};
    for (int i = 0; i < 4; i++)
        w->features[w->n_features++] = (WriterFeature){counters[i], "int64", 1, NULL, NULL};
}

static bool check_options(const WriterOptions *o, Error *err) {
    if (!o->root || !*o->root) return fail(err, "no folder given for the new dataset");
    if (o->fps <= 0) return fail(err, "%s: a dataset needs a frame rate above 0", o->root);
    if (o->state_dim < 0 || o->action_dim <= 0 || o->env_dim < 0 || o->n_cameras < 0)
        return fail(err, "%s: a dataset needs an action, and no size may be negative", o->root);
    for (int c = 0; c < o->n_cameras; c++) {
        const WriterCamera *camera = &o->cameras[c];
        if (strchr(camera->name, '/') || strstr(camera->name, "..") || camera->height <= 0 ||
            camera->width <= 0) {
            return fail(err,
                        "%s: camera '%.100s' of %dx%d cannot be written; it needs a size and a name"
                        " without '/'",
                        o->root, camera->name, camera->height, camera->width);
        }
    }
    if (file_exists(o->root) || dir_exists(o->root))
        return fail(err, "%s: already exists; remove it or choose another folder", o->root);
    return true;
}

// The columns of the data file: features, then image structs.
static bool open_data(DatasetWriter *w, Error *err) {
    int images = w->o.images_in_parquet ? w->o.n_cameras : 0;
    ParquetField *fields = NEW(ParquetField, w->n_features + 2 * images);
    int n = 0;
    for (int i = 0; i < w->n_features; i++) {
        const WriterFeature *f = &w->features[i];
        ParquetType type = strcmp(f->dtype, "int64") == 0 ? PARQUET_I64 : PARQUET_F32;
        fields[n++] = (ParquetField){.name = f->name, .type = type, .list = f->dim > 1};
    }
    for (int c = 0; c < images; c++) {
        const char *name = w->o.cameras[c].name;
        fields[n++] = (ParquetField){.name = name, .type = PARQUET_STRING, .member = "bytes"};
        fields[n++] = (ParquetField){.name = name, .type = PARQUET_STRING, .member = "path"};
    }
    char dir[4096], path[4200];
    snprintf(dir, sizeof dir, "%s/data/chunk-000", w->temporary);
    snprintf(path, sizeof path, "%s/file-000.parquet", dir);
    bool ok = make_dirs(dir, err) && parquet_writer_open(path, fields, n, NULL, 0, &w->data, err);
    mem_free(fields);
    return ok;
}

static bool open_videos(DatasetWriter *w, Error *err) {
    for (int c = 0; c < w->o.n_cameras && !w->o.images_in_parquet; c++) {
        const WriterCamera *camera = &w->o.cameras[c];
        char dir[4096], path[4200];
        snprintf(dir, sizeof dir, "%s/videos/%s/chunk-000", w->temporary, camera->name);
        snprintf(path, sizeof path, "%s/file-000.mp4", dir);
        if (!make_dirs(dir, err) ||
            !video_writer_open(path, NULL, camera->height, camera->width, w->o.fps, WRITER_GOP,
                               WRITER_CRF, &w->videos[c], err))
            return false;
    }
    return true;
}

bool dataset_writer_open(const WriterOptions *options, DatasetWriter **out, Error *err) {
    *out = NULL;
    if (!check_options(options, err)) return false;
    DatasetWriter *w = NEW(DatasetWriter, 1);
    copy_options(w, options);
    list_features(w);
    size_t cameras = (size_t)options->n_cameras;
    w->videos = arena_alloc(&w->arena, sizeof *w->videos * cameras);
    w->png = arena_alloc(&w->arena, sizeof *w->png * cameras);
    w->pixels = arena_alloc(&w->arena, sizeof *w->pixels * cameras);
    char meta[4096];
    snprintf(meta, sizeof meta, "%s/meta", w->temporary);
    if (strlen(w->temporary) > 3000) {
        fail(err, "%s: the path is too long", w->root);
    } else if (dir_exists(w->temporary)) {
        fail(err, "%s: left behind by another run; remove it", w->temporary);
        w->temporary = NULL; // not ours to remove
    } else if (make_dirs(meta, err) && open_data(w, err) && open_videos(w, err)) {
        *out = w;
        return true;
    }
    dataset_writer_abort(w);
    return false;
}

// ---- frames -----------------------------------------------------------------------------------

// Frames before the episode in progress.
static int64_t episode_start(const DatasetWriter *w) {
    if (w->n_episodes == 0) return 0;
    const WriterEpisode *last = &w->episodes[w->n_episodes - 1];
    return last->from + last->length;
}

// Makes room for one more row in all that is kept of rows.
static void reserve_row(DatasetWriter *w) {
    int64_t room = w->room;
    for (int i = 0; i < w->n_features; i++) {
        const WriterFeature *f = &w->features[i];
        if (!f->data) continue;
        room = w->room;
        *f->data = array_grow(NULL, *f->data, sizeof(float) * (size_t)f->dim, w->rows, &room, 1);
    }
    for (int c = 0; c < w->o.n_cameras && w->o.images_in_parquet; c++) {
        room = w->room;
        ARRAY_ROOM(w->png[c], w->rows, room, 1);
    }
    w->room = room;
}

static bool copy_row(DatasetWriter *w, const char *name, float *column, const float *values,
                     int dim, Error *err) {
    for (int j = 0; j < dim; j++) {
        column[w->rows * dim + j] = values[j];
        if (!isfinite(values[j])) {
            return fail(err, "%s: frame %lld: value %d of '%s' is %f and cannot be recorded",
                        w->root, (long long)w->rows, j, name, (double)values[j]);
        }
    }
    return true;
}

static bool add_image(DatasetWriter *w, int c, const uint8_t *rgb, Error *err) {
    const WriterCamera *camera = &w->o.cameras[c];
    if (w->rows % PIXEL_SAMPLE_STEP == 0)
        pixels_add(&w->pixels[c], rgb, camera->height, camera->width);
    if (!w->o.images_in_parquet) return video_writer_add(w->videos[c], rgb, err);
    Image image = {camera->height, camera->width, (uint8_t *)rgb};
    uint8_t *bytes;
    size_t size;
    if (!image_encode_png(&image, &bytes, &size, err)) return false;
    w->png[c][w->rows] = (ParquetBytes){bytes, size};
    return true;
}

bool dataset_writer_frame(DatasetWriter *w, const float *state, const float *env,
                          const float *action, const uint8_t *const *images, Error *err) {
    reserve_row(w);
    if (!copy_row(w, "observation.state", w->state, state, w->o.state_dim, err) ||
        !copy_row(w, "observation.environment_state", w->env, env, w->o.env_dim, err) ||
        !copy_row(w, "action", w->action, action, w->o.action_dim, err))
        return false;
    for (int c = 0; c < w->o.n_cameras; c++)
        if (!add_image(w, c, images[c], err)) return false;
    w->rows++;
    return true;
}

// ---- episodes ---------------------------------------------------------------------------------

double writer_value(const DatasetWriter *w, const WriterFeature *f, int64_t episode, int64_t row,
                    int j) {
    if (f->data) return (double)(*f->data)[row * f->dim + j];
    int64_t frame = row - w->episodes[episode].from;
    if (strcmp(f->name, "timestamp") == 0) return (double)(float)((double)frame / w->o.fps);
    if (strcmp(f->name, "frame_index") == 0) return (double)frame;
    if (strcmp(f->name, "episode_index") == 0) return (double)episode;
    if (strcmp(f->name, "task_index") == 0) return w->episodes[episode].task;
    return (double)row; // index
}

static int find_task(DatasetWriter *w, const char *task) {
    if (!task) task = "";
    for (int i = 0; i < w->n_tasks; i++)
        if (strcmp(w->tasks[i], task) == 0) return i;
    *ARRAY_ADD(w->tasks, w->n_tasks, w->tasks_room) = arena_strdup(&w->arena, task);
    return w->n_tasks - 1;
}

// Values of one feature over the newest episode, as the data file wants them.
static void feature_values(const DatasetWriter *w, const WriterFeature *f, Arena *a,
                           ParquetValues *out) {
    int64_t episode = w->n_episodes - 1;
    const WriterEpisode *e = &w->episodes[episode];
    if (f->data) {
        int64_t *offsets = arena_alloc(a, sizeof *offsets * (size_t)(e->length + 1));
        for (int64_t k = 0; k <= e->length; k++) offsets[k] = k * f->dim;
        *out = (ParquetValues){*f->data + e->from * f->dim, f->dim > 1 ? offsets : NULL};
        return;
    }
    bool integer = strcmp(f->dtype, "int64") == 0;
    int64_t *integers = arena_alloc(a, sizeof *integers * (size_t)e->length);
    float *reals = arena_alloc(a, sizeof *reals * (size_t)e->length);
    for (int64_t k = 0; k < e->length; k++) {
        double value = writer_value(w, f, episode, e->from + k, 0);
        if (integer)
            integers[k] = (int64_t)value;
        else
            reals[k] = (float)value;
    }
    *out = (ParquetValues){integer ? (const void *)integers : reals, NULL};
}

static bool write_rows(DatasetWriter *w, Error *err) {
    const WriterEpisode *e = &w->episodes[w->n_episodes - 1];
    int images = w->o.images_in_parquet ? w->o.n_cameras : 0;
    Arena a = {0};
    ParquetValues *values = arena_alloc(&a, sizeof *values * (size_t)(w->n_features + 2 * images));
    int n = 0;
    for (int i = 0; i < w->n_features; i++) feature_values(w, &w->features[i], &a, &values[n++]);
    for (int c = 0; c < images; c++) {
        ParquetBytes *paths = arena_alloc(&a, sizeof *paths * (size_t)e->length);
        for (int64_t k = 0; k < e->length; k++) {
            const char *path = arena_printf(&a, "frame-%06lld.png", (long long)k);
            paths[k] = (ParquetBytes){(const uint8_t *)path, strlen(path)};
        }
        values[n++] = (ParquetValues){w->png[c] + e->from, NULL};
        values[n++] = (ParquetValues){paths, NULL};
    }
    bool ok = parquet_write_group(w->data, e->length, values, err);
    arena_free(&a);
    return ok;
}

static void free_images(DatasetWriter *w, int64_t from) {
    for (int c = 0; c < w->o.n_cameras && w->o.images_in_parquet; c++) {
        // One past the last row: a frame that failed midway left its image there.
        for (int64_t r = from; r <= w->rows && r < w->room; r++) {
            mem_free((void *)w->png[c][r].data);
            w->png[c][r] = (ParquetBytes){0};
        }
    }
}

bool dataset_writer_episode(DatasetWriter *w, const char *task, Error *err) {
    int64_t from = episode_start(w);
    if (w->rows == from)
        return fail(err, "%s: episode %lld has no frames", w->root, (long long)w->n_episodes);
    const int task_number = find_task(w, task);
    *ARRAY_ADD(w->episodes, w->n_episodes, w->episodes_room) =
        (WriterEpisode){from, w->rows - from, task_number};
    bool ok = write_rows(w, err);
    free_images(w, from);
    return ok;
}

// ---- the end ----------------------------------------------------------------------------------

static bool write_rest_and_move(DatasetWriter *w, Error *err) {
    if (w->n_episodes == 0)
        return fail(err, "%s: not written: the dataset has no episodes", w->root);
    if (w->rows != episode_start(w))
        return fail(err, "%s: not written: the last episode was not ended", w->root);
    ParquetWriter *data = w->data;
    w->data = NULL;
    if (!parquet_writer_close(data, err)) return false;
    for (int c = 0; c < w->o.n_cameras; c++) {
        VideoWriter *video = w->videos[c];
        w->videos[c] = NULL;
        if (video && !video_writer_close(video, err)) return false;
    }
    if (!writer_write_episodes(w, err) || !writer_write_meta(w, err)) return false;
    char parent[4096];
    path_parent(parent, sizeof parent, w->root);
    if (file_exists(w->root) || dir_exists(w->root))
        return fail(err, "%s: appeared while the dataset was written; remove it and write again",
                    w->root);
    if (rename(w->temporary, w->root) != 0)
        return fail_errno(err, "%s: cannot be moved to %s", w->temporary, w->root);
    w->temporary = NULL;
    return sync_dir(parent, err);
}

bool dataset_writer_close(DatasetWriter *w, Error *err) {
    bool ok = write_rest_and_move(w, err);
    dataset_writer_abort(w);
    return ok;
}

void dataset_writer_abort(DatasetWriter *w) {
    if (!w) return;
    parquet_writer_abort(w->data);
    for (int c = 0; c < w->o.n_cameras; c++) video_writer_abort(w->videos[c]);
    free_images(w, 0);
    for (int c = 0; c < w->o.n_cameras; c++) mem_free(w->png[c]);
    mem_free(w->state);
    mem_free(w->env);
    mem_free(w->action);
    mem_free(w->episodes);
    mem_free(w->tasks);
    Error ignored; // nothing more can be done about a folder that will not go
    if (w->temporary && !remove_tree(w->temporary, &ignored)) w->temporary = NULL;
    arena_free(&w->arena);
    mem_free(w);
}
