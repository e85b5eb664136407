// SPDX-License-Identifier: Apache-2.0
#include "loader/batch_maker.h"

#include "base/memory.h"
#include "image/image.h"
#include "loader/frame_crop.h"
#include <stdlib.h>
#include <string.h>

// A frame of the batch, and where in the batch it goes.
typedef struct WantedFrame {
    int64_t row, place; // place: sample * T + timestep
} WantedFrame;

// What m->reading counts in: more than there are cameras.
enum { READING_CAMERAS = 1 << 12 };

static void begin_reading(BatchMaker *m, int camera, int64_t row) {
    atomic_store(&m->reading, row * READING_CAMERAS + camera);
}

static void end_reading(BatchMaker *m) {
    atomic_store(&m->reading, -1);
}

bool batch_maker_reading(const BatchMaker *m, int *camera, int64_t *row) {
    int64_t now = atomic_load(&m->reading);
    *camera = (int)(now % READING_CAMERAS);
    *row = now / READING_CAMERAS;
    return now >= 0;
}

// Of a frame as it is read and kept.
static size_t camera_frame_bytes(const LoaderOptions *o, int camera) {
    return image_rgb_bytes(o->sizes[camera].height, o->sizes[camera].width);
}

// Of a frame as it is given out.
static size_t camera_given_bytes(const LoaderOptions *o, int camera) {
    const FrameCrop part = frame_crop_size(o, camera);
    return image_rgb_bytes(part.height, part.width);
}

// Opens this thread's reader, and allocates a frame as large as that of any camera.
CHECKED static bool open_reader(BatchMaker *m, Error *err) {
    const LoaderOptions *o = m->o;
    size_t most = 0;
    bool cropped = false;
    if (o->n_cameras == 0) return true;
    if (!frames_open(o->dataset, 0, 0, &m->frames, err)) return false;
    for (int c = 0; c < o->n_cameras; c++) {
        if (!frames_resize(m->frames, o->cameras[c], o->sizes[c], err)) return false;
        most = camera_frame_bytes(o, c) > most ? camera_frame_bytes(o, c) : most;
        cropped = cropped || frame_is_cropped(o, c);
    }
    m->frame = NEW(uint8_t, most);
    m->whole = cropped ? NEW(uint8_t, most) : NULL;
    m->transformed = cropped && o->transforms ? NEW(uint8_t, most) : NULL;
    return true;
}

bool batch_maker_init(BatchMaker *m, const LoaderOptions *o, Error *err) {
    *m = (BatchMaker){.o = o, .reading = -1};
    m->state_dim = o->state ? o->state->dim : 0;
    m->env_dim = o->env ? o->env->dim : 0;
    m->action_dim = o->action->dim;
    m->window = NEW(int64_t, o->window.horizon);
    m->state = NEW(double, o->window.horizon * m->state_dim);
    m->env = NEW(double, m->env_dim);
    m->action = NEW(double, window_action_rows(&o->window) * m->action_dim);
    m->wanted = NEW(WantedFrame, (int64_t)o->batch_size * o->window.horizon);
    m->cache_filled = o->n_cameras == 0;
    return open_reader(m, err);
}

void batch_maker_free(BatchMaker *m) {
    frames_close(m->frames);
    mem_free(m->window);
    mem_free(m->state);
    mem_free(m->env);
    mem_free(m->action);
    mem_free(m->wanted);
    mem_free(m->frame);
    mem_free(m->whole);
    mem_free(m->transformed);
    *m = (BatchMaker){0};
}

bool batch_alloc(Batch *b, const LoaderOptions *o, Error *err) {
    size_t n = (size_t)o->batch_size, T = (size_t)o->window.horizon,
           H = (size_t)window_action_rows(&o->window);
    *b = (Batch){.size = o->batch_size};
    b->rows = NEW(int64_t, n);
    b->state = o->state ? NEW(float, n *T *(size_t)o->state->dim) : NULL;
    b->env = o->env ? NEW(float, n *(size_t)o->env->dim) : NULL;
    b->action = NEW(float, n *H *(size_t)o->action->dim);
    b->action_is_pad = NEW(uint8_t, n * H);
    b->action_prefix = o->max_action_prefix ? NEW(int, n) : NULL;
    b->images = NEW(uint8_t *, o->n_cameras);
    for (int c = 0; c < o->n_cameras; c++) {
        const size_t bytes = n * T * camera_given_bytes(o, c);
        const FrameCrop given = frame_crop_size(o, c);
        b->images[c] = mem_try(bytes);
        if (!b->images[c])
            return fail(err,
                        "no memory for a batch of %d x %d frames of %dx%d; lower --batch_size or"
                        " --prefetch_factor",
                        o->batch_size, o->window.horizon, given.height, given.width);
        if (o->image_memory) o->image_memory(o->user, b->images[c], bytes, true);
    }
    return true;
}

