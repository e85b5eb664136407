// SPDX-License-Identifier: Apache-2.0
// HDF5 files, read through libhdf5: checked, one caller at a time (libhdf5 has one state for all
// threads; a mutex is inside), and without libhdf5's own messages on stderr. Every function may be
// called from any thread, and names what it is about as "FILE: ARRAY".
//
// Nothing that a file announces is believed: an array has a shape only if its storage can hold it.
// Beside what a caller asks for, reading by rows keeps the chunks of a row, up to 256 MB of them.
#ifndef TACT_IMPORT_HDF5_H
#define TACT_IMPORT_HDF5_H

#include "base/error.h"
#include "base/memory.h"
#include <stddef.h>
#include <stdint.h>

enum { HDF5_MOST_DIMS = 8 };

typedef struct Hdf5 Hdf5; // an open file

// Whether the file has HDF5's signature; it may still be damaged.
bool hdf5_has_signature(const char *path);
CHECKED bool hdf5_open(const char *path, Hdf5 **out, Error *err);
void hdf5_close(Hdf5 *f); // NULL allowed
const char *hdf5_path(const Hdf5 *f);

typedef enum Hdf5Kind { HDF5_MISSING, HDF5_GROUP, HDF5_ARRAY, HDF5_OTHER } Hdf5Kind;
// What is at a name ("observations/qpos"); what cannot be opened counts as missing.
Hdf5Kind hdf5_kind(const Hdf5 *f, const char *name);
// The names in a group, in the order of the numbers in them ("demo_2" before "demo_10"). They are
// UTF-8 without control characters; a group with another is refused. In the arena.
CHECKED bool hdf5_children(const Hdf5 *f, const char *group, Arena *arena, const char ***names,
                           int64_t *n, Error *err);

// An attribute of a group or array ("" or "/": of the file): a number or a truth value; false where
// there is none, or something else.
bool hdf5_attribute_number(const Hdf5 *f, const char *object, const char *name, double *out);
// The same for a string, in the arena; NULL where there is none.
const char *hdf5_attribute_text(const Hdf5 *f, const char *object, const char *name, Arena *arena);

// Whether a text is UTF-8 without control characters, as what goes into JSON and onto terminals
// must be; "" is not.
bool hdf5_is_clean(const char *text);

// How an array looks.
typedef struct Hdf5Shape {
    int rank;
    int64_t dims[HDF5_MOST_DIMS];
    char dtype[16];    // NumPy's spelling without the byte order; "bytes", "object" for the others
    const char *codec; // "none", "gzip", "blosc"; static
    bool numbers;      // integers, truth values or floats, of at most 8 bytes
    bool bytes;  // rows can be read as bytes: uint8; or strings of one length, or opaque, whose
                 // length is then the last dimension
    bool pieces; // bytes of another length at every place (uint8, variable length)
} Hdf5Shape;
// Refuses also arrays that were never written whole, that lie in other files, or that this libhdf5
// cannot decompress.
CHECKED bool hdf5_shape(const Hdf5 *f, const char *array, Hdf5Shape *out, Error *err);

// Rows first .. first + n - 1 of an array of numbers: out (n, product of the other dimensions). A
// whole number of 2^53 or beyond, which a double may not hold, is refused.
CHECKED bool hdf5_read_doubles(const Hdf5 *f, const char *array, int64_t first, int64_t n,
                               double *out, Error *err);
// All of an array of strings with one dimension, in the arena.
CHECKED bool hdf5_read_strings(const Hdf5 *f, const char *array, Arena *arena,
                               const char *const **out, int64_t *n, Error *err);

// An array of bytes or pieces, open to be read row by row. It keeps its file open itself.
typedef struct Hdf5Rows Hdf5Rows;
CHECKED bool hdf5_rows_open(const Hdf5 *f, const char *array, Hdf5Rows **out, Error *err);
// The bytes of a row, to be freed with mem_free.
CHECKED bool hdf5_rows_read(Hdf5Rows *rows, int64_t row, uint8_t **bytes, size_t *size, Error *err);
void hdf5_rows_close(Hdf5Rows *rows); // NULL allowed

#endif
