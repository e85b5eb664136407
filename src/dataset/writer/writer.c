// SPDX-License-Identifier: Apache-2.0
// Frames go straight to the data file (one row group an episode) and the video files; what the
// metadata needs is kept. All of it is below a temporary folder beside the root until the end.
#include "dataset/writer/writer_state.h"

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "formats/image_codec.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    WriterCamera *cameras = arena_alloc(a, sizeof *cameras * (size_t)o->n_cameras);
    for (int c = 0; c < o->n_cameras; c++) {
        cameras[c] = o->cameras[c];
        cameras[c].name = arena_strdup(a, o->cameras[c].name);
        cameras[c].in_parquet = o->images_in_parquet || o->cameras[c].in_parquet;
    }
    w->o.cameras = cameras;
    w->o.texts = copy_names(a, o->texts, o->n_texts);
    WriterSplit *splits = arena_alloc(a, sizeof *splits * (size_t)(o->n_splits + 1));
    for (int i = 0; i < o->n_splits; i++) {
        splits[i] = o->splits[i];
        splits[i].name = arena_strdup(a, o->splits[i].name);
    }
    w->o.splits = splits;
    char *root = arena_strdup(a, o->root);
    for (size_t n = strlen(root); n > 1 && root[n - 1] == '/'; n--) root[n - 1] = 0;
    w->root = w->o.root = root;
    w->temporary = o->folder ? arena_strdup(a, o->folder)
                             : arena_printf(a, "%s.tmp.%ld", root, (long)getpid());
}

static WriterFeature *new_feature(DatasetWriter *w, const char *name, const char *dtype, int dim) {
    WriterFeature *f = &w->features[w->n_features++];
    int64_t *shape = arena_alloc(&w->arena, sizeof *shape);
    *shape = dim;
    *f = (WriterFeature){.name = arena_strdup(&w->arena, name),
                         .dtype = arena_strdup(&w->arena, dtype),
                         .dim = dim,
                         .rank = 1,
                         .shape = shape};
    return f;
}

static void add_vector(DatasetWriter *w, const WriterVector *v) {
    if (v->dim <= 0) return;
    WriterFeature *f = new_feature(w, v->name, v->dtype ? v->dtype : "float32", v->dim);
    f->names = copy_names(&w->arena, v->names, v->dim);
    if (v->shape) {
        int64_t *shape = arena_alloc(&w->arena, sizeof *shape * (size_t)v->rank);
        memcpy(shape, v->shape, sizeof *shape * (size_t)v->rank);
        f->rank = v->rank;
        f->shape = shape;
    }
    w->n_vectors++;
}

static const char *const counters[] = {"timestamp", "frame_index", "episode_index", "index",
                                       "task_index"};
enum { COUNTERS = sizeof counters / sizeof *counters };

static void list_features(DatasetWriter *w) {
    const WriterOptions *o = &w->o;
    size_t room = (size_t)(3 + o->n_extras + COUNTERS);
    w->features = arena_alloc(&w->arena, sizeof *w->features * room);
    const WriterVector usual[] = {
        {"observation.state", o->state_dtype, o->state_dim, o->state_names, NULL, 0},
        {"observation.environment_state", o->env_dtype, o->env_dim, o->env_names, NULL, 0},
        {"action", o->action_dtype, o->action_dim, o->action_names, NULL, 0}};
    for (int i = 0; i < 3; i++) add_vector(w, &usual[i]);
    for (int i = 0; i < o->n_extras; i++) add_vector(w, &o->extras[i]);
    for (int i = 0; i < COUNTERS; i++)
        new_feature(w, counters[i], i == 0 ? "float32" : "int64", 1)->counter = true;
}

static bool is_number(const char *dtype) {
    static const char *const types[] = {"float16", "int8",   "int16",  "int32",  "int64",
                                        "uint8",   "uint16", "uint32", "uint64", "bool"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], dtype) == 0) return true;
    return false;
}

static bool is_float(const char *dtype) {
    return !dtype || strcmp(dtype, "float32") == 0 || strcmp(dtype, "float64") == 0;
}

static bool is_taken(const WriterOptions *o, const char *name, int extras) {
    static const char *const own[] = {"observation.state", "observation.environment_state",
                                      "action", "task"};
    for (size_t i = 0; i < sizeof own / sizeof *own && !o->features; i++)
        if (strcmp(own[i], name) == 0) return true;
    for (int i = 0; i < COUNTERS; i++)
        if (strcmp(counters[i], name) == 0) return true;
    for (int i = 0; i < extras; i++)
        if (strcmp(o->extras[i].name, name) == 0) return true;
    return false;
}