void batch_free(Batch *b, const LoaderOptions *o) {
    const size_t frames = (size_t)o->batch_size * (size_t)o->window.horizon;
    for (int c = 0; b->images && c < o->n_cameras; c++) {
        const size_t bytes = frames * camera_given_bytes(o, c);
        if (o->image_memory && b->images[c]) o->image_memory(o->user, b->images[c], bytes, false);
        mem_free(b->images[c]);
    }
    mem_free(b->images);
    mem_free(b->rows);
    mem_free(b->state);
    mem_free(b->env);
    mem_free(b->action);
    mem_free(b->action_is_pad);
    mem_free(b->action_prefix);
    *b = (Batch){0};
}

// The window of sample i of the batch. With no frames between them all its observations are the
// newest.
static WindowSpec window_of(const LoaderOptions *o, const Batch *b, int i) {
    WindowSpec w = o->window;
    if (o->repeat && repeat_frames_at(o->repeat, b->epoch, b->rows[i])) w.down_sample = 0;
    return w;
}

// The T states of sample i. A dropped one is zeros as the model sees it, whatever the mode of the
// normalisation; actions stay relative to the state that was recorded.
static void fill_state(BatchMaker *m, Batch *b, int i, const WindowSpec *w) {
    const LoaderOptions *o = m->o;
    const int T = o->window.horizon;
    float *state = b->state + (int64_t)i * T * m->state_dim;
    if (state_dropout_at(o->state_dropout, b->epoch, b->rows[i])) {
        memset(state, 0, (size_t)T * (size_t)m->state_dim * sizeof *state);
        return;
    }
    window_state(o->dataset, w, b->rows[i], m->state);
    normalizer_apply(o->state, m->state, state, T);
}

static void fill_vectors(BatchMaker *m, Batch *b, int i) {
    const LoaderOptions *o = m->o;
    const WindowSpec w = window_of(o, b, i);
    int H = window_action_rows(&o->window);
    int64_t row = b->rows[i];
    if (o->state) fill_state(m, b, i, &w);
    if (o->env) {
        for (int k = 0; k < m->env_dim; k++) m->env[k] = o->dataset->env_data[row * m->env_dim + k];
        normalizer_apply(o->env, m->env, b->env + (int64_t)i * m->env_dim, 1);
    }
    window_action(o->dataset, &w, row, m->action, b->action_is_pad + (int64_t)i * H);
    normalizer_apply(o->action, m->action, b->action + (int64_t)i * H * m->action_dim, H);
    if (b->action_prefix)
        b->action_prefix[i] = action_prefix_at(o->seed, o->max_action_prefix, b->epoch, row);
}

// ---- frames -----------------------------------------------------------------------------------

