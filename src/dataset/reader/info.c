// SPDX-License-Identifier: Apache-2.0
// meta/info.json: version, frame rate, path templates, features.
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "base/log.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IMAGE_SIDE = 16384, MAX_NESTING = 16 };

static bool check_version(Source *s, const char *info, const json_t *root, Error *err) {
    const char *text = json_string_value(json_object_get(root, "codebase_version"));
    if (!text) {
        return fail(err,
                    "%s: no \"codebase_version\"; this is not the info.json of a LeRobot "
                    "dataset",
                    info);
    }
    int major = -1, minor = 0;
    const char *digits = *text == 'v' ? text + 1 : text;
    if (sscanf(digits, "%d.%d", &major, &minor) < 1 || major < 0)
        return fail(err, "%s: codebase_version '%.40s' is not a version", info, text);
    if (major > 3) {
        return fail(err,
                    "%s: dataset version %.40s is newer than this program (v2.0, v2.1 and v3.x); "
                    "update tact",
                    info, text);
    }
    s->v30 = major == 3;
    s->ds->version = arena_strdup(&s->ds->arena, text);
    if (s->v30 || (major == 2 && minor <= 1)) {
        if (s->v30 && minor > 0)
            log_warn("%s: dataset version %s is newer than v3.0, reading it as v3.0", info, text);
        return true;
    }
    return fail(err, "%s: dataset version %.40s is not supported (v2.0, v2.1 and v3.x are)%s", info,
                text,
                major < 2 ? "; convert it with convert_dataset_v1_to_v2 of LeRobot 0.3.3" : "");
}

// A count at a key of info.json: `missing` where there is none.
static bool read_count_at(const char *info, const json_t *root, const char *key, int64_t missing,
                          int64_t *out, Error *err) {
    const json_t *value = json_object_get(root, key);
    *out = missing;
    if (!value) return true;
    *out = json_integer_value(value);
    return (json_is_integer(value) && *out >= 0) ||
           fail(err, "%s: \"%s\" is not a count; copy the file again", info, key);
}

// ---- names ------------------------------------------------------------------------------------

// Whether an object's values are other than scalars: then the names are in the values, not the
// keys.
static bool holds_lists(const json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (json_is_array(value) || json_is_object(value)) return true;
    }
    return false;
}

// Walks names in whatever nesting, in order. Writes into out when it is not NULL.
static int flatten_names(const json_t *names, const char **out, int count, int depth,
                         Arena *arena) {
    if (depth > MAX_NESTING) return count;
    if (json_is_string(names)) {
        if (out) out[count] = arena_strdup(arena, json_string_value(names));
        return count + 1;
    }
    if (json_is_array(names)) {
        for (size_t i = 0; i < json_array_size(names); i++)
            count = flatten_names(json_array_get(names, i), out, count, depth + 1, arena);
        return count;
    }
    if (!json_is_object(names)) return count;
    bool lists = holds_lists(names);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)names, key, value) {
        if (lists) {
            count = flatten_names(value, out, count, depth + 1, arena);
        } else {
            if (out) out[count] = arena_strdup(arena, key);
            count++;
        }
    }
    return count;
}

static void read_names(Feature *f, const json_t *names, Arena *arena) {
    int n = flatten_names(names, NULL, 0, 0, arena);
    if (n == 0) return;
    f->names = arena_alloc(arena, sizeof *f->names * (size_t)n);
    f->n_names = flatten_names(names, f->names, 0, 0, arena);
}

// ---- features ---------------------------------------------------------------------------------

static bool read_shape(const char *info, Feature *f, const json_t *shape, Arena *arena,
                       Error *err) {
    if (!json_is_array(shape))
        return fail(err, "%s: feature '%.100s' has no shape; copy the file again", info, f->name);
    f->size = 1;
    f->rank = (int)json_array_size(shape);
    f->shape = arena_alloc(arena, sizeof *f->shape * (json_array_size(shape) + 1));
    for (size_t i = 0; i < json_array_size(shape); i++) {
        const json_t *side = json_array_get(shape, i);
        int64_t n = json_integer_value(side);
        if (!json_is_integer(side) || n < 0 || n > INT32_MAX || (n && f->size > INT64_MAX / n)) {
            return fail(err, "%s: feature '%.100s' has an impossible shape; copy the file again",
                        info, f->name);
        }
        f->shape[i] = n;
        f->size *= n;
    }
    return true;
}

