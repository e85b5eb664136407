// SPDX-License-Identifier: Apache-2.0
// Sources in other forms than LeRobot's: what is in them and what would be made of it.
#include "base/file.h"
#include "base/log.h"
#include "base/text_set.h"
#include "cli/cli.h"
#include "cli/source.h"
#include "formats/json.h"
#include "import/plan.h"
#include "policy/policy_locate.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- text ---------------------------------------------------------------------------------------

static void print_fps(double fps) {
    double above = fps * 1001;
    if (fps == floor(fps) || fabs(above - round(above)) > 1e-6)
        printf("%g", fps);
    else
        printf("%.2f (%.0f/1001)", fps, above);
}

static void print_length(const ImportSource *s, const Plan *p) {
    int64_t shortest = INT64_MAX, longest = 0;
    char duration[32];
    for (int64_t i = 0; i < s->n_episodes; i++) {
        int64_t n = s->episodes[i].length;
        shortest = n < shortest ? n : shortest;
        longest = n > longest ? n : longest;
    }
    printf("episodes  %lld, %lld to %lld rows each\n", (long long)s->n_episodes,
           (long long)shortest, (long long)longest);
    printf("rows      %lld", (long long)p->rows);
    if (p->fps > 0) {
        progress_duration(duration, sizeof duration, (double)p->rows / p->fps);
        printf(", %s at ", duration);
        print_fps(p->fps);
        puts(" a second");
    } else {
        puts("; how many a second the source does not say: give --fps");
    }
}

static const char *role_text(const ImportVector *v) {
    switch (v->role) {
    case IMPORT_STATE:
        return "observation.state";
    case IMPORT_ENVIRONMENT:
        return "observation.environment_state";
    case IMPORT_ACTION:
        return "action";
    case IMPORT_EXTRA:
        return v->feature;
    }
    return "";
}

static int longest_name(const ImportSource *s) {
    size_t width = 0;
    for (int i = 0; i < s->n_vectors; i++)
        if (strlen(s->vectors[i].name) > width) width = strlen(s->vectors[i].name);
    for (int i = 0; i < s->n_cameras; i++)
        if (strlen(s->cameras[i].name) > width) width = strlen(s->cameras[i].name);
    return (int)width;
}

static void print_vectors(const ImportSource *s, int width) {
    puts("vectors");
    for (int i = 0; i < s->n_vectors; i++) {
        const ImportVector *v = &s->vectors[i];
        printf("  %-*s  %-7s [%d]  -> %s", width, v->name, v->dtype, v->dim, role_text(v));
        if (v->unit) printf(", in %s", v->unit);
        for (int j = 0; v->names && j < v->dim; j++) printf("%s%s", j ? " " : ": ", v->names[j]);
        putchar('\n');
    }
}

static void print_cameras(const ImportSource *s, int width) {
    puts("cameras");
    for (int i = 0; i < s->n_cameras; i++) {
        const ImportCamera *c = &s->cameras[i];
        printf("  %-*s  %dx%d %s  -> %s\n", width, c->name, c->width, c->height, c->codec,
               c->feature);
    }
}

// The tasks that the source names, each once.
static void print_tasks(const ImportSource *s) {
    bool none = false;
    Arena arena = {0};
    TextSet tasks = {0};
    for (int64_t i = 0; i < s->n_episodes; i++) {
        const char *task = s->episodes[i].task;
        none |= !task;
        if (task) text_set_add(&tasks, &arena, task, strlen(task));
    }
    if (tasks.n) puts("tasks");
    for (int i = 0; i < tasks.n; i++) printf("  %s\n", tasks.texts[i]);
    if (none)
        printf("task      %s; --task gives one\n",
               tasks.n ? "not said of some episodes" : "the source does not say");
    arena_free(&arena);
}

static void print_splits(const Plan *p) {
    for (int i = 0; i < p->n_splits; i++)
        printf("%s%s %lld", i ? ", " : "splits    ", p->splits[i].name,
               (long long)(p->splits[i].end - p->splits[i].first));
    if (p->n_splits)
        printf(" episodes%s\n", p->reordered ? "; written in this order, so not the source's" : "");
}

static void print_made(const Plan *p) {
    fputs("makes     ", stdout);
    if (p->state.dim) printf("observation.state [%d], ", p->state.dim);
    printf("action [%d]", p->action.dim);
    if (p->action_is_state) printf(" (the state of the same row; --action=next: of the next)");
    if (p->env.dim) printf(", observation.environment_state [%d]", p->env.dim);
    for (int i = 0; i < p->n_extras; i++) printf(", %s [%d]", p->extras[i].name, p->extras[i].dim);
    for (int i = 0; i < p->source->n_cameras; i++) printf(", %s", p->source->cameras[i].feature);
    putchar('\n');
}

bool source_camera_is_video(const ImportCamera *camera) {
    enum { LEAST = 64 };
    return camera->height % 2 == 0 && camera->width % 2 == 0 && camera->height >= LEAST &&
           camera->width >= LEAST;
}

// The command that imports it. Of what is asked for it has what must be given.
static void print_command(const Plan *p) {
    const ImportSource *s = p->source;
    bool umi = s->robot_type && strcmp(s->robot_type, "umi") == 0, still = false;
    for (int i = 0; i < s->n_cameras; i++) still |= !source_camera_is_video(&s->cameras[i]);
    printf("import    tact import %s --root=DIR%s%s\n", s->path,
           p->fps > 0 ? ""
           : umi      ? " --fps=59.94"
                      : " --fps=N",
           still ? " --images=png" : "");
}