static int by_row(const void *a, const void *b) {
    const WantedFrame *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

// Reads those of the rows first .. end-1 that are missing from the cache into it, until a frame
// cannot be read. False then.
static bool cache_rows(BatchMaker *m, int camera, int64_t first, int64_t end) {
    const LoaderOptions *o = m->o;
    Error unread;
    for (int64_t row = first; row < end; row++) {
        if (!frame_cache_holds(o->cache, row) || frame_cache_has(o->cache, camera, row)) continue;
        if (!frames_read(m->frames, o->cameras[camera], row, m->frame, &unread)) return false;
        frame_cache_put(o->cache, camera, row, m->frame);
    }
    return true;
}

// Reads a frame that is not in the cache, and puts it and the frames that decode with it there.
// Only a failure to read the wanted frame is an error: this batch does not need the others.
CHECKED static bool read_and_cache_segment(BatchMaker *m, int camera, int64_t row, uint8_t *rgb,
                                           Error *err) {
    const LoaderOptions *o = m->o;
    int64_t first, end;
    if (!frames_segment(m->frames, o->cameras[camera], row, &first, &end, err)) return false;
    bool sound = cache_rows(m, camera, first, row);
    if (!frames_read(m->frames, o->cameras[camera], row, rgb, err)) return false;
    frame_cache_put(o->cache, camera, row, rgb);
    if (sound) (void)cache_rows(m, camera, row + 1, end);
    return true;
}

CHECKED static bool read_frame(BatchMaker *m, int camera, int64_t row, uint8_t *rgb, Error *err) {
    const LoaderOptions *o = m->o;
    if (!o->cache || !frame_cache_holds(o->cache, row))
        return frames_read(m->frames, o->cameras[camera], row, rgb, err);
    return frame_cache_get(o->cache, camera, row, rgb) ||
           read_and_cache_segment(m, camera, row, rgb, err);
}

static uint8_t *place_of(const LoaderOptions *o, const Batch *b, int camera, int64_t place) {
    return b->images[camera] + (size_t)place * camera_given_bytes(o, camera);
}

CHECKED static bool read_images(BatchMaker *m, Batch *b, int camera, Error *err) {
    const LoaderOptions *o = m->o;
    int64_t n = (int64_t)b->size * o->window.horizon;
    const uint8_t *before = NULL;
    for (int64_t i = 0; i < n; i++) {
        const WantedFrame *w = &m->wanted[i];
        uint8_t *rgb = place_of(o, b, camera, w->place);
        begin_reading(m, camera, w->row);
        if (i > 0 && w->row == w[-1].row)
            memcpy(rgb, before, camera_frame_bytes(o, camera));
        else if (!read_frame(m, camera, w->row, rgb, err))
            return false;
        before = rgb;
    }
    return true;
}

// Transforms a whole frame as sample i of the batch has it.
static void transform_frame(BatchMaker *m, const Batch *b, int64_t i, int camera, uint8_t *rgb) {
    const FrameSize *size = &m->o->sizes[camera];
    DrawnTransform drawn[MAX_IMAGE_TRANSFORMS];
    int n = image_transforms_draw(m->o->transforms, b->epoch, b->rows[i], camera, size->height,
                                  size->width, drawn);
    for (int k = 0; k < n; k++)
        image_transform_apply(&drawn[k], rgb, size->height, size->width, m->frame);
}

static void transform_images(BatchMaker *m, Batch *b, int camera) {
    const int64_t T = m->o->window.horizon, n = b->size * T;
    for (int64_t place = 0; place < n; place++)
        transform_frame(m, b, place / T, camera, place_of(m->o, b, camera, place));
}

// Reads whole frames, which are transformed and cropped one by one. Samples that share a frame see
// other parts of it.
CHECKED static bool read_cropped_images(BatchMaker *m, Batch *b, int camera, Error *err) {
    const LoaderOptions *o = m->o;
    const int64_t T = o->window.horizon, n = b->size * T;
    for (int64_t i = 0; i < n; i++) {
        const WantedFrame *w = &m->wanted[i];
        const int64_t sample = w->place / T;
        const uint8_t *frame = m->whole;
        begin_reading(m, camera, w->row);
        if ((i == 0 || w->row != w[-1].row) && !read_frame(m, camera, w->row, m->whole, err))
            return false;
        if (o->transforms) {
            memcpy(m->transformed, m->whole, camera_frame_bytes(o, camera));
            transform_frame(m, b, sample, camera, m->transformed);
            frame = m->transformed;
        }
        frame_crop_copy(o, camera, frame_crop_place(o, b->epoch, b->rows[sample], camera), frame,
                        place_of(o, b, camera, w->place));
    }
    return true;
}

CHECKED static bool fill_images(BatchMaker *m, Batch *b, Error *err) {
    const LoaderOptions *o = m->o;
    int64_t T = o->window.horizon, n = b->size * T;
    for (int i = 0; i < b->size; i++) {
        const WindowSpec w = window_of(o, b, i);
        window_rows(o->dataset, &w, b->rows[i], m->window);
        for (int64_t t = 0; t < T; t++)
            m->wanted[i * T + t] = (WantedFrame){m->window[t], i * T + t};
    }
    qsort(m->wanted, (size_t)n, sizeof *m->wanted, by_row);
    for (int c = 0; c < o->n_cameras; c++) {
        const bool cropped = frame_is_cropped(o, c);
        bool read = cropped ? read_cropped_images(m, b, c, err) : read_images(m, b, c, err);
        end_reading(m);
        if (!read) return false;
        if (o->transforms && !cropped) transform_images(m, b, c);
    }
    return true;
}

bool batch_maker_fill(BatchMaker *m, Batch *b, Error *err) {
    for (int i = 0; i < b->size; i++) fill_vectors(m, b, i);
    return fill_images(m, b, err);
}

// ---- between batches --------------------------------------------------------------------------

bool batch_maker_may_fill_cache(const BatchMaker *m) {
    return m->o->cache && !m->cache_filled;
}

void batch_maker_fill_cache(BatchMaker *m) {
    const LoaderOptions *o = m->o;
    int64_t first, end, episode;
    Error unread;
    while (m->fill_row < m->fill_end && (!frame_cache_holds(o->cache, m->fill_row) ||
                                         frame_cache_has(o->cache, m->fill_camera, m->fill_row)))
        m->fill_row++;
    if (m->fill_row == m->fill_end) {
        m->cache_filled = !frame_cache_next_episode(o->cache, &m->fill_camera, &episode);
        if (m->cache_filled) return;
        const Episode *e = &o->dataset->episodes[episode];
        m->fill_row = e->first_row;
        m->fill_end = e->first_row + e->length;
        return;
    }
    begin_reading(m, m->fill_camera, m->fill_row);
    bool ok =
        frames_segment(m->frames, o->cameras[m->fill_camera], m->fill_row, &first, &end, &unread) &&
        cache_rows(m, m->fill_camera, first, end);
    end_reading(m);
    m->fill_row = ok ? end : m->fill_end;
}
