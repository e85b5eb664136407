// SPDX-License-Identifier: Apache-2.0
// What the files of the form in umi.c share.
#ifndef TACT_IMPORT_UMI_H
#define TACT_IMPORT_UMI_H

#include "base/memory.h"
#include "import/forms.h"
#include "import/zarr.h"

typedef struct Umi {
    Arena arena; // of all that the source points to
    ZarrGroup group;
    int64_t rows;        // of every array that something is made of
    ZarrArray *vectors;  // one each of source->vectors
    ZarrArray *cameras;  // one each of source->cameras
    int64_t *starts;     // first row of each episode
    ZarrCursor *cursors; // one each of vectors
} Umi;

// umi_arrays.c: finds out what the arrays of data/ are, checks their shapes, and fills vectors,
// cameras and left_out of the source, and rows, vectors and cameras of u.
CHECKED bool umi_list_arrays(Umi *u, ImportSource *source, Error *err);

#endif