static bool visual_flag(const json_t *feature, const char *key) {
    return json_is_true(json_object_get(json_object_get(feature, "info"), key)) ||
           json_is_true(json_object_get(json_object_get(feature, "video_info"), key));
}

static bool read_visual(const char *info, Feature *f, const json_t *feature, Error *err) {
    f->kind = FEATURE_VISUAL;
    f->video = strcmp(f->dtype, "video") == 0;
    f->depth = visual_flag(feature, "is_depth_map") || visual_flag(feature, "video.is_depth_map");
    if (f->rank == 3) {
        bool first = f->shape[0] <= 4 && f->shape[2] > 4;
        // Names decide where they say which side is the channels, and that can be.
        if (f->n_names == 3 && strncmp(f->names[2], "channel", 7) == 0 && f->shape[2] <= 4)
            first = false;
        else if (f->n_names == 3 && strncmp(f->names[0], "channel", 7) == 0 && f->shape[0] <= 4)
            first = true;
        f->channels = (int)f->shape[first ? 0 : 2];
        f->height = (int)f->shape[first ? 1 : 0];
        f->width = (int)f->shape[first ? 2 : 1];
    }
    if (f->depth) return true;
    bool sides = f->height > 0 && f->height <= MAX_IMAGE_SIDE && f->width > 0 &&
                 f->width <= MAX_IMAGE_SIDE && f->channels > 0 && f->channels <= 4;
    return sides ||
           fail(err, "%s: camera '%.100s' has a shape that is no image; copy the file again", info,
                f->name);
}

static bool read_vector(const char *info, const Feature *f, Error *err) {
    if (strcmp(f->dtype, "float32") != 0 && strcmp(f->dtype, "float64") != 0) {
        return fail(err, "%s: feature '%s' has dtype '%.40s'; only float32 and float64 can be used",
                    info, f->name, f->dtype);
    }
    if (f->size > MAX_VECTOR)
        return fail(err, "%s: feature '%s' has %lld values a frame; tact takes up to %d", info,
                    f->name, (long long)f->size, MAX_VECTOR);
    return (f->rank == 1 && f->size > 0) ||
           fail(err, "%s: feature '%s' is not a vector; its shape must be [n]", info, f->name);
}

static bool read_feature(Source *s, const char *info, Feature *f, const char *name,
                         const json_t *feature, Error *err) {
    Dataset *ds = s->ds;
    const char *dtype = json_string_value(json_object_get(feature, "dtype"));
    if (!dtype)
        return fail(err, "%s: feature '%.100s' has no dtype; copy the file again", info, name);
    if (strchr(name, '/'))
        return fail(err, "%s: feature name '%.100s' contains '/'; rename the feature", info, name);
    f->disk_name = arena_strdup(&ds->arena, name);
    f->name = arena_strdup(&ds->arena, rename_of(s, name));
    name = f->name;
    f->dtype = arena_strdup(&ds->arena, dtype);
    f->kind = FEATURE_OTHER;
    if (!read_shape(info, f, json_object_get(feature, "shape"), &ds->arena, err)) return false;
    read_names(f, json_object_get(feature, "names"), &ds->arena);
    if (strcmp(dtype, "video") == 0 || strcmp(dtype, "image") == 0)
        return read_visual(info, f, feature, err);
    if (strcmp(name, "observation.state") == 0) {
        f->kind = FEATURE_STATE;
        ds->state = f;
    } else if (strcmp(name, "observation.environment_state") == 0) {
        f->kind = FEATURE_ENV;
        ds->env = f;
    } else if (strcmp(name, "action") == 0) {
        f->kind = FEATURE_ACTION;
        ds->action = f;
    }
    return f->kind == FEATURE_OTHER || read_vector(info, f, err);
}