static void print_source_text(const ImportSource *s, const Plan *p) {
    int width = longest_name(s);
    printf("source    %s\n", s->path);
    printf("form      %s\n", s->form);
    printf("robot     %s\n", s->robot_type ? s->robot_type : "unknown");
    print_length(s, p);
    print_splits(p);
    print_tasks(s);
    print_vectors(s, width);
    if (s->n_cameras) print_cameras(s, width);
    if (s->red_is_blue)
        puts("colors    red and blue of its image files are exchanged, as OpenCV wrote them from "
             "RGB "
             "(--colors=rgb: they are not)");
    for (int i = 0; i < s->n_left_out; i++)
        printf("%s%s\n", i ? "          " : "left out  ", s->left_out[i]);
    print_made(p);
    print_command(p);
}

// ---- JSON ---------------------------------------------------------------------------------------

static json_t *vectors_json(const ImportSource *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->n_vectors; i++) {
        const ImportVector *v = &s->vectors[i];
        json_t *names = v->names ? json_array() : json_null();
        for (int j = 0; v->names && j < v->dim; j++)
            json_array_append_new(names, json_bytes(v->names[j]));
        json_array_append_new(list, json_pack("{s:o, s:s, s:i, s:o, s:o, s:o}", "name",
                                              json_bytes(v->name), "dtype", v->dtype, "dim", v->dim,
                                              "feature", json_bytes(role_text(v)), "unit",
                                              json_bytes(v->unit), "names", names));
    }
    return list;
}

static json_t *cameras_json(const ImportSource *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->n_cameras; i++) {
        const ImportCamera *c = &s->cameras[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:s, s:i, s:i, s:o}", "name", json_bytes(c->name),
                                        "codec", c->codec, "height", c->height, "width", c->width,
                                        "feature", json_bytes(c->feature)));
    }
    return list;
}

static json_t *episodes_json(const ImportSource *s) {
    json_t *list = json_array();
    for (int64_t i = 0; i < s->n_episodes; i++) {
        const ImportEpisode *e = &s->episodes[i];
        json_array_append_new(list, json_pack("{s:o, s:I, s:o, s:o}", "name", json_bytes(e->name),
                                              "length", (json_int_t)e->length, "task",
                                              json_bytes(e->task), "split", json_bytes(e->split)));
    }
    return list;
}

static void print_source_json(const ImportSource *s, const Plan *p) {
    json_t *root = json_object(), *left_out = json_array();
    for (int i = 0; i < s->n_left_out; i++)
        json_array_append_new(left_out, json_bytes(s->left_out[i]));
    json_object_set_new(root, "source", json_bytes(s->path));
    json_object_set_new(root, "form", json_string(s->form));
    json_object_set_new(root, "robot_type", json_bytes(s->robot_type));
    json_object_set_new(root, "fps", p->fps > 0 ? json_real(p->fps) : json_null());
    json_object_set_new(root, "rows", json_integer(p->rows));
    json_object_set_new(root, "action_is_state", json_boolean(p->action_is_state));
    json_object_set_new(root, "vectors", vectors_json(s));
    json_object_set_new(root, "cameras", cameras_json(s));
    json_object_set_new(root, "left_out", left_out);
    json_object_set_new(root, "episodes", episodes_json(s));
    cli_print_json(root, 2);
    json_decref(root);
}

// ---- what is asked for --------------------------------------------------------------------------

bool info_print_source(const char *path, bool json, Error *err) {
    ImportSource *source;
    Plan plan;
    if (!import_open(path, &source, err)) return false;
    const ConvertOptions none = {0};
    bool ok = plan_make(source, &none, &plan, err);
    if (ok && json)
        print_source_json(source, &plan);
    else if (ok)
        print_source_text(source, &plan);
    if (ok) plan_free(&plan);
    import_close(source);
    return ok;
}

bool source_log_plan(const ImportSource *source, const ConvertOptions *options, Error *err) {
    Plan plan;
    if (!plan_make(source, options, &plan, err)) return false;
    bool ok = plan_check(&plan, err);
    if (ok) {
        log_info("%s: %s, %lld episodes, %lld rows", source->path, source->form,
                 (long long)plan.n_episodes, (long long)plan.rows);
        for (int i = 0; i < source->n_left_out; i++)
            log_warn("%s: left out: %s", source->path, source->left_out[i]);
        if (plan.task_unused)
            log_warn("--task=%s: not used, every episode has a task of its own", options->task);
        if (plan.reordered)
            log_info("episodes are written in the order of their splits, not in the source's");
        if (options->fps > 0 && source->fps > 0 &&
            fabs(convert_exact_fps(options->fps) / convert_exact_fps(source->fps) - 1) > 1e-9)
            log_warn("--fps=%g: taken instead of the source's %g", options->fps, source->fps);
    }
    plan_free(&plan);
    return ok;
}

bool source_is_one(const char *path) {
    char info[4096];
    bool there = dir_exists(path) || file_exists(path);
    if (!there || (size_t)snprintf(info, sizeof info, "%s/meta/info.json", path) >= sizeof info)
        return false;
    return !file_exists(info) && !policy_is_one(path);
}

bool source_refuse_as_dataset(const char *root, Error *err) {
    if (!root || !source_is_one(root)) return true;
    const char *form = import_recognise(root);
    if (!form) form = import_look(root);
    return !form || fail(err,
                         "--dataset.root=%s: %s, not a LeRobot dataset; make one of it with `tact "
                         "import %s --root=DIR`, then give --dataset.root=DIR",
                         root, form, root);
}
