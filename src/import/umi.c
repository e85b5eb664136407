// SPDX-License-Identifier: Apache-2.0
// UMI's replay buffer, and diffusion policy's, of which it is a kind: a zarr group in which all
// episodes lie one behind the other in the arrays of data/, and meta/episode_ends says where each
// ends. UMI's has poses of arms (robotN_eef_pos, robotN_eef_rot_axis_angle, robotN_gripper_width)
// and no actions, the other one data/action and data/state.
#include "import/umi.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char ends_name[] = "meta/episode_ends";

// ---- episodes -----------------------------------------------------------------------------------

CHECKED static bool read_ends(Umi *u, int64_t **ends, int64_t *n, Error *err) {
    ZarrArray a;
    ZarrCursor cursor = {0};
    int64_t bad = -1;
    if (!zarr_array(&u->group, ends_name, &a, err)) return false;
    if (a.rank != 1 || (a.kind != 'i' && a.kind != 'u'))
        return fail(err, "%s: %s is no list of whole numbers: the file is damaged", u->group.path,
                    ends_name);
    if (a.shape[0] == 0) return fail(err, "%s: has no episodes", u->group.path);
    if (!zarr_complete(&u->group, &a, a.shape[0], err)) return false;
    size_t bytes = (size_t)a.shape[0] * 8;
    uint8_t *numbers = mem_try_raw(bytes);
    double *values = mem_try_raw(bytes);
    bool ok = (numbers && values) || fail_memory(err, "%s: %s", u->group.path, ends_name);
    ok = ok && zarr_rows(&u->group, &a, &cursor, 0, a.shape[0], numbers, err);
    ok = ok && (zarr_doubles(&a, numbers, a.shape[0], values, &bad) ||
                fail(err, "%s: %s has a number at place %lld that is no row: the file is damaged",
                     u->group.path, ends_name, (long long)bad));
    for (int64_t i = 0; ok && i < a.shape[0]; i++) {
        int64_t end = (int64_t)values[i];
        memcpy(numbers + 8 * i, &end, 8);
    }
    zarr_cursor_free(&cursor);
    mem_free(values);
    *ends = (int64_t *)numbers;
    *n = a.shape[0];
    return ok;
}

// Episodes follow each other without a gap and end where the data end.
CHECKED static bool check_ends(const Umi *u, const int64_t *ends, int64_t n, Error *err) {
    int64_t before = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ends[i] <= before)
            return fail(err,
                        "%s: %s does not increase: episode %lld ends at row %lld, the one before "
                        "it at %lld; the file is damaged",
                        u->group.path, ends_name, (long long)i, (long long)ends[i],
                        (long long)before);
        if (ends[i] > u->rows)
            return fail(err,
                        "%s: %s has episode %lld end at row %lld, but the arrays of data/ have "
                        "%lld rows: the file is cut short, copy it again from where it is whole",
                        u->group.path, ends_name, (long long)i, (long long)ends[i],
                        (long long)u->rows);
        before = ends[i];
    }
    return before == u->rows ||
           fail(err,
                "%s: %s ends at row %lld, but the arrays of data/ have %lld rows: %lld rows are "
                "in no episode; cut the arrays to the episodes, or add the end that is missing",
                u->group.path, ends_name, (long long)before, (long long)u->rows,
                (long long)(u->rows - before));
}

CHECKED static bool list_episodes(Umi *u, ImportSource *s, Error *err) {
    int64_t *ends = NULL, n = 0;
    bool ok = read_ends(u, &ends, &n, err) && check_ends(u, ends, n, err);
    if (ok) {
        ImportEpisode *episodes = arena_alloc(&u->arena, (size_t)n * sizeof *episodes);
        u->starts = arena_alloc(&u->arena, (size_t)n * sizeof *u->starts);
        for (int64_t i = 0; i < n; i++) {
            u->starts[i] = i ? ends[i - 1] : 0;
            episodes[i].length = ends[i] - u->starts[i];
            episodes[i].name =
                arena_printf(&u->arena, "episode %lld (rows %lld to %lld)", (long long)i,
                             (long long)u->starts[i], (long long)ends[i] - 1);
        }
        s->episodes = episodes;
        s->n_episodes = n;
    }
    mem_free(ends);
    return ok;
}

// ---- vectors ------------------------------------------------------------------------------------

CHECKED static bool check_finite(const ImportSource *s, const ZarrArray *a, int64_t episode,
                                 const double *values, int64_t n, Error *err) {
    const Umi *u = s->data;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(values[i])) continue;
        int64_t row = i / a->row;
        return fail(err,
                    "%s: %s: value %lld of episode %lld, row %lld (row %lld of the array) is %g: "
                    "take that episode out of the recording, or write a number there",
                    s->path, a->name, (long long)(i % a->row), (long long)episode, (long long)row,
                    (long long)(u->starts[episode] + row), values[i]);
    }
    return true;
}

static bool umi_vector(ImportSource *s, int64_t episode, int vector, double *out, Error *err) {
    Umi *u = s->data;
    const ZarrArray *a = &u->vectors[vector];
    int64_t length = s->episodes[episode].length, n = length * a->row, bad = -1;
    uint8_t *numbers = mem_try_raw((size_t)n * (size_t)a->item);
    bool ok =
        numbers || fail_memory(err, "%s: %lld rows of %s", s->path, (long long)length, a->name);
    ok = ok &&
         zarr_rows(&u->group, a, &u->cursors[vector], u->starts[episode], length, numbers, err);
    ok = ok && (zarr_doubles(a, numbers, n, out, &bad) ||
                fail(err,
                     "%s: %s: value %lld of episode %lld, row %lld is a whole number of 2^53 or "
                     "beyond, which a dataset does not hold: write the array again as float64",
                     s->path, a->name, (long long)(bad % a->row), (long long)episode,
                     (long long)(bad / a->row)));
    mem_free(numbers);
    return ok && check_finite(s, a, episode, out, n, err);
}

