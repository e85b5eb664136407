// SPDX-License-Identifier: Apache-2.0
#include "import/plan.h"

#include "base/array.h"
#include "formats/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const convert_images_names[4] = {"video", "png", "jpeg", "copy"};

double convert_exact_fps(double fps) {
    static const int over_1001[] = {24000, 30000, 48000, 60000, 120000, 240000};
    for (size_t i = 0; i < sizeof over_1001 / sizeof *over_1001; i++) {
        double exact = over_1001[i] / 1001.0;
        if (fabs(fps - exact) <= 0.005) return exact;
    }
    return fps;
}

// ---- vectors ------------------------------------------------------------------------------------

static bool any_name(const ImportSource *s, const PlanVector *v) {
    for (int i = 0; i < v->n_parts; i++)
        if (s->vectors[v->parts[i]].names) return true;
    return false;
}

// The name of value j of a part. prefix: with the part's name before it.
static const char *value_name(Arena *a, const ImportVector *part, int j, bool prefix) {
    if (!part->names && part->dim == 1) return part->name;
    if (!part->names) return arena_printf(a, "%s_%d", part->name, j);
    return prefix ? arena_printf(a, "%s.%s", part->name, part->names[j]) : part->names[j];
}

static void fill_names(Arena *a, const ImportSource *s, const PlanVector *v, bool prefix,
                       const char **names) {
    int at = 0;
    for (int i = 0; i < v->n_parts; i++) {
        const ImportVector *part = &s->vectors[v->parts[i]];
        for (int j = 0; j < part->dim; j++) names[at++] = value_name(a, part, j, prefix);
    }
}

static bool repeats(const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0) return true;
    return false;
}

// Puts together the vectors of a role, or the one vector `only` of the source.
static PlanVector join_vectors(Plan *p, const char *name, ImportRole role, int only) {
    const ImportSource *s = p->source;
    Arena *a = &p->arena;
    int *parts = arena_alloc(a, sizeof *parts * (size_t)(s->n_vectors + 1));
    PlanVector v = {.name = name, .dtype = "float32", .parts = parts};
    for (int i = 0; i < s->n_vectors; i++) {
        if (only >= 0 ? i != only : s->vectors[i].role != role) continue;
        parts[v.n_parts++] = i;
        v.dim += s->vectors[i].dim;
        if (!import_fits_float32(s->vectors[i].dtype)) v.dtype = "float64";
    }
    if (any_name(s, &v)) {
        const char **names = arena_alloc(a, sizeof *names * (size_t)v.dim);
        fill_names(a, s, &v, false, names);
        if (repeats(names, v.dim)) fill_names(a, s, &v, true, names);
        v.names = names;
    }
    return v;
}

static bool plan_vectors(Plan *p, Error *err) {
    const ImportSource *s = p->source;
    p->state = join_vectors(p, "observation.state", IMPORT_STATE, -1);
    p->env = join_vectors(p, "observation.environment_state", IMPORT_ENVIRONMENT, -1);
    p->action = join_vectors(p, "action", IMPORT_ACTION, -1);
    p->action_is_state = s->action_is_state && p->action.dim == 0;
    if (p->action_is_state) {
        p->action = p->state;
        p->action.name = "action";
    } else if (p->o.next_action) {
        return fail(err,
                    "--action=next: %s has actions of its own, which are taken as they are; leave "
                    "the flag out",
                    s->path);
    }
    if (p->action.dim == 0)
        return fail(err, "%s: no actions in it, and no state to take them from", s->path);
    p->extras = arena_alloc(&p->arena, sizeof *p->extras * (size_t)(s->n_vectors + 1));
    for (int i = 0; i < s->n_vectors; i++)
        if (s->vectors[i].role == IMPORT_EXTRA)
            p->extras[p->n_extras++] = join_vectors(p, s->vectors[i].feature, IMPORT_EXTRA, i);
    return true;
}

// ---- episodes and splits ------------------------------------------------------------------------

static bool choose_episodes(Plan *p, Error *err) {
    const ImportSource *s = p->source;
    const ConvertOptions *o = &p->o;
    int64_t n = o->episodes ? o->n_episodes : s->n_episodes, last = -1;
    bool lacks_task = false;
    if (o->task && !utf8_is_whole(o->task))
        return fail(err, "--task=%.300s: not UTF-8, which a dataset's texts are; give it in UTF-8",
                    o->task);
    p->episodes = arena_alloc(&p->arena, sizeof *p->episodes * (size_t)(n + 1));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = o->episodes ? o->episodes[i] : i;
        if (at < 0 || at >= s->n_episodes)
            return fail(err, "--episodes: %lld is not in %s, which has episodes 0 to %lld",
                        (long long)at, s->path, (long long)s->n_episodes - 1);
        if (at <= last)
            return fail(err, "--episodes: %lld comes after %lld; name each once, in their order",
                        (long long)at, (long long)last);
        last = at;
        const ImportEpisode *e = &s->episodes[at];
        const char *task = e->task && *e->task ? e->task : NULL;
        lacks_task |= !task;
        if (!task) task = o->task ? o->task : "";
        p->episodes[p->n_episodes++] = (PlanEpisode){at, e->length, task};
        p->rows += e->length;
    }
    p->task_unused = o->task && !lacks_task;
    return p->n_episodes > 0 || fail(err, "%s: no episodes to import", s->path);
}

static const char *split_of(const Plan *p, int64_t i) {
    return p->source->episodes[p->episodes[i].source].split;
}

static int find_split(const Plan *p, const char *name) {
    for (int i = 0; name && i < p->n_splits; i++)
        if (strcmp(p->splits[i].name, name) == 0) return i;
    return p->n_splits; // none: behind all splits
}

