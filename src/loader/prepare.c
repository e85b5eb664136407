// SPDX-License-Identifier: Apache-2.0
#include "loader/prepare.h"

#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

// A frame of the batch, and where in the batch it goes.
typedef struct Wanted {
    int64_t row, place; // place: sample * T + timestep
} Wanted;

static size_t frame_bytes(const LoaderOptions *o, int camera) {
    return (size_t)o->sizes[camera].height * (size_t)o->sizes[camera].width * 3;
}

// This thread's reader, and a frame as large as any.
CHECKED static bool open_frames(Preparer *p, Error *err) {
    const LoaderOptions *o = p->o;
    size_t most = 0;
    if (o->n_cameras == 0) return true;
    if (!frames_open(o->dataset, 0, 0, NULL, &p->frames, err)) return false;
    for (int c = 0; c < o->n_cameras; c++) {
        if (!frames_resize(p->frames, o->cameras[c], o->sizes[c], err)) return false;
        most = frame_bytes(o, c) > most ? frame_bytes(o, c) : most;
    }
    p->frame = NEW(uint8_t, most);
    return true;
}

bool preparer_init(Preparer *p, const LoaderOptions *o, Error *err) {
    *p = (Preparer){.o = o};
    p->state_dim = o->state ? o->state->dim : 0;
    p->env_dim = o->env ? o->env->dim : 0;
    p->action_dim = o->action->dim;
    p->window = NEW(int64_t, o->window.horizon);
    p->state = NEW(double, o->window.horizon * p->state_dim);
    p->env = NEW(double, p->env_dim);
    p->action = NEW(double, o->window.chunk_size * p->action_dim);
    p->wanted = NEW(Wanted, (int64_t)o->batch_size * o->window.horizon);
    p->filled = o->n_cameras == 0;
    return open_frames(p, err);
}

void preparer_free(Preparer *p) {
    frames_close(p->frames);
    mem_free(p->window);
    mem_free(p->state);
    mem_free(p->env);
    mem_free(p->action);
    mem_free(p->wanted);
    mem_free(p->frame);
    *p = (Preparer){0};
}

bool batch_alloc(Batch *b, const LoaderOptions *o, Error *err) {
    size_t n = (size_t)o->batch_size, T = (size_t)o->window.horizon,
           H = (size_t)o->window.chunk_size;
    *b = (Batch){.size = o->batch_size};
    b->rows = NEW(int64_t, n);
    b->state = o->state ? NEW(float, n *T *(size_t)o->state->dim) : NULL;
    b->env = o->env ? NEW(float, n *(size_t)o->env->dim) : NULL;
    b->action = NEW(float, n *H *(size_t)o->action->dim);
    b->action_is_pad = NEW(uint8_t, n * H);
    b->images = NEW(uint8_t *, o->n_cameras);
    for (int c = 0; c < o->n_cameras; c++) {
        const size_t bytes = n * T * frame_bytes(o, c);
        b->images[c] = mem_try(bytes);
        if (!b->images[c])
            return fail(err,
                        "no memory for a batch of %d x %d frames of %dx%d; lower --batch_size or"
                        " --prefetch_factor",
                        o->batch_size, o->window.horizon, o->sizes[c].height, o->sizes[c].width);
        if (o->image_memory) o->image_memory(o->user, b->images[c], bytes, true);
    }
    return true;
}

