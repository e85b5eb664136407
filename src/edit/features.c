// SPDX-License-Identifier: Apache-2.0
#include "edit/features.h"

#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>

static const Feature *find_feature(const Dataset *ds, const char *name) {
    for (int i = 0; i < ds->n_features; i++)
        if (strcmp(ds->features[i].name, name) == 0) return &ds->features[i];
    return NULL;
}

const char *feature_on_disk(const Dataset *ds, const char *name) {
    const Feature *f = find_feature(ds, name);
    return f ? f->disk_name : name;
}

int camera_position(const Dataset *ds, const char *name) {
    for (int c = 0; c < ds->n_cameras; c++)
        if (strcmp(ds->cameras[c]->name, name) == 0) return c;
    return -1;
}

// ---- which features go along --------------------------------------------------------------------

// Columns that count rows; the writer makes them.
static bool is_counter(const char *name) {
    static const char *const counters[] = {"timestamp", "frame_index", "episode_index", "index",
                                           "task_index"};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        if (strcmp(counters[i], name) == 0) return true;
    return false;
}

static bool is_removed(const EditOptions *o, const char *name) {
    for (int i = 0; i < o->n_removed; i++)
        if (strcmp(o->removed[i], name) == 0) return true;
    return false;
}

static bool check_removed(const EditOptions *o, Error *err) {
    const Dataset *ds = o->sources[0];
    for (int i = 0; i < o->n_removed; i++) {
        if (is_counter(o->removed[i]))
            return fail(err, "--remove_features: every dataset has '%s'", o->removed[i]);
        if (!find_feature(ds, o->removed[i]))
            return fail(err, "--remove_features: %s has no feature '%.100s'", ds->root,
                        o->removed[i]);
    }
    return true;
}

static bool is_number_type(const char *dtype) {
    static const char *const types[] = {"float16", "float32", "float64", "bool",
                                        "int8",    "int16",   "int32",   "int64",
                                        "uint8",   "uint16",  "uint32",  "uint64"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i], dtype) == 0) return true;
    return false;
}

static bool add_feature(EditFeatures *to, const Dataset *ds, const Feature *f, Error *err) {
    if (is_counter(f->name)) return true;
    if (f->kind == FEATURE_VISUAL) {
        to->camera_of[to->n_cameras] = camera_position(ds, f->name);
        to->cameras[to->n_cameras++] = (WriterCamera){
            .name = f->name, .height = f->height, .width = f->width, .in_parquet = !f->video};
        return true;
    }
    if (strcmp(f->dtype, "string") == 0 && f->size == 1) {
        to->texts[to->n_texts++] = f->name;
        return true;
    }
    if (is_number_type(f->dtype) && f->size > 0 && f->size <= INT32_MAX) {
        WriterVector *v = &to->vectors[to->n_vectors++];
        *v = (WriterVector){.name = f->name, .dtype = f->dtype, .dim = (int)f->size};
        if (f->rank > 1) v->shape = f->shape, v->rank = f->rank;
        return true;
    }
    return fail(err,
                "%s/meta/info.json: feature '%s' has dtype '%.40s', which cannot be copied; leave "
                "it out with --remove_features=%s",
                ds->root, f->name, f->dtype, f->name);
}

// ---- what info.json says of them ----------------------------------------------------------------

// Puts the size that a camera's frames have in the place of a wrong one.
static void correct_shape(json_t *feature, const Feature *f) {
    json_t *shape = json_object_get(feature, "shape");
    if (f->kind != FEATURE_VISUAL || f->depth || json_array_size(shape) != 3) return;
    bool first = json_integer_value(json_array_get(shape, 0)) == f->channels &&
                 json_integer_value(json_array_get(shape, 2)) != f->channels;
    json_array_set_new(shape, first ? 1 : 0, json_integer(f->height));
    json_array_set_new(shape, first ? 2 : 1, json_integer(f->width));
}

bool edit_info(const Dataset *ds, json_t **out, Error *err) {
    char path[4200];
    snprintf(path, sizeof path, "%s/meta/info.json", ds->root);
    return json_read_python(path, out, err);
}