// LeRobot's splits are ranges, so the episodes of one have to lie together.
static void sort_by_split(Plan *p) {
    PlanEpisode *sorted = arena_alloc(&p->arena, sizeof *sorted * (size_t)p->n_episodes);
    int64_t at = 0;
    for (int s = 0; s <= p->n_splits; s++) {
        int64_t first = at;
        for (int64_t i = 0; i < p->n_episodes; i++)
            if (find_split(p, split_of(p, i)) == s) sorted[at++] = p->episodes[i];
        if (s < p->n_splits) p->splits[s].first = first, p->splits[s].end = at;
    }
    for (int64_t i = 0; i < p->n_episodes; i++)
        p->reordered |= sorted[i].source != p->episodes[i].source;
    p->episodes = sorted;
}

static void plan_splits(Plan *p) {
    int64_t room = 0;
    for (int64_t i = 0; i < p->n_episodes; i++) {
        const char *name = split_of(p, i);
        if (name && find_split(p, name) == p->n_splits)
            ARENA_ARRAY_ADD(&p->arena, p->splits, p->n_splits, room)->name = name;
    }
    for (int s = 1; s < p->n_splits; s++) {
        if (strcmp(p->splits[s].name, "train") != 0) continue;
        WriterSplit train = p->splits[s];
        memmove(p->splits + 1, p->splits, sizeof train * (size_t)s);
        p->splits[0] = train;
    }
    if (p->n_splits) sort_by_split(p);
}

// ---- the whole ----------------------------------------------------------------------------------

bool plan_make(const ImportSource *source, const ConvertOptions *options, Plan *out, Error *err) {
    *out = (Plan){.source = source, .o = *options};
    out->fps = convert_exact_fps(options->fps > 0 ? options->fps : source->fps);
    if (!plan_vectors(out, err) || !choose_episodes(out, err)) {
        plan_free(out);
        return false;
    }
    plan_splits(out);
    return true;
}

void plan_free(Plan *plan) {
    arena_free(&plan->arena);
    *plan = (Plan){0};
}

static bool fail_no_fps(const ImportSource *s, Error *err) {
    bool umi = s->robot_type && strcmp(s->robot_type, "umi") == 0;
    return fail(err, "%s: %s does not say how many frames a second were recorded: give %s", s->path,
                s->form,
                umi ? "--fps=59.94 where the cameras were GoPros at UMI's settings, or what the "
                      "plan of the recording says"
                    : "--fps=N");
}

// Whether a camera's frames can become a video: even sizes for yuv420p, and what SVT-AV1 takes.
static bool check_size(const ImportSource *s, const ImportCamera *camera, Error *err) {
    enum { LEAST_SIDE = 64 };
    bool small = camera->height < LEAST_SIDE || camera->width < LEAST_SIDE;
    if (!small && camera->height % 2 == 0 && camera->width % 2 == 0) return true;
    return fail(err,
                "%s: camera %s has frames of %dx%d, and videos need %s: give --images=png, which "
                "keeps them in the data files",
                s->path, camera->name, camera->width, camera->height,
                small ? "at least 64x64" : "even sizes");
}

bool plan_check(const Plan *plan, Error *err) {
    const ImportSource *s = plan->source;
    if (!(plan->fps > 0)) return fail_no_fps(s, err);
    for (int c = 0; c < s->n_cameras; c++) {
        const ImportCamera *camera = &s->cameras[c];
        if (plan->o.images == CONVERT_VIDEO && !check_size(s, camera, err)) return false;
        if (plan->o.images == CONVERT_COPY && s->red_is_blue)
            return fail(
                err,
                "--images=copy: the image files of %s show red as blue, as OpenCV wrote them "
                "from RGB: give --images=png, or --colors=rgb if their colors are right",
                s->path);
        if (plan->o.images == CONVERT_COPY && !s->reader->stored)
            return fail(
                err,
                "--images=copy: %s stores the frames of camera %s as %s, not as JPEG or PNG "
                "files; give --images=png, which loses nothing",
                s->path, camera->name, camera->codec);
    }
    return true;
}

WriterOptions plan_writer_options(Plan *plan, const char *root, const char *folder) {
    const ImportSource *s = plan->source;
    Arena *a = &plan->arena;
    WriterCamera *cameras = arena_alloc(a, sizeof *cameras * (size_t)(s->n_cameras + 1));
    WriterVector *extras = arena_alloc(a, sizeof *extras * (size_t)(plan->n_extras + 1));
    for (int c = 0; c < s->n_cameras; c++)
        cameras[c] = (WriterCamera){.name = s->cameras[c].feature,
                                    .height = s->cameras[c].height,
                                    .width = s->cameras[c].width};
    for (int i = 0; i < plan->n_extras; i++) {
        const PlanVector *v = &plan->extras[i];
        extras[i] =
            (WriterVector){.name = v->name, .dtype = v->dtype, .dim = v->dim, .names = v->names};
    }
    return (WriterOptions){
        .root = root,
        .folder = folder,
        .robot_type = s->robot_type,
        .fps = plan->fps,
        .state_dim = plan->state.dim,
        .state_names = plan->state.names,
        .state_dtype = plan->state.dtype,
        .env_dim = plan->env.dim,
        .env_dtype = plan->env.dtype,
        .env_names = plan->env.names,
        .action_dim = plan->action.dim,
        .action_names = plan->action.names,
        .action_dtype = plan->action.dtype,
        .extras = extras,
        .n_extras = plan->n_extras,
        .cameras = cameras,
        .n_cameras = s->n_cameras,
        .images_in_parquet = plan->o.images != CONVERT_VIDEO,
        .splits = plan->splits,
        .n_splits = plan->n_splits,
    };
}