// Whether a camera has the name of another, or of any other feature.
static bool camera_is_taken(const WriterOptions *o, int camera) {
    const char *name = o->cameras[camera].name;
    for (int c = 0; c < camera; c++)
        if (strcmp(o->cameras[c].name, name) == 0) return true;
    for (int i = 0; i < o->n_texts; i++)
        if (strcmp(o->texts[i], name) == 0) return true;
    return is_taken(o, name, o->n_extras);
}

static bool check_extras(const WriterOptions *o, Error *err) {
    if (!is_float(o->state_dtype) || !is_float(o->action_dtype) || !is_float(o->env_dtype))
        return fail(err, "%s: vectors are written as float32 or float64", o->root);
    for (int i = 0; i < o->n_extras; i++) {
        const WriterVector *v = &o->extras[i];
        if (v->dim <= 0 || !v->dtype || strchr(v->name, '/') || is_taken(o, v->name, i) ||
            !(is_float(v->dtype) || (o->features && is_number(v->dtype)))) {
            return fail(err,
                        "%s: feature '%.100s' cannot be written; it needs a name of its own "
                        "without '/', values, and type float32 or float64",
                        o->root, v->name);
        }
    }
    return true;
}

static bool check_options(const WriterOptions *o, Error *err) {
    if (!o->root || !*o->root) return fail(err, "no folder given for the new dataset");
    if (!(o->fps > 0 && o->fps <= VIDEO_MAX_FPS))
        return fail(err, "%s: a dataset needs a frame rate above 0", o->root);
    if (o->state_dim < 0 || (o->action_dim <= 0 && !o->features) || o->env_dim < 0 ||
        o->n_cameras < 0)
        return fail(err, "%s: a dataset needs an action, and no size may be negative", o->root);
    for (int c = 0; c < o->n_cameras; c++) {
        const WriterCamera *camera = &o->cameras[c];
        if (strchr(camera->name, '/') || strstr(camera->name, "..") || camera->height <= 0 ||
            camera->width <= 0 || camera_is_taken(o, c)) {
            return fail(err,
                        "%s: camera '%.100s' of %dx%d cannot be written; it needs a size and a name"
                        " of its own without '/'",
                        o->root, camera->name, camera->height, camera->width);
        }
    }
    if (!check_extras(o, err)) return false;
    PathKind there;
    if (!path_look(o->root, &there, err)) return false;
    if (there == AT_FILE || there == AT_DIR)
        return fail(err, "%s: already exists; remove it or choose another folder", o->root);
    return true;
}