// ---- frames -------------------------------------------------------------------------------------

typedef struct FrameCursor {
    ZarrCursor zarr;
    uint8_t *numbers; // a frame's, where they are no bytes
    double *values;
} FrameCursor;

// Colours in numbers of another type: whole numbers from 0 to 255, as NumPy made them of bytes.
CHECKED static bool read_numbers(Umi *u, const ZarrArray *a, FrameCursor *c, int64_t row,
                                 Image *out, Error *err) {
    int64_t bad;
    size_t n = (size_t)a->row;
    mem_free(c->numbers);
    mem_free(c->values);
    c->numbers = mem_try_raw(n * (size_t)a->item);
    c->values = mem_try_raw(n * sizeof *c->values);
    if (!c->numbers || !c->values)
        return fail_memory(err, "%s: a frame of %s", u->group.path, a->name);
    if (!zarr_rows(&u->group, a, &c->zarr, row, 1, c->numbers, err)) return false;
    bool ok = zarr_doubles(a, c->numbers, a->row, c->values, &bad);
    for (size_t i = 0; i < n && ok; i++) {
        double v = c->values[i];
        ok = v >= 0 && v <= 255 && v == floor(v);
        if (ok)
            out->rgb[i] = (uint8_t)v;
        else
            return fail(err,
                        "%s: %s has the colour %g, but colours are whole numbers from 0 to 255: "
                        "write the array again as uint8",
                        u->group.path, a->name, v);
    }
    return ok;
}

static bool umi_frame(ImportSource *s, void **cursor, int64_t episode, int camera, int64_t row,
                      Image *out, Error *err) {
    Umi *u = s->data;
    const ZarrArray *a = &u->cameras[camera];
    if (!*cursor) *cursor = NEW(FrameCursor, 1);
    FrameCursor *c = *cursor;
    int64_t at = u->starts[episode] + row;
    Error why;
    *out = (Image){.height = (int)a->shape[1], .width = (int)a->shape[2]};
    out->rgb = mem_try_raw(image_rgb_bytes(out->height, out->width));
    if (!out->rgb) return fail_memory(err, "%s: a frame of %s", s->path, a->name);
    bool bytes = a->kind == 'u' && a->item == 1;
    bool ok = bytes ? zarr_rows(&u->group, a, &c->zarr, at, 1, out->rgb, &why)
                    : read_numbers(u, a, c, at, out, &why);
    if (ok) return true;
    image_free(out);
    return fail_because(err, &why, "%.900s (episode %lld, row %lld)", why.text, (long long)episode,
                        (long long)row);
}

static bool umi_stored(ImportSource *s, void **cursor, int64_t episode, int camera, int64_t row,
                       uint8_t **bytes, size_t *size, Error *err) {
    Umi *u = s->data;
    const ZarrArray *a = &u->cameras[camera];
    *bytes = NULL;
    *size = 0;
    bool file = a->codec.kind == CODEC_JPEG || a->codec.kind == CODEC_PNG;
    if (!file || a->chunk[1] != a->shape[1] || a->chunk[2] != a->shape[2]) return true;
    if (!*cursor) *cursor = NEW(FrameCursor, 1);
    FrameCursor *c = *cursor;
    size_t n = 0;
    if (!zarr_stored(&u->group, a, &c->zarr, u->starts[episode] + row, &n, err)) return false;
    if (n == 0) return true; // frame says what is wrong
    *bytes = mem_alloc(n);
    *size = n;
    memcpy(*bytes, c->zarr.packed, n);
    return true;
}

static void umi_cursor_free(void *cursor) {
    FrameCursor *c = cursor;
    if (!c) return;
    zarr_cursor_free(&c->zarr);
    mem_free(c->numbers);
    mem_free(c->values);
    mem_free(c);
}

// ---- the form -----------------------------------------------------------------------------------

static bool umi_recognise(const char *path) {
    static const char *const arrays[] = {ends_name, NULL};
    return zarr_has(path, arrays);
}

static void umi_close(ImportSource *s) {
    Umi *u = s->data;
    if (!u) return;
    for (int i = 0; i < s->n_vectors && u->cursors; i++) zarr_cursor_free(&u->cursors[i]);
    zarr_close(&u->group);
    arena_free(&u->arena);
    mem_free(u);
    s->data = NULL;
}

static bool umi_open(ImportSource *s, Error *err) {
    Umi *u = NEW(Umi, 1);
    s->data = u;
    if (zarr_open(&u->group, s->path, s->decode, err) && umi_list_arrays(u, s, err) &&
        list_episodes(u, s, err)) {
        u->cursors = arena_alloc(&u->arena, (size_t)s->n_vectors * sizeof *u->cursors + 1);
        return true;
    }
    umi_close(s);
    return false;
}

const ImportForm umi_form = {
    .name = "UMI or diffusion policy replay buffer (zarr)",
    .what = "a zarr group with data/ and meta/episode_ends",
    .recognise = umi_recognise,
    .open = umi_open,
    .vector = umi_vector,
    .frame = umi_frame,
    .stored = umi_stored,
    .cursor_free = umi_cursor_free,
    .close = umi_close,
};
