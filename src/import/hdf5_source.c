// SPDX-License-Identifier: Apache-2.0
#include "import/hdf5_source.h"

#include "base/array.h"
#include "import/hdf5_image.h"
#include <math.h>
#include <string.h>

// Where an episode lies.
typedef struct Hdf5Place {
    const char *file, *group;
} Hdf5Place;

// ---- episodes -----------------------------------------------------------------------------------

// Whether an episode has the vectors and cameras of the first, in the same order and sizes.
static bool is_like_first(const Hdf5Layout *first, const Hdf5Layout *l, Error *err) {
    for (int i = 0; i < first->n_vectors || i < l->n_vectors; i++) {
        const ImportVector *a = i < first->n_vectors ? &first->vectors[i] : NULL;
        const ImportVector *b = i < l->n_vectors ? &l->vectors[i] : NULL;
        if (a && b && strcmp(a->name, b->name) == 0) {
            if (a->dim == b->dim) continue;
            return fail(err, "%s: %s has %d values a row, but %d in %s; remove one of the two",
                        l->where, b->name, b->dim, a->dim, first->where);
        }
        return fail(err, "%s: %s is in only one of it and %s; all episodes must have the same",
                    l->where, a ? a->name : b->name, first->where);
    }
    for (int i = 0; i < first->n_cameras || i < l->n_cameras; i++) {
        const ImportCamera *a = i < first->n_cameras ? &first->cameras[i] : NULL;
        const ImportCamera *b = i < l->n_cameras ? &l->cameras[i] : NULL;
        if (a && b && strcmp(a->name, b->name) == 0) {
            if (first->camera_arrays[i].files != l->camera_arrays[i].files)
                return fail(err,
                            "%s: images of %s are stored as %s, but as %s in %s; import them apart",
                            l->where, b->name, b->codec, a->codec, first->where);
            if (a->height == b->height && a->width == b->width) continue;
            return fail(err,
                        "%s: images of %s are %d x %d, but %d x %d in %s; remove one of the two",
                        l->where, b->name, b->height, b->width, a->height, a->width, first->where);
        }
        return fail(err,
                    "%s: camera %s is in only one of it and %s; all episodes must have the same",
                    l->where, a ? a->name : b->name, first->where);
    }
    return true;
}

// Files may have a vector in other types: its type is then the first that float32 does not hold.
static void widen(Hdf5Source *h, const Hdf5Layout *l) {
    for (int i = 0; i < l->n_vectors; i++) {
        ImportVector *v = &h->layout.vectors[i];
        if (!import_fits_float32(v->dtype) || import_fits_float32(l->vectors[i].dtype)) continue;
        v->dtype = arena_strdup(&h->arena, l->vectors[i].dtype);
    }
}

bool hdf5_source_add(Hdf5Source *h, const Hdf5Layout *layout, ImportEpisode episode, Error *err) {
    if (h->n == 0)
        h->layout = *layout;
    else if (!is_like_first(&h->layout, layout, err))
        return false;
    widen(h, layout);
    int64_t places = h->n;
    episode.length = layout->length;
    *ARENA_ARRAY_ADD(&h->arena, h->places, places, h->place_room) = (Hdf5Place){
        arena_strdup(&h->arena, hdf5_path(layout->file)), arena_strdup(&h->arena, layout->group)};
    *ARENA_ARRAY_ADD(&h->arena, h->episodes, h->n, h->room) = episode;
    return true;
}

void hdf5_source_fill(ImportSource *source, Hdf5Source *h) {
    source->n_episodes = h->n;
    source->episodes = h->episodes;
    source->n_vectors = h->layout.n_vectors;
    source->vectors = h->layout.vectors;
    source->n_cameras = h->layout.n_cameras;
    source->cameras = h->layout.cameras;
    source->n_left_out = h->layout.n_left_out;
    source->left_out = h->layout.left_out;
    source->data = h;
}

void hdf5_source_free(Hdf5Source *h) {
    hdf5_close(h->open);
    arena_free(&h->arena);
    mem_free(h);
}

void hdf5_source_close(ImportSource *source) {
    hdf5_source_free(source->data);
}

// ---- vectors ------------------------------------------------------------------------------------

static const char *path_of(const Hdf5Place *p, const char *array, Arena *arena) {
    return arena_printf(arena, "%s%s%s", p->group, p->group[0] ? "/" : "", array);
}

// The file of a place, left open for the vectors that are read after this one.
static const Hdf5 *file_of(Hdf5Source *h, const Hdf5Place *p, Error *err) {
    if (h->open && strcmp(hdf5_path(h->open), p->file) == 0) return h->open;
    hdf5_close(h->open);
    h->open = NULL;
    return hdf5_open(p->file, &h->open, err) ? h->open : NULL;
}

// Whether an array still is what it was when the source was opened: the file may have been changed.
static bool is_unchanged(const Hdf5 *f, const char *array, const ImportVector *v, int64_t length,
                         Error *err) {
    Hdf5Shape s;
    if (!hdf5_shape(f, array, &s, err)) return false;
    bool same = s.numbers && s.rank >= 1 && s.rank <= 2 && s.dims[0] == length &&
                (s.rank == 2 ? s.dims[1] : 1) == v->dim;
    return same ||
           fail(err, "%s: %s: it was changed while it was read; begin again", hdf5_path(f), array);
}