static bool open_videos(DatasetWriter *w, Error *err) {
    for (int c = 0; c < w->o.n_cameras; c++) {
        const WriterCamera *camera = &w->o.cameras[c];
        if (camera->in_parquet) continue;
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
    w->counting = arena_alloc(&w->arena, sizeof *w->counting * cameras);
    w->camera_stats = arena_alloc(&w->arena, sizeof *w->camera_stats * cameras);
    char meta[4096];
    snprintf(meta, sizeof meta, "%s/meta", w->temporary);
    if (strlen(w->temporary) > 3000) {
        fail(err, "%s: the path is too long", w->root);
    } else if (!options->folder && dir_exists(w->temporary)) {
        fail(err, "%s: left behind by another run; remove it", w->temporary);
        w->temporary = NULL; // not ours to remove
    } else if (make_dirs(meta, err) &&
               (options->folder || (dataset_writer_data_open(w, 0, err) && open_videos(w, err)))) {
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

// Makes room for more rows in all that is kept of rows.
static void reserve_rows(DatasetWriter *w, int64_t more) {
    int64_t room = w->room;
    for (int i = 0; i < w->n_vectors; i++) {
        WriterFeature *f = &w->features[i];
        room = w->room;
        f->values =
            array_grow(NULL, f->values, sizeof(double) * (size_t)f->dim, w->rows, &room, more);
    }
    for (int c = 0; c < w->o.n_cameras && !w->o.folder; c++) {
        if (!w->o.cameras[c].in_parquet) continue;
        room = w->room;
        ARRAY_ROOM(w->png[c], w->rows, room, more);
    }
    w->room = room;
}

static bool check_value(const DatasetWriter *w, const WriterFeature *f, int64_t row, int j,
                        Error *err) {
    double value = f->values[row * f->dim + j];
    return isfinite(value) || w->o.features ||
           fail(err, "%s: frame %lld: value %d of '%s' is %f and cannot be recorded", w->root,
                (long long)row, j, f->name, value);
}

static bool copy_row(DatasetWriter *w, const char *name, const float *values, Error *err) {
    for (int i = 0; i < w->n_vectors; i++) {
        const WriterFeature *f = &w->features[i];
        if (strcmp(f->name, name) != 0) continue;
        for (int j = 0; j < f->dim; j++) {
            f->values[w->rows * f->dim + j] = (double)values[j];
            if (!check_value(w, f, w->rows, j, err)) return false;
        }
    }
    return true;
}

static bool add_image(DatasetWriter *w, int c, const uint8_t *rgb, Error *err) {
    const WriterCamera *camera = &w->o.cameras[c];
    if ((w->rows - episode_start(w)) % WRITER_PIXEL_STEP == 0)
        pixels_add(&w->counting[c], rgb, camera->height, camera->width);
    if (!camera->in_parquet) return video_writer_add(w->videos[c], rgb, err);
    Image image = {camera->height, camera->width, (uint8_t *)rgb};
    uint8_t *bytes;
    size_t size;
    if (!image_encode_png(&image, &bytes, &size, err)) return false;
    w->png[c][w->rows] = (ParquetBytes){bytes, size};
    return true;
}

bool dataset_writer_frame(DatasetWriter *w, const float *state, const float *env,
                          const float *action, const uint8_t *const *images, Error *err) {
    reserve_rows(w, 1);
    if (!copy_row(w, "observation.state", state, err) ||
        !copy_row(w, "observation.environment_state", env, err) ||
        !copy_row(w, "action", action, err))
        return false;
    for (int c = 0; c < w->o.n_cameras; c++)
        if (!add_image(w, c, images[c], err)) return false;
    w->rows++;
    return true;
}

// ---- episodes ---------------------------------------------------------------------------------

double writer_value(const DatasetWriter *w, const WriterFeature *f, int64_t episode, int64_t row,
                    int j) {
    if (f->values) {
        double value = f->values[row * f->dim + j];
        return strcmp(f->dtype, "float32") == 0 ? (double)(float)value : value;
    }
    const WriterEpisode *e = &w->episodes[episode];
    int64_t frame = row - e->from;
    if (strcmp(f->name, "timestamp") == 0)
        return (double)(float)(e->timestamps ? e->timestamps[frame] : (double)frame / w->o.fps);
    if (strcmp(f->name, "frame_index") == 0) return (double)frame;
    if (strcmp(f->name, "episode_index") == 0) return (double)episode;
    if (strcmp(f->name, "task_index") == 0) return e->row_tasks ? e->row_tasks[frame] : e->tasks[0];
    return (double)row; // index
}

// Lists the task of a row among those of its episode; returns its number.
static int episode_task(DatasetWriter *w, WriterEpisode *e, const char *text) {
    const int task = text_set_add(&w->tasks, &w->arena, text, strlen(text));
    for (int k = 0; k < e->n_tasks; k++)
        if (e->tasks[k] == task) return task;
    int *tasks = arena_alloc(&w->arena, sizeof *tasks * (size_t)(e->n_tasks + 1));
    for (int k = 0; k < e->n_tasks; k++) tasks[k] = e->tasks[k];
    tasks[e->n_tasks++] = task;
    e->tasks = tasks;
    return task;
}

static WriterEpisode *add_episode(DatasetWriter *w, int64_t from) {
    size_t n = 1 + (size_t)w->o.n_cameras;
    WriterEpisode *e = ARRAY_ADD(w->episodes, w->n_episodes, w->episodes_room);
    *e = (WriterEpisode){.from = from, .length = w->rows - from};
    e->places = arena_alloc(&w->arena, sizeof *e->places * n);
    e->cameras = arena_alloc(&w->arena, sizeof *e->cameras * n);
    // Of frames that come one by one everything lies in file 0.
    for (size_t i = 0; i < n; i++)
        e->places[i] = (WriterPlace){0, (double)from / w->o.fps, (double)w->rows / w->o.fps};
    return e;
}

static void free_images(DatasetWriter *w, int64_t from) {
    for (int c = 0; c < w->o.n_cameras && !w->o.folder; c++) {
        if (!w->o.cameras[c].in_parquet) continue;
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
    episode_task(w, add_episode(w, from), task ? task : "");
    writer_end_pixels(w, w->n_episodes - 1);
    const ParquetBytes **images = NEW(const ParquetBytes *, w->o.n_cameras + 1);
    for (int c = 0; c < w->o.n_cameras; c++)
        if (w->o.cameras[c].in_parquet) images[c] = w->png[c] + from;
    bool ok = dataset_writer_data_rows(w, w->n_episodes - 1, 0, w->rows - from, images, err);
    mem_free(images);
    free_images(w, from);
    return ok;
}

static bool all_float32(const double *values, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if ((double)(float)values[i] != values[i]) return false;
    return true;
}

static bool take_rows(DatasetWriter *w, int64_t length, const double *const *values, Error *err) {
    if (length < 1)
        return fail(err, "%s: episode %lld has no frames", w->root, (long long)w->n_episodes);
    reserve_rows(w, length);
    for (int i = 0; i < w->n_vectors; i++) {
        WriterFeature *f = &w->features[i];
        memcpy(f->values + w->rows * f->dim, values[i], sizeof(double) * (size_t)(length * f->dim));
        for (int64_t k = 0; k < length * f->dim; k++)
            if (!check_value(w, f, w->rows + k / f->dim, (int)(k % f->dim), err)) return false;
        if (!w->o.features && !all_float32(values[i], length * f->dim)) f->dtype = "float64";
    }
    w->rows += length;
    return true;
}

bool dataset_writer_rows(DatasetWriter *w, int64_t length, const double *const *values,
                         const char *task, Error *err) {
    if (!take_rows(w, length, values, err)) return false;
    episode_task(w, add_episode(w, w->rows - length), task ? task : "");
    return true;
}

bool dataset_writer_rows_of(DatasetWriter *w, int64_t length, const double *const *values,
                            const double *timestamps, const char *const *tasks, Error *err) {
    if (!take_rows(w, length, values, err)) return false;
    WriterEpisode *e = add_episode(w, w->rows - length);
    if (timestamps) {
        e->timestamps = arena_alloc(&w->arena, sizeof *timestamps * (size_t)length);
        memcpy(e->timestamps, timestamps, sizeof *timestamps * (size_t)length);
    }
    if (tasks) e->row_tasks = arena_alloc(&w->arena, sizeof *e->row_tasks * (size_t)length);
    for (int64_t k = 0; k < length && tasks; k++) e->row_tasks[k] = episode_task(w, e, tasks[k]);
    if (!tasks) episode_task(w, e, "");
    return true;
}

void dataset_writer_place(DatasetWriter *w, int64_t episode, int camera, int64_t file,
                          int64_t frame) {
    int64_t end = frame + w->episodes[episode].length;
    dataset_writer_place_times(w, episode, camera, file, (double)frame / w->o.fps,
                               (double)end / w->o.fps);
}

void dataset_writer_place_times(DatasetWriter *w, int64_t episode, int camera, int64_t file,
                                double from, double to) {
    w->episodes[episode].places[1 + camera] = (WriterPlace){file, from, to};
}

// ---- the end ----------------------------------------------------------------------------------

static bool write_rest_and_move(DatasetWriter *w, Error *err) {
    if (w->n_episodes == 0)
        return fail(err, "%s: not written: the dataset has no episodes", w->root);
    if (w->rows != episode_start(w))
        return fail(err, "%s: not written: the last episode was not ended", w->root);
    if (w->data && !dataset_writer_data_close(w, err)) return false;
    for (int c = 0; c < w->o.n_cameras; c++) {
        VideoWriter *video = w->videos[c];
        w->videos[c] = NULL;
        if (video && !video_writer_close(video, err)) return false;
    }
    if (!writer_write_episodes(w, err) || !writer_write_meta(w, err) ||
        (w->o.inspect && !w->o.inspect(w->o.user, w->temporary, err)))
        return false;
    char parent[4096];
    path_parent(parent, sizeof parent, w->root);
    PathKind there;
    if (!path_look(w->root, &there, err)) return false;
    if (there == AT_FILE || there == AT_DIR)
        return fail(err, "%s: appeared while the dataset was written; remove it and write again",
                    w->root);
    if (rename(w->temporary, w->root) != 0)
        return fail_errno(err, "%s: cannot be moved to %s", w->temporary, w->root);
    w->temporary = NULL;
    Error why; // no reason to leave behind what it was made of
    if (!sync_dir(parent, &why))
        log_warn("%s; the dataset is whole, but a power cut may still lose it", why.text);
    return true;
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
    for (int c = 0; c < w->o.n_cameras; c++) {
        mem_free(w->png[c]);
        json_decref(w->camera_stats[c]);
    }
    for (int i = 0; i < w->n_vectors; i++) mem_free(w->features[i].values);
    mem_free(w->episodes);
    Error ignored; // nothing more can be done about a folder that will not go
    if (w->temporary && !w->o.folder && !remove_tree(w->temporary, &ignored)) w->temporary = NULL;
    arena_free(&w->arena);
    mem_free(w);
}
