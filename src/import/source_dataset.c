// SPDX-License-Identifier: Apache-2.0
#include "import/source_dataset.h"

#include "base/text.h"
#include "base/text_set.h"
#include "import/rows.h"
#include <math.h>
#include <string.h>

// ---- features -----------------------------------------------------------------------------------

static const char **copy_names(Arena *a, const PlanVector *v) {
    const char **names = arena_alloc(a, sizeof *names * (size_t)(v->dim + 1));
    for (int i = 0; i < v->dim; i++) names[i] = arena_strdup(a, v->names[i]);
    return names;
}

static Feature vector_feature(Arena *a, const PlanVector *v, FeatureKind kind) {
    Feature f = {.name = arena_strdup(a, v->name),
                 .dtype = v->dtype,
                 .kind = kind,
                 .rank = 1,
                 .shape = arena_alloc(a, sizeof *f.shape),
                 .size = v->dim};
    f.disk_name = f.name;
    f.shape[0] = v->dim;
    if (v->names) {
        f.names = copy_names(a, v);
        f.n_names = v->dim;
    }
    return f;
}

static Feature camera_feature(Arena *a, const ImportCamera *c) {
    Feature f = {.name = arena_strdup(a, c->feature),
                 .dtype = "image",
                 .kind = FEATURE_VISUAL,
                 .rank = 3,
                 .shape = arena_alloc(a, 3 * sizeof *f.shape),
                 .size = (int64_t)c->height * c->width * 3,
                 .height = c->height,
                 .width = c->width,
                 .channels = 3};
    f.disk_name = f.name;
    f.shape[0] = c->height;
    f.shape[1] = c->width;
    f.shape[2] = 3;
    return f;
}

// In the order in which they are written.
static void list_features(Dataset *ds, const Plan *p) {
    const ImportSource *s = p->source;
    Arena *a = &ds->arena;
    ds->features = arena_alloc(a, sizeof *ds->features * (size_t)(3 + p->n_extras + s->n_cameras));
    ds->cameras = arena_alloc(a, sizeof *ds->cameras * (size_t)(s->n_cameras + 1));
    Feature *f = ds->features;
    if (p->state.dim) *f = vector_feature(a, &p->state, FEATURE_STATE), ds->state = f++;
    if (p->env.dim) *f = vector_feature(a, &p->env, FEATURE_ENV), ds->env = f++;
    *f = vector_feature(a, &p->action, FEATURE_ACTION), ds->action = f++;
    for (int i = 0; i < p->n_extras; i++) *f++ = vector_feature(a, &p->extras[i], FEATURE_OTHER);
    for (int i = 0; i < s->n_cameras; i++) {
        *f = camera_feature(a, &s->cameras[i]);
        ds->cameras[ds->n_cameras++] = f++;
    }
    ds->n_features = (int)(f - ds->features);
}

// ---- rows ---------------------------------------------------------------------------------------

CHECKED static bool take_column(Dataset *ds, const Feature *f, int64_t rows, float **out,
                                Error *err) {
    if (!f) return true;
    if (f->size > MAX_VECTOR)
        return fail(err, "%s: %s has %lld values, more than the %d that a policy takes", ds->root,
                    f->name, (long long)f->size, MAX_VECTOR);
    *out = arena_try(&ds->arena, sizeof **out * (size_t)(rows * f->size));
    return *out || fail_memory(err, "%s: for %lld rows of %s", ds->root, (long long)rows, f->name);
}

CHECKED static bool take_columns(Dataset *ds, int64_t rows, Error *err) {
    if (!take_column(ds, ds->state, rows, &ds->state_data, err) ||
        !take_column(ds, ds->env, rows, &ds->env_data, err) ||
        !take_column(ds, ds->action, rows, &ds->action_data, err))
        return false;
    ds->timestamp = arena_try(&ds->arena, sizeof *ds->timestamp * (size_t)rows);
    return ds->timestamp ||
           fail_memory(err, "%s: for the times of %lld rows", ds->root, (long long)rows);
}