static bool read_features(Source *s, const char *info, const json_t *features, Error *err) {
    Dataset *ds = s->ds;
    if (!json_is_object(features) || json_object_size(features) == 0)
        return fail(err, "%s: no \"features\"; copy the file again", info);
    if (!rename_check(s, info, features, err)) return false;
    ds->features = arena_alloc(&ds->arena, sizeof(Feature) * json_object_size(features));
    ds->cameras = arena_alloc(&ds->arena, sizeof(Feature *) * json_object_size(features));
    const char *name;
    json_t *feature;
    json_object_foreach((json_t *)features, name, feature) {
        Feature *f = &ds->features[ds->n_features++];
        if (!read_feature(s, info, f, name, feature, err)) return false;
        if (f->kind == FEATURE_VISUAL && (!f->depth || s->depth_maps))
            ds->cameras[ds->n_cameras++] = f;
    }
    return true;
}

// ---- the whole --------------------------------------------------------------------------------

static bool read_templates(Source *s, const char *info, const json_t *root, Error *err) {
    const char *data = json_string_value(json_object_get(root, "data_path"));
    const char *video = json_string_value(json_object_get(root, "video_path"));
    if (!data) {
        data = s->v30 ? "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
                      : "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet";
    }
    if (!video) {
        video = s->v30 ? "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
                       : "videos/chunk-{episode_chunk:03d}/{video_key}/"
                         "episode_{episode_index:06d}.mp4";
    }
    s->data_template = arena_strdup(&s->scratch, data);
    s->video_template = arena_strdup(&s->scratch, video);
    if (!read_count_at(info, root, "chunks_size", 1000, &s->chunks_size, err)) return false;
    return s->chunks_size > 0 || fail(err, "%s: \"chunks_size\" is 0; it must be positive", info);
}

bool info_load(Source *s, Error *err) {
    Dataset *ds = s->ds;
    const char *info = arena_printf(&s->scratch, "%s/meta/info.json", ds->root);
    json_t *root = NULL;
    bool ok = false;
    if (!json_read_python(info, &root, err)) return false;
    if (!check_version(s, info, root, err)) goto done;
    const json_t *fps = json_object_get(root, "fps");
    ds->fps = json_number_value(fps);
    if (!json_is_number(fps) || !(ds->fps > 0 && ds->fps <= 1e6)) {
        fail(err, "%s: \"fps\" is not a positive number; correct it", info);
        goto done;
    }
    const char *robot = json_string_value(json_object_get(root, "robot_type"));
    if (robot) ds->robot_type = arena_strdup(&ds->arena, robot);
    ok = read_count_at(info, root, "total_episodes", -1, &ds->total_episodes, err) &&
         read_count_at(info, root, "total_frames", -1, &ds->total_frames, err) &&
         read_templates(s, info, root, err) &&
         read_features(s, info, json_object_get(root, "features"), err);
done:
    json_decref(root);
    return ok;
}

// The label in info.json against the files in meta/: conversions that stopped half way, and labels
// set by hand, leave one version's label on the other's files.
bool info_check_label(Source *s, Error *err) {
    const Dataset *ds = s->ds;
    const char *old = arena_printf(&s->scratch, "%s/meta/episodes.jsonl", ds->root);
    const char *new = arena_printf(&s->scratch, "%s/meta/episodes", ds->root);
    const char *wanted = s->v30 ? new : old, *other = s->v30 ? old : new;
    if (s->v30 ? dir_exists(wanted) : file_exists(wanted)) return true;
    if (!(s->v30 ? file_exists(other) : dir_exists(other)))
        return true; // neither is there: what reads the episodes says so
    return fail(
        err,
        "%s/meta/info.json: says %s, but the files are %s: %s is there and %s is not; write "
        "\"codebase_version\": \"%s\" there if only the label is wrong, else copy or convert "
        "the dataset again",
        ds->root, ds->version, s->v30 ? "v2.1's" : "v3.0's", other, wanted,
        s->v30 ? "v2.1" : "v3.0");
}
