// SPDX-License-Identifier: Apache-2.0
// Demonstrations in forms of others (UMI's zarr, ACT's and robomimic's HDF5) behind one struct:
// episodes, vectors by name, frames by camera and row. They are read to be converted (convert.h);
// nothing else in tact knows them.
//
// A form is a file of this folder, recognised by what a file or folder holds and never by its name.
// Those that need libraries of their own (libhdf5, libblosc, libjxl) are in the module tact_import
// (base/module.h), and import_open fails where it cannot be loaded, naming the packages. A source
// is never written to.
#ifndef TACT_IMPORT_SOURCE_H
#define TACT_IMPORT_SOURCE_H

#include "base/error.h"
#include "image/image.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// What a vector becomes in a LeRobot dataset.
typedef enum ImportRole {
    IMPORT_STATE,       // a part of observation.state, in the order in which they are listed
    IMPORT_ENVIRONMENT, // a part of observation.environment_state
    IMPORT_ACTION,      // a part of action
    IMPORT_EXTRA,       // a feature of its own, named feature
} ImportRole;

// A vector that the source has at every row of every episode.
typedef struct ImportVector {
    const char *name;    // in the source: "robot0_eef_pos", "observations/qpos"
    const char *feature; // of an IMPORT_EXTRA: "observation.velocity"; else NULL
    const char *dtype;   // in the source, NumPy's spelling: "float32", "float64"
    ImportRole role;
    int dim;
    const char *const *names; // (dim) of its values: "x", "left_waist"; NULL: none known
    const char *unit;         // for people: "m", "rad", "m, rad"; NULL: not known
} ImportVector;

// Whether float32 holds every value of a vector's type.
static inline bool import_fits_float32(const char *dtype) {
    static const char *const types[] = {"float32", "float16", "bool",  "int8",
                                        "uint8",   "int16",   "uint16"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], dtype) == 0) return true;
    return false;
}

typedef struct ImportCamera {
    const char *name;    // in the source: "camera0_rgb", "cam_high"
    const char *feature; // "observation.images.camera0"
    const char *codec;   // for people: "JPEG XL", "blosc lz4", "JPEG", "none"
    int height, width;
} ImportCamera;

typedef struct ImportEpisode {
    int64_t length;   // rows, at least one
    const char *name; // in the source, for people: "episode_3.hdf5", "data/demo_0"
    const char *task; // NULL: the source does not say
    const char
        *split; // "train", "valid"; NULL: in none. Of several the first in the source's order
} ImportEpisode;

// An open source. Everything it points to is its own until import_close.
typedef struct ImportSource {
    const char *form;       // for people: "UMI replay buffer (zarr)"
    const char *robot_type; // "umi", "aloha"; NULL: not known
    const char *path;       // as it was given
    double fps;             // frames a second; 0: the source does not say
    // The source has no action: an action is the state of its own row, or of the row after it.
    bool action_is_state;
    int64_t n_episodes;
    const ImportEpisode *episodes;
    int n_vectors;
    const ImportVector *vectors;
    int n_cameras;
    const ImportCamera *cameras;
    // Frames that are image files (JPEG, PNG) show red as blue and blue as red, as OpenCV's
    // imencode makes them of RGB: frame changes them back, and stored gives none. open sets it
    // where the form's recorder does that; who knows better may set it otherwise before the first
    // frame.
    bool red_is_blue;
    // What is there and nothing is made of, with the reason, for people: "data/depth has frames of
    // one colour".
    int n_left_out;
    const char *const *left_out;
    const struct ImportForm *reader;
    // image_decode of formats/image_codec.h, for frames that are image files: a form in the module
    // cannot call it by its name. Set before open.
    bool (*decode)(const void *bytes, size_t size, const char *name, Image *out, Error *err);
    void *data; // the reader's
} ImportSource;

// The functions of one form. A form in the module gives them in its table.
typedef struct ImportForm {
    const char *name; // for people: "UMI replay buffer (zarr)"
    const char *what; // what it is recognised by, for people: "a zarr group with data/ and
                      // meta/episode_ends"
    // Whether path holds this form; cheap, and without an error for what is something else.
    bool (*recognise)(const char *path);
    // Checks everything that can be seen without decoding frames: shapes, number types, that
    // episodes lie in the data, that every vector and camera is as long. Fills *source but for
    // path, reader and decode, which are set. After a failure nothing is left open.
    bool (*open)(ImportSource *source, Error *err);
    // Rows of a vector in an episode, all of them: out (length, dim), as doubles, which hold
    // float32 and float64 to the bit. A NaN or an infinity is refused, naming file, vector, episode
    // and row. One thread at a time.
    bool (*vector)(ImportSource *source, int64_t episode, int vector, double *out, Error *err);
    // The frame of a row, upright RGB of the camera's size, to be freed with image_free. Any number
    // of threads, each with a cursor of its own (NULL at first, ended by cursor_free), which may
    // keep what decoding needs.
    bool (*frame)(ImportSource *source, void **cursor, int64_t episode, int camera, int64_t row,
                  Image *out, Error *err);
    // The stored bytes of a frame where these are a JPEG or PNG file, to be freed with mem_free;
    // *bytes is NULL where they are anything else. NULL: never.
    bool (*stored)(ImportSource *source, void **cursor, int64_t episode, int camera, int64_t row,
                   uint8_t **bytes, size_t *size, Error *err);
    void (*cursor_free)(void *cursor); // NULL allowed
    void (*close)(ImportSource *source);
} ImportForm;

// The table of the module tact_import: its forms, NULL at the end.
typedef struct ImportModule {
    const ImportForm *const *forms;
} ImportModule;

// Opens a file or folder by what it holds. What is none of the forms is refused in one sentence
// that says what it looks like and what is missing. *out is the caller's, for import_close.
CHECKED bool import_open(const char *path, ImportSource **out, Error *err);
// The form's name of what lies there, NULL: none, or the module that knows it cannot be loaded.
const char *import_recognise(const char *path);
// What a file or folder looks like, as far as it can be seen without the module: "a zarr group (a
// zip file)", "an HDF5 file". Static; NULL where nothing of it can be imported. So a command can
// say which package is missing, with import_open's error.
const char *import_look(const char *path);
void import_close(ImportSource *source); // NULL allowed

#endif
