// SPDX-License-Identifier: Apache-2.0
// Groups of zarr version 2, as folders or zip files, to be read: the arrays' shapes and number
// types, and rows of their numbers. C order, no filters; the compressors are codec.h's. What cannot
// be read is refused in a sentence that names file and array.
//
// An open group does not change: any number of threads may read, each with a cursor of its own.
#ifndef TACT_IMPORT_ZARR_H
#define TACT_IMPORT_ZARR_H

#include "base/memory.h"
#include "import/archive.h"
#include "import/codec.h"

enum { ZARR_RANK = 8 }; // dimensions an array may have

typedef struct ZarrGroup {
    const char *path; // as it was given
    bool zip;
    Archive archive;
    // In the zip file, before every name: "" or, where a folder was packed, "replay_buffer.zarr/".
    char prefix[256];
    ImageDecode *decode; // for arrays of image files
} ZarrGroup;

typedef struct ZarrArray {
    char name[256];  // in the group: "data/camera0_rgb"
    char dtype[16];  // NumPy's spelling: "float32"
    char kind;       // 'f', 'i', 'u', 'b' (bool)
    int item;        // bytes of a number
    bool swapped;    // its bytes are not in this machine's order
    char separator;  // between the numbers in a chunk's name
    bool has_fill;   // chunks that are not there hold fill
    uint8_t fill[8]; // one number, in this machine's order
    int rank;
    int64_t shape[ZARR_RANK], chunk[ZARR_RANK]; // chunk: at least 1 each
    int64_t row;        // numbers in a row: the product of all of shape but the first
    size_t chunk_bytes; // of a whole chunk, at most ZARR_CHUNK_MOST
    Codec codec;
} ZarrArray;

// The largest chunk that is read, and the largest of the files that describe: they have hundreds of
// bytes. (What a chunk may unpack to: codec.h.)
#define ZARR_CHUNK_MOST ((int64_t)1 << 30)
enum { ZARR_TEXT_MOST = 1 << 20 };

// What one thread keeps while it reads: the chunk it read last. Zero at first.
typedef struct ZarrCursor {
    uint8_t *packed, *chunk; // as stored; its numbers in C order
    size_t packed_room, chunk_room;
    const ZarrArray *of; // whose chunk it is; NULL: none
    int64_t at[ZARR_RANK];
    CodecState *codec;
} ZarrCursor;

// Whether a group of version 2 lies there, and in it these arrays ("meta/episode_ends"; NULL at
// the end).
bool zarr_has(const char *path, const char *const *arrays);

// path and decode must outlive the group. Closed with zarr_close also after a failure.
CHECKED bool zarr_open(ZarrGroup *g, const char *path, ImageDecode *decode, Error *err);
void zarr_close(ZarrGroup *g);

// Names of the arrays directly in a group of the group ("data"), without it, in the order of people
// ("camera2" before "camera10"). In the arena.
CHECKED bool zarr_list(const ZarrGroup *g, const char *group, Arena *arena, const char ***names,
                       int *n, Error *err);

// Whether there is an array of this name.
bool zarr_holds(const ZarrGroup *g, const char *name);
// Reads what is said of an array (NAME/.zarray), and refuses what cannot be read. After a failure
// out->name is "" where the source itself could not be read.
CHECKED bool zarr_array(const ZarrGroup *g, const char *name, ZarrArray *out, Error *err);
// The same from JSON text; `where` is what errors call the file.
CHECKED bool zarr_parse(const char *text, size_t size, const char *where, const char *name,
                        ZarrArray *out, Error *err);

// Rows first to first + count - 1, all of a row's numbers: out has count * a->row of them, in C
// order and this machine's byte order.
CHECKED bool zarr_rows(const ZarrGroup *g, const ZarrArray *a, ZarrCursor *cursor, int64_t first,
                       int64_t count, void *out, Error *err);
// n numbers of an array, as zarr_rows gives them, as doubles. False where a whole number is so
// large, 2^53 or beyond, that a double may be another's; *bad is its place.
CHECKED bool zarr_doubles(const ZarrArray *a, const void *numbers, int64_t n, double *out,
                          int64_t *bad);

// Fails where one of the chunks that hold any of the first `rows` rows is not there.
CHECKED bool zarr_complete(const ZarrGroup *g, const ZarrArray *a, int64_t rows, Error *err);
// The stored bytes of the chunk that begins with a row, in cursor->packed; *n is 0 where it is not
// there.
CHECKED bool zarr_stored(const ZarrGroup *g, const ZarrArray *a, ZarrCursor *cursor, int64_t row,
                         size_t *n, Error *err);

void zarr_cursor_free(ZarrCursor *cursor); // the blocks in it, not itself

// ---- between the files of the reader ------------------------------------------------------------

// Reads a file of the group, NAME as in "data/action/0.0", into *bytes of *room bytes as
// archive_read does; *n bytes of it. *there is false where there is none.
CHECKED bool zarr_file(const ZarrGroup *g, const char *name, uint8_t **bytes, size_t *room,
                       size_t *n, bool *there, Error *err);
// The same for a file that describes, of which it is an error to be very large.
CHECKED bool zarr_text(const ZarrGroup *g, const char *name, uint8_t **bytes, size_t *room,
                       size_t *n, bool *there, Error *err);
bool zarr_has_file(const ZarrGroup *g, const char *name);
// The name of a chunk's file, at[] in chunks: "data/action/0.0".
void zarr_chunk_name(const ZarrArray *a, const int64_t *at, char *out, size_t size);

#endif
