// SPDX-License-Identifier: Apache-2.0
// What hdf5.c and hdf5_array.c share.
#ifndef TACT_IMPORT_HDF5_INTERNAL_H
#define TACT_IMPORT_HDF5_INTERNAL_H

#include "import/hdf5.h"

#include <hdf5.h>

struct Hdf5 {
    hid_t file;
    uint64_t bytes; // of the file
    char *path;
};

// Around every call of libhdf5. hdf5_enter also silences it for the calling thread: builds for
// several threads keep their stack of errors by thread.
void hdf5_enter(void);
void hdf5_leave(void);
// Gives an error with libhdf5's own reason at its end; call it before hdf5_leave. array may be "".
// Returns false.
bool hdf5_fail(Error *err, const char *path, const char *array, const char *what);

// Of a named group, array or the file itself; negative: not there. To be closed with H5Oclose.
hid_t hdf5_open_object(hid_t file, const char *name);

#endif