static bool describe_features(const EditOptions *o, EditFeatures *to, Error *err) {
    const Dataset *ds = o->sources[0];
    json_t *info = NULL;
    if (!edit_info(ds, &info, err)) return false;
    const json_t *features = json_object_get(info, "features");
    for (int i = 0; i < ds->n_features; i++) {
        const Feature *f = &ds->features[i];
        if (is_removed(o, f->name)) continue;
        json_t *feature = json_deep_copy(json_object_get(features, f->disk_name));
        correct_shape(feature, f);
        json_object_set_new_nocheck(to->json, f->name, feature);
    }
    json_decref(info);
    return true;
}

bool features_make(const EditOptions *o, EditFeatures *out, Error *err) {
    const Dataset *ds = o->sources[0];
    size_t n = (size_t)ds->n_features + 1;
    *out = (EditFeatures){.json = json_object()};
    out->vectors = arena_alloc(&out->arena, sizeof *out->vectors * n);
    out->texts = arena_alloc(&out->arena, sizeof *out->texts * n);
    out->cameras = arena_alloc(&out->arena, sizeof *out->cameras * n);
    out->camera_of = arena_alloc(&out->arena, sizeof *out->camera_of * n);
    bool ok = check_removed(o, err);
    for (int i = 0; ok && i < ds->n_features; i++)
        if (!is_removed(o, ds->features[i].name)) ok = add_feature(out, ds, &ds->features[i], err);
    if (ok && out->n_cameras > EDIT_MAX_CAMERAS)
        ok = fail(err, "%s: has %d cameras; at most %d can be edited", ds->root, out->n_cameras,
                  EDIT_MAX_CAMERAS);
    ok = ok && describe_features(o, out, err);
    if (!ok) features_free(out);
    return ok;
}

void features_free(EditFeatures *f) {
    json_decref(f->json);
    arena_free(&f->arena);
    *f = (EditFeatures){0};
}

// ---- whether datasets go together ---------------------------------------------------------------

static bool same_shape(const Feature *a, const Feature *b) {
    if (a->kind == FEATURE_VISUAL && !a->depth && !b->depth)
        return a->height == b->height && a->width == b->width && a->channels == b->channels;
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

// Two names for one value: a gripper of one arm would be taken for another's.
static bool same_names(const Feature *a, const Feature *b) {
    if (!a->n_names || !b->n_names) return true;
    if (a->n_names != b->n_names) return false;
    for (int i = 0; i < a->n_names; i++)
        if (strcmp(a->names[i], b->names[i]) != 0) return false;
    return true;
}

static bool check_feature(const Dataset *a, const Dataset *b, const Feature *f, Error *err) {
    const Feature *g = find_feature(b, f->name);
    if (is_counter(f->name)) return true;
    if (!g)
        return fail(err,
                    "%s: has no feature '%s', which %s has; leave it out of that one first, or "
                    "rename one",
                    b->root, f->name, a->root);
    if (strcmp(f->dtype, g->dtype) != 0)
        return fail(err, "%s: feature '%s' has dtype '%.40s', and in %s '%.40s'", b->root, f->name,
                    g->dtype, a->root, f->dtype);
    if (!same_shape(f, g))
        return fail(err, "%s: feature '%s' has another shape than in %s", b->root, f->name,
                    a->root);
    if (f->depth != g->depth)
        return fail(err, "%s: feature '%s' is %s, and in %s %s", b->root, f->name,
                    g->depth ? "a depth map" : "no depth map", a->root,
                    f->depth ? "it is one" : "it is not");
    return (f->kind == FEATURE_VISUAL || same_names(f, g)) ||
           fail(err, "%s: the values of '%s' have other names than in %s", b->root, f->name,
                a->root);
}

// ---- how depth is recorded ----------------------------------------------------------------------

// What info.json says of the frames of a feature; older versions of LeRobot call it video_info.
static json_t *frames_info(const json_t *info, const Feature *f) {
    const json_t *feature = json_object_get(json_object_get(info, "features"), f->disk_name);
    json_t *of = json_object_get(feature, "info");
    return json_is_object(of) ? of : json_object_get(feature, "video_info");
}

// Settings that do not say what a value stands for: the encoder's, which LeRobot does not compare
// either, and the mark of a depth map, which has two spellings.
static bool means_nothing(const char *setting) {
    static const char *const names[] = {"video.g",
                                        "video.crf",
                                        "video.preset",
                                        "video.fast_decode",
                                        "video.extra_options",
                                        "video.video_backend",
                                        "video.is_depth_map",
                                        "is_depth_map"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], setting) == 0) return true;
    return false;
}