void batch_free(Batch *b, const LoaderOptions *o) {
    const size_t frames = (size_t)o->batch_size * (size_t)o->window.horizon;
    for (int c = 0; b->images && c < o->n_cameras; c++) {
        const size_t bytes = frames * frame_bytes(o, c);
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

// ---- frames -----------------------------------------------------------------------------------

static int by_row(const void *a, const void *b) {
    const Wanted *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

// Reads what the cache lacks of rows first .. end-1 into it, until a frame cannot be read.
static bool fill_rows(Preparer *p, int camera, int64_t first, int64_t end) {
    const LoaderOptions *o = p->o;
    Error unread;
    for (int64_t row = first; row < end; row++) {
        if (!frame_cache_holds(o->cache, row) || frame_cache_has(o->cache, camera, row)) continue;
        if (!frames_read(p->frames, o->cameras[camera], row, p->frame, &unread)) return false;
        frame_cache_put(o->cache, camera, row, p->frame);
    }
    return true;
}

// A frame that is not in the cache, and into it what decodes with it. What fails is the frame
// wanted or nothing: another one's damage is no business of this batch.
CHECKED static bool read_segment(Preparer *p, int camera, int64_t row, uint8_t *rgb, Error *err) {
    const LoaderOptions *o = p->o;
    int64_t first, end;
    if (!frames_segment(p->frames, o->cameras[camera], row, &first, &end, err)) return false;
    bool sound = fill_rows(p, camera, first, row);
    if (!frames_read(p->frames, o->cameras[camera], row, rgb, err)) return false;
    frame_cache_put(o->cache, camera, row, rgb);
    if (sound) (void)fill_rows(p, camera, row + 1, end);
    return true;
}

CHECKED static bool read_frame(Preparer *p, int camera, int64_t row, uint8_t *rgb, Error *err) {
    const LoaderOptions *o = p->o;
    if (!o->cache || !frame_cache_holds(o->cache, row))
        return frames_read(p->frames, o->cameras[camera], row, rgb, err);
    return frame_cache_get(o->cache, camera, row, rgb) || read_segment(p, camera, row, rgb, err);
}

static uint8_t *place_of(const LoaderOptions *o, const Batch *b, int camera, int64_t place) {
    return b->images[camera] + (size_t)place * frame_bytes(o, camera);
}

CHECKED static bool read_images(Preparer *p, Batch *b, int camera, Error *err) {
    const LoaderOptions *o = p->o;
    int64_t n = (int64_t)b->size * o->window.horizon;
    const uint8_t *before = NULL;
    for (int64_t i = 0; i < n; i++) {
        const Wanted *w = &p->wanted[i];
        uint8_t *rgb = place_of(o, b, camera, w->place);
        if (i > 0 && w->row == w[-1].row)
            memcpy(rgb, before, frame_bytes(o, camera));
        else if (!read_frame(p, camera, w->row, rgb, err))
            return false;
        before = rgb;
    }
    return true;
}

static void transform_images(Preparer *p, Batch *b, int camera) {
    const LoaderOptions *o = p->o;
    DrawnTransform drawn[MAX_IMAGE_TRANSFORMS];
    const int T = o->window.horizon, height = o->sizes[camera].height,
              width = o->sizes[camera].width;
    for (int i = 0; i < b->size; i++) {
        int n = image_transforms_draw(o->transforms, b->epoch, b->rows[i], camera, height, width,
                                      drawn);
        for (int t = 0; t < T; t++) {
            uint8_t *rgb = place_of(o, b, camera, (int64_t)i * T + t);
            for (int k = 0; k < n; k++)
                image_transform_apply(&drawn[k], rgb, height, width, p->frame);
        }
    }
}

CHECKED static bool fill_images(Preparer *p, Batch *b, Error *err) {
    const LoaderOptions *o = p->o;
    int64_t T = o->window.horizon, n = b->size * T;
    for (int i = 0; i < b->size; i++) {
        window_rows(o->dataset, &o->window, b->rows[i], p->window);
        for (int64_t t = 0; t < T; t++) p->wanted[i * T + t] = (Wanted){p->window[t], i * T + t};
    }
    qsort(p->wanted, (size_t)n, sizeof *p->wanted, by_row);
    for (int c = 0; c < o->n_cameras; c++) {
        if (!read_images(p, b, c, err)) return false;
        if (o->transforms) transform_images(p, b, c);
    }
    return true;
}

bool preparer_fill(Preparer *p, Batch *b, Error *err) {
    for (int i = 0; i < b->size; i++) fill_vectors(p, b, i);
    return fill_images(p, b, err);
}

// ---- between batches --------------------------------------------------------------------------

bool preparer_has_leisure(const Preparer *p) {
    return p->o->cache && !p->filled;
}

void preparer_fill_cache(Preparer *p) {
    const LoaderOptions *o = p->o;
    int64_t first, end, episode;
    Error unread;
    while (p->fill_row < p->fill_end && (!frame_cache_holds(o->cache, p->fill_row) ||
                                         frame_cache_has(o->cache, p->fill_camera, p->fill_row)))
        p->fill_row++;
    if (p->fill_row == p->fill_end) {
        p->filled = !frame_cache_take(o->cache, &p->fill_camera, &episode);
        if (p->filled) return;
        const Episode *e = &o->dataset->episodes[episode];
        p->fill_row = e->first_row;
        p->fill_end = e->first_row + e->length;
        return;
    }
    bool ok =
        frames_segment(p->frames, o->cameras[p->fill_camera], p->fill_row, &first, &end, &unread) &&
        fill_rows(p, p->fill_camera, first, end);
    p->fill_row = ok ? end : p->fill_end;
}
