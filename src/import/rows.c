// SPDX-License-Identifier: Apache-2.0
#include "import/rows.h"

#include <string.h>

// Reads the parts of a vector into out (length, dim). room: for one part.
static bool read_vector(ImportSource *source, const PlanVector *v, const PlanEpisode *e,
                        Digest *digest, double *room, double *out, Error *err) {
    int at = 0;
    for (int i = 0; i < v->n_parts; i++) {
        int dim = source->vectors[v->parts[i]].dim;
        if (!source->reader->vector(source, e->source, v->parts[i], room, err)) return false;
        if (digest) digest_add(digest, room, sizeof *room * (size_t)(e->length * dim));
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

bool rows_read(const Plan *p, ImportSource *source, const PlanEpisode *e, Digest *digest, Rows *out,
               Error *err) {
    *out = (Rows){0};
    Arena *a = &out->arena;
    const size_t most = (size_t)(3 + p->n_extras);
    int widest = 0;
    out->vectors = arena_alloc(a, sizeof *out->vectors * most);
    out->values = arena_alloc(a, sizeof *out->values * most);
    if (p->state.dim) out->vectors[out->n++] = &p->state;
    if (p->env.dim) out->vectors[out->n++] = &p->env;
    out->vectors[out->n++] = &p->action;
    for (int i = 0; i < p->n_extras; i++) out->vectors[out->n++] = &p->extras[i];
    for (int i = 0; i < out->n; i++)
        if (out->vectors[i]->dim > widest) widest = out->vectors[i]->dim;
    double *room = arena_alloc(a, sizeof *room * (size_t)(e->length * widest));
    bool ok = true;
    for (int i = 0; i < out->n && ok; i++) {
        const PlanVector *v = out->vectors[i];
        double *values = arena_alloc(a, sizeof *values * (size_t)(e->length * v->dim));
        out->values[i] = values;
        if (v == &p->action && p->action_is_state)
            take_actions(p, e, out->values[0], values);
        else
            ok = read_vector(source, v, e, digest, room, values, err);
    }
    if (!ok) rows_free(out);
    return ok;
}

void rows_free(Rows *rows) {
    arena_free(&rows->arena);
    *rows = (Rows){0};
}
