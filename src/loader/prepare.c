// SPDX-License-Identifier: Apache-2.0
#include "loader/prepare.h"

#include "base/memory.h"

bool preparer_init(Preparer *p, const LoaderOptions *o, VideoTables *tables, Error *err) {
    *p = (Preparer){.o = o};
    p->state_dim = o->state ? o->state->dim : 0;
    p->env_dim = o->env ? o->env->dim : 0;
    p->action_dim = o->action->dim;
    p->window = NEW(int64_t, o->window.horizon);
    p->state = NEW(double, o->window.horizon * p->state_dim);
    p->env = NEW(double, p->env_dim);
    p->action = NEW(double, o->window.chunk_size * p->action_dim);
    return o->n_cameras == 0 ||
           frames_open(o->dataset, o->height, o->width, tables, &p->frames, err);
}

void preparer_free(Preparer *p) {
    frames_close(p->frames);
    mem_free(p->window);
    mem_free(p->state);
    mem_free(p->env);
    mem_free(p->action);
    *p = (Preparer){0};
}

static size_t frame_bytes(const LoaderOptions *o) {
    return (size_t)o->height * (size_t)o->width * 3;
}

bool batch_alloc(Batch *b, const LoaderOptions *o, Error *err) {
    size_t n = (size_t)o->batch_size, T = (size_t)o->window.horizon, H = (size_t)o->window.chunk_size;
    *b = (Batch){.size = o->batch_size};
    b->rows = NEW(int64_t, n);
    b->state = o->state ? NEW(float, n * T * (size_t)o->state->dim) : NULL;
    b->env = o->env ? NEW(float, n * (size_t)o->env->dim) : NULL;
    b->action = NEW(float, n * H * (size_t)o->action->dim);
    b->action_is_pad = NEW(uint8_t, n * H);
    b->images = NEW(uint8_t *, o->n_cameras);
    for (int c = 0; c < o->n_cameras; c++) {
        b->images[c] = mem_try(n * T * frame_bytes(o));
        if (!b->images[c])
            return fail(err, "no memory for a batch of %d x %d frames of %dx%d; lower --batch_size or"
                             " --prefetch_factor", o->batch_size, o->window.horizon, o->height,
                        o->width);
        if (o->image_memory) o->image_memory(o->user, b->images[c], n * T * frame_bytes(o), true);
    }
    return true;
}

void batch_free(Batch *b, const LoaderOptions *o) {
    size_t bytes = (size_t)o->batch_size * (size_t)o->window.horizon * frame_bytes(o);
    for (int c = 0; b->images && c < o->n_cameras; c++) {
        if (o->image_memory && b->images[c]) o->image_memory(o->user, b->images[c], bytes, false);
        mem_free(b->images[c]);
    }
    mem_free(b->images);
    mem_free(b->rows);
    mem_free(b->state);
    mem_free(b->env);
    mem_free(b->action);
    mem_free(b->action_is_pad);
    *b = (Batch){0};
}

static void fill_vectors(Preparer *p, Batch *b, int i) {
    const LoaderOptions *o = p->o;
    int T = o->window.horizon, H = o->window.chunk_size;
    int64_t row = b->rows[i];
    if (o->state) {
        window_state(o->dataset, &o->window, row, p->state);
        normalizer_apply(o->state, p->state, b->state + (int64_t)i * T * p->state_dim, T);
    }
    if (o->env) {
        for (int k = 0; k < p->env_dim; k++) p->env[k] = o->dataset->env_data[row * p->env_dim + k];
        normalizer_apply(o->env, p->env, b->env + (int64_t)i * p->env_dim, 1);
    }
    window_action(o->dataset, &o->window, row, p->action, b->action_is_pad + (int64_t)i * H);
    normalizer_apply(o->action, p->action, b->action + (int64_t)i * H * p->action_dim, H);
}

// Oldest frame first, so that a video is read forwards.
static bool fill_images(Preparer *p, Batch *b, int i, Error *err) {
    const LoaderOptions *o = p->o;
    int T = o->window.horizon;
    window_rows(o->dataset, &o->window, b->rows[i], p->window);
    for (int c = 0; c < o->n_cameras; c++)
        for (int t = 0; t < T; t++) {
            uint8_t *rgb = b->images[c] + ((size_t)i * (size_t)T + (size_t)t) * frame_bytes(o);
            if (!frames_read(p->frames, o->cameras[c], p->window[t], rgb, err)) return false;
        }
    return true;
}

bool preparer_fill(Preparer *p, Batch *b, Error *err) {
    for (int i = 0; i < b->size; i++) {
        fill_vectors(p, b, i);
        if (!fill_images(p, b, i, err)) return false;
    }
    return true;
}
