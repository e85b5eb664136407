// SPDX-License-Identifier: Apache-2.0
// The predictions that are kept whole: the worst windows, and some predictions of the worst
// episodes. A window or episode that is pushed out hands its memory on to the next one.
#include "eval/accumulate.h"

#include <stdlib.h>

static void window_room(Accumulator *a, EvalWindow *w) {
    EvalResult *r = a->result;
    w->error = eval_doubles(&r->arena, r->measures.count);
    w->stay = eval_doubles(&r->arena, r->measures.count);
    w->predicted = arena_alloc(&r->arena, sizeof(float) * (size_t)(r->S * r->A));
}

static void curves_room(Accumulator *a, EvalCurves *c) {
    EvalResult *r = a->result;
    c->frames = arena_alloc(&r->arena, sizeof(int64_t) * EVAL_CURVE_WINDOWS);
    c->chunks = arena_alloc(&r->arena, sizeof(float) * EVAL_CURVE_WINDOWS * (size_t)(r->S * r->A));
}

void kept_init(Accumulator *a) {
    window_room(a, &a->window);
    curves_room(a, &a->curves);
}

static void remove_worst(EvalResult *r, int at) {
    EvalWindow gone = r->worst[at];
    for (int i = at; i + 1 < r->n_worst; i++) r->worst[i] = r->worst[i + 1];
    r->worst[--r->n_worst] = gone; // its memory
}

// Of windows within a second of each other only the worst is kept: they show the same.
void kept_add_window(Accumulator *a) {
    EvalResult *r = a->result;
    const int by = r->measures.headline;
    EvalWindow *w = &a->window;
    int64_t near = (int64_t)(r->dataset->fps + 0.5);
    for (int i = r->n_worst - 1; i >= 0; i--) {
        const EvalWindow *other = &r->worst[i];
        if (other->episode != w->episode || llabs(other->frame - w->frame) >= near) continue;
        if (other->error[by] >= w->error[by]) return;
        remove_worst(r, i);
    }
    int at = r->n_worst;
    while (at > 0 && r->worst[at - 1].error[by] < w->error[by]) at--;
    if (at == EVAL_WORST) return;
    bool full = r->n_worst == EVAL_WORST;
    EvalWindow spare = r->worst[full ? EVAL_WORST - 1 : r->n_worst];
    for (int i = full ? EVAL_WORST - 1 : r->n_worst; i > at; i--) r->worst[i] = r->worst[i - 1];
    r->worst[at] = *w;
    r->n_worst += !full;
    *w = spare;
    if (!w->predicted) window_room(a, w);
}

void kept_add_chunk(Accumulator *a, const EvalEpisode *e, int64_t frame, const double *predicted) {
    EvalResult *r = a->result;
    EvalCurves *c = &a->curves;
    int64_t every = eval_windows_of(e->windows, EVAL_CURVE_WINDOWS);
    if (frame / r->stride % every != 0) return;
    size_t n = (size_t)(r->S * r->A);
    for (size_t i = 0; i < n; i++) c->chunks[(size_t)c->count * n + i] = (float)predicted[i];
    c->frames[c->count++] = frame;
}

void kept_end_episode(Accumulator *a, int64_t episode) {
    EvalResult *r = a->result;
    const EvalEpisode *e = &r->episodes[episode];
    const int by = r->measures.headline;
    a->curves.episode = episode;
    int at = r->n_curves;
    while (at > 0 && r->episodes[r->curves[at - 1].episode].error[by] < e->error[by]) at--;
    if (at < EVAL_CURVES) {
        bool full = r->n_curves == EVAL_CURVES;
        int last = full ? EVAL_CURVES - 1 : r->n_curves;
        EvalCurves spare = r->curves[last];
        for (int i = last; i > at; i--) r->curves[i] = r->curves[i - 1];
        r->curves[at] = a->curves;
        r->n_curves += !full;
        a->curves = spare;
        if (!a->curves.frames) curves_room(a, &a->curves);
    }
    a->curves.count = 0;
}
