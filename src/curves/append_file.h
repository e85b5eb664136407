// SPDX-License-Identifier: Apache-2.0
// A file that grows by whole records: each is there, or nothing of it.
#ifndef TACT_CURVES_APPEND_FILE_H
#define TACT_CURVES_APPEND_FILE_H

#include "base/error.h"
#include <stdint.h>
#include <sys/types.h>

typedef struct AppendFile {
    int fd; // -1: none, and then nothing is written, which is no error
    // A piece of a record is behind `whole` bytes of whole ones, and could not be taken out yet.
    bool torn;
    off_t whole;
    char path[4096];
} AppendFile;

// Opens it for writing at its end; it is made where it is not there.
CHECKED bool append_open(AppendFile *f, const char *path, Error *err);
// Adds `size` bytes, and compares them with what is in the file then. What a full disk took of them
// is taken out again, so that the file can be read, and can go on when there is room; where even
// that fails, nothing more is added before it has been done.
CHECKED bool append_write(AppendFile *f, const void *bytes, size_t size, Error *err);
// Waits until what was written is on the disk.
CHECKED bool append_sync(AppendFile *f, Error *err);
void append_close(AppendFile *f); // twice is once

#endif