static bool same_setting(const json_t *x, const json_t *y) {
    if (json_is_number(x) && json_is_number(y)) return json_number_value(x) == json_number_value(y);
    bool no_x = !x || json_is_null(x), no_y = !y || json_is_null(y);
    return no_x || no_y ? no_x == no_y : json_equal(x, y);
}

static const char *setting_text(const json_t *value, Arena *arena) {
    if (!value || json_is_null(value)) return "not said";
    char *text = json_text_had(value, 0);
    const char *copy = arena_strdup(arena, text);
    mem_free(text);
    return copy;
}

// The first setting of x that y has otherwise; NULL: none.
static const char *other_setting(json_t *x, const json_t *y) {
    const char *key;
    json_t *value;
    json_object_foreach(x, key, value) {
        if (!means_nothing(key) && !same_setting(value, json_object_get(y, key))) return key;
    }
    return NULL;
}

static bool check_depth_of(const Dataset *a, json_t *x, const Dataset *b, json_t *y,
                           const Feature *f, Error *err) {
    Arena arena = {0};
    const char *key = other_setting(x, y);
    if (!key) key = other_setting(y, x);
    if (key)
        fail(err,
             "%s: the depth of '%s' has %.60s %.60s, and in %s %.60s; they cannot be one "
             "feature",
             b->root, f->name, key, setting_text(json_object_get(y, key), &arena), a->root,
             setting_text(json_object_get(x, key), &arena));
    arena_free(&arena);
    return !key;
}

// Depth is recorded in millimetres or metres, in videos on a scale of its own: the new dataset has
// one description for the values of all.
static bool check_depth(const Dataset *a, const Dataset *b, Error *err) {
    json_t *x = NULL, *y = NULL;
    bool ok = edit_info(a, &x, err) && edit_info(b, &y, err);
    for (int i = 0; ok && i < a->n_features; i++) {
        const Feature *f = &a->features[i], *g = find_feature(b, f->name);
        if (f->depth) ok = check_depth_of(a, frames_info(x, f), b, frames_info(y, g), f, err);
    }
    json_decref(x);
    json_decref(y);
    return ok;
}

bool edit_check_sources(Dataset *const *sources, int n, Error *err) {
    const Dataset *a = sources[0];
    for (int i = 1; i < n; i++) {
        const Dataset *b = sources[i];
        if (a->fps != b->fps)
            return fail(err, "%s: has %g frames a second, and %s %g; they cannot be one dataset",
                        b->root, b->fps, a->root, a->fps);
        for (int k = 0; k < a->n_features; k++)
            if (!check_feature(a, b, &a->features[k], err)) return false;
        if (!check_depth(a, b, err)) return false;
        for (int k = 0; k < b->n_features; k++)
            if (!find_feature(a, b->features[k].name) && !is_counter(b->features[k].name))
                return fail(err,
                            "%s: has a feature '%s', which %s has not; leave it out of the one "
                            "first (--remove_features), or rename one (--rename_map)",
                            b->root, b->features[k].name, a->root);
        const char *robot = a->robot_type ? a->robot_type : "", *other = b->robot_type;
        if (strcmp(robot, other ? other : "") != 0)
            log_warn("%s: robot_type is '%s', and in %s '%s', which the new dataset gets", b->root,
                     other ? other : "", a->root, robot);
    }
    return true;
}
