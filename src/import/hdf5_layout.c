// SPDX-License-Identifier: Apache-2.0
// What one episode has: its arrays are looked at, none is read but a first frame of image files.
#include "base/array.h"
#include "import/hdf5_image.h"
#include "import/hdf5_source.h"

#include <string.h>

// The longest vector that a dataset of LeRobot's can have here (MAX_VECTOR of dataset/dataset.h),
// and the largest side of an image.
enum { MOST_VALUES = 4096, MOST_SIDE = 16384 };

Hdf5Layout layout_begin(Arena *arena, const Hdf5 *file, const char *group) {
    const char *path = hdf5_path(file);
    return (Hdf5Layout){
        .arena = arena,
        .file = file,
        .group = group,
        .where = group[0] ? arena_printf(arena, "%s: %s", path, group) : arena_strdup(arena, path),
    };
}

const char *layout_path(const Hdf5Layout *l, const char *array) {
    return arena_printf(l->arena, "%s%s%s", l->group, l->group[0] ? "/" : "", array);
}

// The shape of an array, as long as the others of its episode.
static bool find_shape(Hdf5Layout *l, const char *array, Hdf5Shape *s, Error *err) {
    const char *path = layout_path(l, array);
    Hdf5Kind kind = hdf5_kind(l->file, path);
    if (kind != HDF5_ARRAY)
        return fail(err, "%s: %s %s; record or copy it again", l->where,
                    kind == HDF5_MISSING ? "there is no" : "no array is", array);
    if (!hdf5_shape(l->file, path, s, err)) return false;
    if (s->rank == 0) return fail(err, "%s: %s is a single value, no rows", l->where, array);
    if (s->dims[0] < 1)
        return fail(err, "%s: %s has no rows; an empty episode must be removed", l->where, array);
    if (!l->first) {
        l->first = array;
        l->length = s->dims[0];
    }
    return s->dims[0] == l->length ||
           fail(err,
                "%s: %s has %lld rows, but %s has %lld; the arrays of an episode must be as long: "
                "record it again, or remove it",
                l->where, array, (long long)s->dims[0], l->first, (long long)l->length);
}

bool layout_add_vector(Hdf5Layout *l, ImportVector vector, Error *err) {
    Hdf5Shape s;
    if (!find_shape(l, vector.name, &s, err)) return false;
    if (!s.numbers || s.rank > 2)
        return fail(err, "%s: %s is of %s with %d dimensions, but must be numbers (rows, values)",
                    l->where, vector.name, s.dtype, s.rank);
    int64_t dim = s.rank == 2 ? s.dims[1] : 1;
    if (dim < 1 || dim > MOST_VALUES)
        return fail(err, "%s: %s has %lld values a row, but must have 1 to %d", l->where,
                    vector.name, (long long)dim, MOST_VALUES);
    vector.dim = (int)dim;
    vector.dtype = arena_strdup(l->arena, s.dtype);
    *ARENA_ARRAY_ADD(l->arena, l->vectors, l->n_vectors, l->vector_room) = vector;
    return true;
}

// Height, width and codec of a camera whose rows are image files, from the first.
static bool look_at_file(Hdf5Layout *l, const char *array, ImportCamera *camera, Error *err) {
    Hdf5Rows *rows;
    EncodedImage file;
    uint8_t *bytes;
    size_t size;
    if (!hdf5_rows_open(l->file, layout_path(l, array), &rows, err)) return false;
    bool ok = hdf5_rows_read(rows, 0, &bytes, &size, err);
    hdf5_rows_close(rows);
    if (!ok) return false;
    ok = encoded_image_look(bytes, size, &file);
    mem_free(bytes);
    if (!ok)
        return fail(err,
                    "%s: %s: row 0 is neither a whole JPEG nor a whole PNG file; images are "
                    "(rows, height, width, 3) or image files, in uint8",
                    l->where, array);
    camera->height = file.height;
    camera->width = file.width;
    camera->codec = file.codec;
    return true;
}

bool layout_add_camera(Hdf5Layout *l, const char *array, const char *name, const char *feature,
                       Error *err) {
    Hdf5Shape s;
    ImportCamera camera = {.name = name, .feature = feature};
    if (!find_shape(l, array, &s, err)) return false;
    bool raw = s.bytes && s.rank == 4 && s.dims[3] == 3;
    if (!raw && !s.pieces && !(s.bytes && s.rank == 2))
        return fail(err,
                    "%s: %s is of %s with %d dimensions; images are (rows, height, width, 3) or "
                    "image files, in uint8",
                    l->where, array, s.dtype, s.rank);
    if (raw) {
        if (s.dims[1] < 1 || s.dims[2] < 1 || s.dims[1] > MOST_SIDE || s.dims[2] > MOST_SIDE)
            return fail(err, "%s: %s: images of %lld x %lld; each side must have 1 to %d pixels",
                        l->where, array, (long long)s.dims[1], (long long)s.dims[2], MOST_SIDE);
        camera.height = (int)s.dims[1];
        camera.width = (int)s.dims[2];
        camera.codec = s.codec;
    } else if (!look_at_file(l, array, &camera, err)) {
        return false;
    }
    int cameras = l->n_cameras;
    *ARENA_ARRAY_ADD(l->arena, l->cameras, l->n_cameras, l->camera_room) = camera;
    *ARENA_ARRAY_ADD(l->arena, l->camera_arrays, cameras, l->source_room) =
        (Hdf5Camera){array, !raw};
    return true;
}

void layout_leave_out_as(Hdf5Layout *l, const char *reason) {
    *ARENA_ARRAY_ADD(l->arena, l->left_out, l->n_left_out, l->left_room) = reason;
}

void layout_leave_out(Hdf5Layout *l, const char *array) {
    Hdf5Shape s;
    Error why;
    const char *path = layout_path(l, array);
    const char *reason =
        hdf5_kind(l->file, path) != HDF5_ARRAY ? arena_printf(l->arena, "%s is no array", array)
        : hdf5_shape(l->file, path, &s, &why)
            ? arena_printf(l->arena, "%s is of %s with %d dimensions", array, s.dtype, s.rank)
            : arena_strdup(l->arena, why.text);
    layout_leave_out_as(l, reason);
}
