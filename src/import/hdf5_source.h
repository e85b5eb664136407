// SPDX-License-Identifier: Apache-2.0
// What the forms in HDF5 have in common: an episode is a group of a file in which lie arrays of
// equal length, the same ones in every episode. A form says which; reading them is the same.
#ifndef TACT_IMPORT_HDF5_SOURCE_H
#define TACT_IMPORT_HDF5_SOURCE_H

#include "import/hdf5.h"
#include "import/source.h"

typedef struct Hdf5Camera {
    const char *array; // below the episode's group
    bool files;        // a row is an image file; else it is (height, width, 3)
} Hdf5Camera;

// What one episode has. Everything lies in the arena.
typedef struct Hdf5Layout {
    Arena *arena;
    const Hdf5 *file;
    const char *group; // "": the file itself; "data/demo_0"
    const char *where; // of messages: "FILE", "FILE: data/demo_0"
    const char *first; // the array that said how long the episode is
    int64_t length;
    int n_vectors, n_cameras, n_left_out;
    int64_t vector_room, camera_room, source_room, left_room;
    ImportVector *vectors; // name: the array below the group
    ImportCamera *cameras;
    Hdf5Camera *camera_arrays; // (n_cameras)
    const char **left_out;     // (n_left_out) as in ImportSource
} Hdf5Layout;

// Begins the layout of an episode. file and group must last as long as the layout is added to.
Hdf5Layout layout_begin(Arena *arena, const Hdf5 *file, const char *group);
// The name of an array of the episode within its file, in the arena.
const char *layout_path(const Hdf5Layout *l, const char *array);
// Adds a vector: its name is the array below the group; dim and dtype are found out. A vector of
// one dimension has dim 1. The first that is added says how long the episode is.
CHECKED bool layout_add_vector(Hdf5Layout *l, ImportVector vector, Error *err);
// Adds a camera: height, width and codec are found out.
CHECKED bool layout_add_camera(Hdf5Layout *l, const char *array, const char *name,
                               const char *feature, Error *err);
// Adds what nothing is made of, with the reason: "obs/x is of float32 with 4 dimensions".
void layout_leave_out(Hdf5Layout *l, const char *array);
// The same with a reason of the form's own, which is static or lies in the arena.
void layout_leave_out_as(Hdf5Layout *l, const char *reason);

// The reader's data of an ImportSource.
typedef struct Hdf5Source {
    Arena arena;
    Hdf5Layout layout; // of the first episode; its file is closed
    int64_t n, room, place_room;
    ImportEpisode *episodes;
    struct Hdf5Place *places; // (n)
    Hdf5 *open;               // the file that a vector was last read from
} Hdf5Source;

// Adds an episode, which must have what the first has.
CHECKED bool hdf5_source_add(Hdf5Source *h, const Hdf5Layout *layout, ImportEpisode episode,
                             Error *err);
// Gives the source what h has, and h, which is of NEW, as its data.
void hdf5_source_fill(ImportSource *source, Hdf5Source *h);
void hdf5_source_free(Hdf5Source *h);

// The functions of an ImportForm.
bool hdf5_source_vector(ImportSource *source, int64_t episode, int vector, double *out, Error *err);
bool hdf5_source_frame(ImportSource *source, void **cursor, int64_t episode, int camera,
                       int64_t row, Image *out, Error *err);
bool hdf5_source_stored(ImportSource *source, void **cursor, int64_t episode, int camera,
                        int64_t row, uint8_t **bytes, size_t *size, Error *err);
void hdf5_source_cursor_free(void *cursor);
void hdf5_source_close(ImportSource *source);

#endif
