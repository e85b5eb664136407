// SPDX-License-Identifier: Apache-2.0
#include "import/convert.h"

#include "base/file.h"
#include "base/log.h"
#include "import/assemble.h"
#include "import/begun.h"
#include <stdio.h>
#include <string.h>

typedef struct Conversion {
    Plan plan;
    Begun begun; // ROOT.partial
    DatasetWriter *writer;
    Parts parts;
    Assembly assembly;
    Digest digest; // of the source
} Conversion;

// ---- rows ---------------------------------------------------------------------------------------

// Reads the parts of a vector at an episode into out (length, dim). room: for one part.
static bool read_vector(Conversion *c, ImportSource *source, const PlanVector *v,
                        const PlanEpisode *e, double *room, double *out, Error *err) {
    int at = 0;
    for (int i = 0; i < v->n_parts; i++) {
        int dim = source->vectors[v->parts[i]].dim;
        if (!source->reader->vector(source, e->source, v->parts[i], room, err)) return false;
        digest_add(&c->digest, room, sizeof *room * (size_t)(e->length * dim));
        for (int64_t k = 0; k < e->length; k++)
            memcpy(out + k * v->dim + at, room + k * dim, sizeof *room * (size_t)dim);
        at += dim;
    }
    return true;
}

// The action of a row is the state of that row, or of the one after it; the last one's is its own.
static void take_actions(const Plan *p, const PlanEpisode *e, const double *state, double *action) {
    int dim = p->state.dim;
    for (int64_t k = 0; k < e->length; k++) {
        int64_t of = p->o.next_action && k + 1 < e->length ? k + 1 : k;
        memcpy(action + k * dim, state + of * dim, sizeof *state * (size_t)dim);
    }
}

// The rows of one episode, in the writer's order of features.
static bool add_episode(Conversion *c, ImportSource *source, const PlanEpisode *e, Error *err) {
    const Plan *p = &c->plan;
    Arena a = {0};
    const double **values = arena_alloc(&a, sizeof *values * (size_t)(3 + p->n_extras));
    const PlanVector **vectors = arena_alloc(&a, sizeof *vectors * (size_t)(3 + p->n_extras));
    int n = 0, widest = 0;
    if (p->state.dim) vectors[n++] = &p->state;
    if (p->env.dim) vectors[n++] = &p->env;
    vectors[n++] = &p->action;
    for (int i = 0; i < p->n_extras; i++) vectors[n++] = &p->extras[i];
    for (int i = 0; i < n; i++)
        if (vectors[i]->dim > widest) widest = vectors[i]->dim;
    double *room = arena_alloc(&a, sizeof *room * (size_t)(e->length * widest));
    bool ok = true;
    for (int i = 0; i < n && ok; i++) {
        double *out = arena_alloc(&a, sizeof *out * (size_t)(e->length * vectors[i]->dim));
        values[i] = out;
        if (vectors[i] == &p->action && p->action_is_state)
            take_actions(p, e, values[0], out);
        else
            ok = read_vector(c, source, vectors[i], e, room, out, err);
    }
    ok = ok && dataset_writer_rows(c->writer, e->length, values, e->task, err);
    arena_free(&a);
    return ok;
}

// ---- the steps ----------------------------------------------------------------------------------

static bool open_writer(Conversion *c, ImportSource *source, Error *err) {
    char folder[4300];
    snprintf(folder, sizeof folder, "%s/dataset", c->begun.dir);
    const WriterOptions o = plan_writer_options(&c->plan, c->plan.o.root, folder);
    if (!dataset_writer_open(&o, &c->writer, err)) return false;
    if (!digest_source(&c->digest, source, err)) return false;
    for (int64_t e = 0; e < c->plan.n_episodes; e++)
        if (!add_episode(c, source, &c->plan.episodes[e], err)) return false;
    return true;
}

static bool convert_frames(Conversion *c, ImportSource *source, ConvertResult *out, Error *err) {
    char dir[4300];
    snprintf(dir, sizeof dir, "%s/parts", c->begun.dir);
    if (!make_dirs(dir, err)) return false;
    parts_list(&c->parts, &c->plan, source, dir);
    assembly_new(&c->assembly, &c->plan, &c->parts, c->writer);
    if (!parts_start(&c->parts, &out->found, err)) return false;
    for (int64_t e = 0; e < c->plan.n_episodes; e++)
        if (!parts_wait(&c->parts, e, err) || !assembly_add(&c->assembly, e, err)) return false;
    if (!assembly_finish(&c->assembly, err)) return false;
    for (int64_t i = 0; i < c->parts.n; i++)
        dataset_writer_pixels(c->writer, c->parts.part[i].camera, c->parts.part[i].pixels);
    return true;
}

static bool run_conversion(Conversion *c, ImportSource *source, ConvertResult *out, Error *err) {
    if (!plan_check(&c->plan, err) || !begun_open(&c->begun, &c->plan, err) ||
        !open_writer(c, source, err) || !begun_check(&c->begun, &c->plan, &c->digest, err) ||
        !convert_frames(c, source, out, err))
        return false;
    DatasetWriter *writer = c->writer;
    c->writer = NULL;
    if (!dataset_writer_close(writer, err)) return false;
    *out = (ConvertResult){c->plan.n_episodes, c->plan.rows, c->plan.rows * source->n_cameras,
                           out->found};
    begun_finished(&c->begun);
    return true;
}

bool convert_source(ImportSource *source, const ConvertOptions *options, ConvertResult *out,
                    Error *err) {
    Conversion c = {0};
    *out = (ConvertResult){0};
    if (!plan_make(source, options, &c.plan, err)) return false;
    bool ok = run_conversion(&c, source, out, err);
    // What was begun now, and has come to nothing, need not be kept.
    if (!ok && c.begun.fresh && !parts_any(&c.parts)) c.begun.drop = true;
    parts_end(&c.parts);
    assembly_free(&c.assembly);
    dataset_writer_abort(c.writer);
    begun_close(&c.begun);
    plan_free(&c.plan);
    return ok;
}
