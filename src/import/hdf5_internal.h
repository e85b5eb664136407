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

// The numbers by which h5py and the HDF Group's list know filters that libhdf5 does not bring.
enum { FILTER_LZF = 32000, FILTER_BLOSC = 32001, FILTER_LZ4 = 32004, FILTER_ZSTD = 32015 };
// hdf5_filters.c: adds those that are read; any number of times. After hdf5_enter.
void hdf5_add_filters(void);

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