// Puts values behind the rows that are there, as a dataset's are read: float32.
CHECKED static bool put_values(const Dataset *ds, const Feature *f, const PlanEpisode *e,
                               const double *values, float *column, Error *err) {
    float *to = column + ds->rows * f->size;
    for (int64_t i = 0; i < e->length * f->size; i++) {
        to[i] = (float)values[i];
        if (!isfinite(to[i]))
            return fail(err, "%s: %s, episode %lld, row %lld: %g is beyond what float32 holds",
                        ds->root, f->name, (long long)e->source, (long long)(i / f->size),
                        values[i]);
    }
    return true;
}

CHECKED static bool put_rows(Dataset *ds, const PlanEpisode *e, const Rows *rows, Error *err) {
    const Feature *features[] = {ds->state, ds->env, ds->action};
    float *const columns[] = {ds->state_data, ds->env_data, ds->action_data};
    int at = 0;
    for (int i = 0; i < 3; i++)
        if (features[i] && !put_values(ds, features[i], e, rows->values[at++], columns[i], err))
            return false;
    // Of the vectors of their own only that they can be read matters.
    for (int64_t k = 0; k < e->length; k++)
        ds->timestamp[ds->rows + k] = (double)(float)((double)k / ds->fps);
    return true;
}

typedef struct Refusals {
    void (*refused)(void *user, int64_t episode, const char *why);
    void *user;
} Refusals;

CHECKED static bool read_episodes(Dataset *ds, const Plan *p, ImportSource *source,
                                  const Refusals *refusals, Error *err) {
    TextSet tasks = {0};
    ds->episodes = arena_alloc(&ds->arena, sizeof *ds->episodes * (size_t)(p->n_episodes + 1));
    for (int64_t i = 0; i < p->n_episodes; i++) {
        const PlanEpisode *e = &p->episodes[i];
        Rows rows;
        bool ok = rows_read(p, source, e, NULL, &rows, err);
        if (ok) {
            ok = put_rows(ds, e, &rows, err);
            rows_free(&rows);
        }
        if (!ok && error_is_memory(err)) return false;
        if (!ok) {
            refusals->refused(refusals->user, e->source, err->text);
            continue;
        }
        int task = text_set_add(&tasks, &ds->arena, e->task, strlen(e->task));
        ds->episodes[ds->n_episodes++] = (Episode){.index = e->source,
                                                   .first_row = ds->rows,
                                                   .first_index = ds->rows,
                                                   .length = e->length,
                                                   .task = tasks.texts[task]};
        ds->rows += e->length;
    }
    ds->tasks = tasks.texts;
    ds->n_tasks = tasks.n;
    return true;
}

// ---- the whole ----------------------------------------------------------------------------------

// The last part of a path, whatever slashes end it.
static const char *name_of(Arena *a, const char *path) {
    char *name = arena_strdup(a, path);
    for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--) name[n - 1] = '\0';
    const char *last = after_last(name, '/');
    return *last ? last : name;
}

bool source_dataset_open(ImportSource *source, const ConvertOptions *options,
                         void (*refused)(void *user, int64_t episode, const char *why), void *user,
                         Dataset **out, Error *err) {
    Plan plan;
    ConvertOptions o = *options;
    o.images = CONVERT_PNG; // frames of any size
    *out = NULL;
    if (!plan_make(source, &o, &plan, err)) return false;
    Dataset *ds = NEW(Dataset, 1);
    ds->root = arena_strdup(&ds->arena, source->path);
    ds->repo_id = name_of(&ds->arena, source->path);
    ds->version = arena_strdup(&ds->arena, source->form);
    ds->robot_type = source->robot_type ? arena_strdup(&ds->arena, source->robot_type) : NULL;
    ds->fps = plan.fps;
    ds->total_episodes = plan.n_episodes;
    ds->total_frames = plan.rows;
    const Refusals refusals = {refused, user};
    list_features(ds, &plan);
    bool ok = plan_check(&plan, err) && take_columns(ds, plan.rows, err) &&
              read_episodes(ds, &plan, source, &refusals, err);
    plan_free(&plan);
    if (ok && ds->n_episodes > 0) {
        *out = ds;
        return true;
    }
    dataset_close(ds);
    return ok;
}
