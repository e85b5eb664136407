// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "cli/cli.h"
#include "cli/info.h"
#include "dataset/arms.h"
#include "dataset/window.h"
#include <stdio.h>
#include <string.h>

typedef struct Summary {
    int64_t shortest, longest; // episodes, in frames
    int64_t videos, missing;   // files
    int64_t bytes;             // of the whole folder
    const char *first_missing;
    int arms; // relative poses apply when positive
} Summary;

static CHECKED bool summarise(const Dataset *ds, Summary *s, Error *err) {
    *s = (Summary){0};
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        s->shortest = i == 0 || e->length < s->shortest ? e->length : s->shortest;
        s->longest = e->length > s->longest ? e->length : s->longest;
        for (int k = 0; k < ds->n_cameras; k++) {
            const char *path = e->videos[k].path;
            const char *before = i > 0 ? ds->episodes[i - 1].videos[k].path : NULL;
            // Episodes that share a file follow each other.
            if (!path || (before && strcmp(before, path) == 0)) continue;
            s->videos++;
            PathKind there;
            if (!path_look(path, &there, err)) return false;
            if (there != AT_FILE) {
                s->missing++;
                s->first_missing = s->first_missing ? s->first_missing : path;
            }
        }
    }
    return tree_bytes(ds->root, &s->bytes, err) && arms_detect(ds, false, &s->arms, err);
}

static void print_size(int64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    int i = 0;
    for (; i < 4 && size >= 1000; i++) size /= 1000;
    printf("size      %.*f %s\n", i > 0 && size < 100, size, units[i]);
}

static const char *kind_name(const Feature *f) {
    switch (f->kind) {
    case FEATURE_STATE:
        return "state";
    case FEATURE_ENV:
        return "environment state";
    case FEATURE_ACTION:
        return "action";
    case FEATURE_VISUAL:
        return f->depth ? "depth, not used" : "camera";
    case FEATURE_OTHER:
        return "not used";
    }
    return "";
}

static void print_feature(const Feature *f, int width) {
    char shape[64] = "";
    size_t used = 0;
    for (int i = 0; i < f->rank && used < sizeof shape; i++) {
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", i ? "," : "",
                                 (long long)f->shape[i]);
    }
    printf("  %-*s  %-8s [%s]  %s", width, f->name, f->dtype, shape, kind_name(f));
    if (f->kind == FEATURE_STATE || f->kind == FEATURE_ACTION || f->kind == FEATURE_ENV)
        for (int i = 0; i < f->n_names; i++) printf("%s%s", i ? " " : ": ", f->names[i]);
    putchar('\n');
}

static void print_text(const Dataset *ds, const Summary *s) {
    double seconds = ds->fps > 0 ? (double)ds->rows / ds->fps : 0;
    char duration[32];
    int width = 0;
    progress_duration(duration, sizeof duration, seconds);
    printf("dataset   %s\n", ds->repo_id ? ds->repo_id : ds->root);
    printf("root      %s\n", ds->root);
    printf("format    LeRobot %s\n", ds->version);
    printf("robot     %s\n", ds->robot_type ? ds->robot_type : "unknown");
    printf("episodes  %lld of %lld, %lld to %lld frames each\n", (long long)ds->n_episodes,
           (long long)ds->total_episodes, (long long)s->shortest, (long long)s->longest);
    printf("frames    %lld, %s at %g fps\n", (long long)ds->rows, duration, ds->fps);
    print_size(s->bytes);
    if (s->videos > 0) {
        printf("videos    %lld files", (long long)s->videos);
        if (s->missing > 0)
            printf(", %lld missing (first: %s)", (long long)s->missing, s->first_missing);
        putchar('\n');
    }
    printf("poses     %s\n", s->arms == 0 ? "none; states and actions are used as recorded"
                             : s->arms == 1
                                 ? "1 arm; relative by default (--policy.pose_repr)"
                                 : "several arms; relative by default (--policy.pose_repr)");
    puts("tasks");
    for (int i = 0; i < ds->n_tasks; i++) printf("  %s\n", ds->tasks[i]);
    puts("features");
    for (int i = 0; i < ds->n_features; i++) {
        int n = (int)strlen(ds->features[i].name);
        width = n > width ? n : width;
    }
    for (int i = 0; i < ds->n_features; i++) print_feature(&ds->features[i], width);
}

static json_t *feature_json(const Feature *f) {
    json_t *shape = json_array(), *names = json_array();
    for (int i = 0; i < f->rank; i++) json_array_append_new(shape, json_integer(f->shape[i]));
    for (int i = 0; i < f->n_names; i++) json_array_append_new(names, json_bytes(f->names[i]));
    return json_pack("{s:o, s:o, s:o}", "dtype", json_bytes(f->dtype), "shape", shape, "names",
                     names);
}

static void print_json(const Dataset *ds, const Summary *s) {
    json_t *object = json_object(), *features = json_object(), *tasks = json_array();
    json_t *episodes = json_array(), *cameras = json_array();
    for (int i = 0; i < ds->n_features; i++)
        json_object_set_new_nocheck(features, ds->features[i].name, feature_json(&ds->features[i]));
    for (int i = 0; i < ds->n_cameras; i++)
        json_array_append_new(cameras, json_bytes(ds->cameras[i]->name));
    for (int i = 0; i < ds->n_tasks; i++) json_array_append_new(tasks, json_bytes(ds->tasks[i]));
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        json_array_append_new(episodes,
                              json_pack("{s:I, s:I, s:o}", "index", (json_int_t)e->index, "length",
                                        (json_int_t)e->length, "task", json_bytes(e->task)));
    }
    json_object_set_new(object, "repo_id", json_bytes(ds->repo_id));
    json_object_set_new(object, "root", json_bytes(ds->root));
    json_object_set_new(object, "version", json_bytes(ds->version));
    json_object_set_new(object, "robot_type", json_bytes(ds->robot_type));
    json_object_set_new(object, "fps", json_real(ds->fps));
    json_object_set_new(object, "total_episodes", json_integer(ds->total_episodes));
    json_object_set_new(object, "total_frames", json_integer(ds->total_frames));
    json_object_set_new(object, "selected_frames", json_integer(ds->rows));
    json_object_set_new(object, "size_bytes", json_integer(s->bytes));
    json_object_set_new(object, "missing_videos", json_integer(s->missing));
    json_object_set_new(object, "pose_repr", json_string(s->arms > 0 ? "relative" : "none"));
    json_object_set_new(object, "arms", json_integer(s->arms));
    json_object_set_new(object, "cameras", cameras);
    json_object_set_new(object, "tasks", tasks);
    json_object_set_new(object, "features", features);
    json_object_set_new(object, "episodes", episodes);
    cli_print_json(object, 2);
    json_decref(object);
}

bool info_print_dataset(const Dataset *ds, bool json, Error *err) {
    Summary s;
    if (!summarise(ds, &s, err)) return false;
    if (json)
        print_json(ds, &s);
    else
        print_text(ds, &s);
    return true;
}