bool hdf5_source_vector(ImportSource *source, int64_t episode, int vector, double *out,
                        Error *err) {
    Hdf5Source *h = source->data;
    const Hdf5Place *p = &h->places[episode];
    const ImportVector *v = &source->vectors[vector];
    int64_t length = source->episodes[episode].length;
    Arena scratch = {0};
    const char *array = path_of(p, v->name, &scratch);
    const Hdf5 *f = file_of(h, p, err);
    bool ok = f && is_unchanged(f, array, v, length, err) &&
              hdf5_read_doubles(f, array, 0, length, out, err);
    for (int64_t i = 0; ok && i < length * v->dim; i++) {
        if (!isfinite(out[i]))
            ok = fail(err,
                      "%s: %s: value %lld of row %lld is %f; correct it, or leave the episode out",
                      p->file, array, (long long)(i % v->dim), (long long)(i / v->dim), out[i]);
    }
    arena_free(&scratch);
    return ok;
}

// ---- frames -------------------------------------------------------------------------------------

// The open arrays of an episode's cameras.
typedef struct Hdf5Cursor {
    int64_t episode;
    int n;
    Hdf5Rows *rows[]; // (n), NULL: not open
} Hdf5Cursor;

void hdf5_source_cursor_free(void *cursor) {
    Hdf5Cursor *c = cursor;
    for (int i = 0; c && i < c->n; i++) hdf5_rows_close(c->rows[i]);
    mem_free(c);
}

static Hdf5Cursor *cursor_at(void **cursor, int cameras, int64_t episode) {
    Hdf5Cursor *c = *cursor;
    if (c && c->episode == episode) return c;
    hdf5_source_cursor_free(c);
    *cursor = c = mem_alloc(sizeof *c + sizeof(Hdf5Rows *) * (size_t)cameras);
    *c = (Hdf5Cursor){.episode = episode, .n = cameras};
    return c;
}

static bool open_rows(const Hdf5Place *p, const char *array, Hdf5Rows **out, Error *err) {
    Arena scratch = {0};
    Hdf5 *f;
    if (!hdf5_open(p->file, &f, err)) return false;
    bool ok = hdf5_rows_open(f, path_of(p, array, &scratch), out, err);
    hdf5_close(f);
    arena_free(&scratch);
    return ok;
}

static bool read_row(ImportSource *source, void **cursor, int64_t episode, int camera, int64_t row,
                     uint8_t **bytes, size_t *size, Error *err) {
    const Hdf5Source *h = source->data;
    Hdf5Cursor *c = cursor_at(cursor, source->n_cameras, episode);
    if (!c->rows[camera] && !open_rows(&h->places[episode], h->layout.camera_arrays[camera].array,
                                       &c->rows[camera], err))
        return false;
    return hdf5_rows_read(c->rows[camera], row, bytes, size, err);
}

static bool fail_frame(const ImportSource *source, int64_t episode, int camera, int64_t row,
                       const char *what, Error *err) {
    const Hdf5Source *h = source->data;
    const Hdf5Place *p = &h->places[episode];
    return fail(err, "%s: %s%s%s: row %lld: %.400s", p->file, p->group, p->group[0] ? "/" : "",
                h->layout.camera_arrays[camera].array, (long long)row, what);
}

static void swap_red_and_blue(Image *image) {
    uint8_t *end = image->rgb + image_rgb_bytes(image->height, image->width);
    for (uint8_t *p = image->rgb; p < end; p += 3) {
        uint8_t red = p[0];
        p[0] = p[2];
        p[2] = red;
    }
}

static bool decode_file(ImportSource *source, int64_t episode, int camera, int64_t row,
                        const uint8_t *bytes, size_t size, Image *out, Error *err) {
    EncodedImage file;
    Error why;
    if (!encoded_image_look(bytes, size, &file))
        return fail_frame(source, episode, camera, row, "no whole JPEG or PNG file", err);
    if (!source->decode(bytes, file.size, source->cameras[camera].name, out, &why))
        return fail_frame(source, episode, camera, row, why.text, err);
    if (source->red_is_blue) swap_red_and_blue(out);
    return true;
}

bool hdf5_source_frame(ImportSource *source, void **cursor, int64_t episode, int camera,
                       int64_t row, Image *out, Error *err) {
    const Hdf5Source *h = source->data;
    const ImportCamera *c = &source->cameras[camera];
    uint8_t *bytes;
    size_t size;
    *out = (Image){0};
    if (!read_row(source, cursor, episode, camera, row, &bytes, &size, err)) return false;
    bool ok = true;
    if (h->layout.camera_arrays[camera].files) {
        ok = decode_file(source, episode, camera, row, bytes, size, out, err);
        mem_free(bytes);
    } else if (size == image_rgb_bytes(c->height, c->width)) {
        *out = (Image){c->height, c->width, bytes};
    } else {
        mem_free(bytes);
        ok = fail_frame(source, episode, camera, row, "another size than the first frame", err);
    }
    if (!ok || (out->height == c->height && out->width == c->width)) return ok;
    mem_free(out->rgb);
    *out = (Image){0};
    return fail_frame(source, episode, camera, row, "another size than the first frame", err);
}

bool hdf5_source_stored(ImportSource *source, void **cursor, int64_t episode, int camera,
                        int64_t row, uint8_t **bytes, size_t *size, Error *err) {
    const Hdf5Source *h = source->data;
    EncodedImage file;
    *bytes = NULL;
    *size = 0;
    if (!h->layout.camera_arrays[camera].files || source->red_is_blue) return true;
    if (!read_row(source, cursor, episode, camera, row, bytes, size, err)) return false;
    if (encoded_image_look(*bytes, *size, &file)) {
        *size = file.size;
        return true;
    }
    mem_free(*bytes);
    *bytes = NULL;
    return fail_frame(source, episode, camera, row, "no whole JPEG or PNG file", err);
}
