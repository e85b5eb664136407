// SPDX-License-Identifier: Apache-2.0
// A file that grows by whole records: each is there, or nothing of it.
#ifndef TACT_CURVES_APPEND_FILE_H
#define TACT_CURVES_APPEND_FILE_H

#include "base/error.h"
#include <stdint.h>

typedef struct AppendFile {
    int fd; // -1: none, and then nothing is written, which is no error
    char path[4096];
} AppendFile;

// Opens it for writing at its end; it is made where it is not there.
CHECKED bool append_open(AppendFile *f, const char *path, Error *err);
// Adds `size` bytes. What a full disk took of them is taken out again, so that the file can be
// read, and can go on when there is room.
CHECKED bool append_write(AppendFile *f, const void *bytes, size_t size, Error *err);
// Waits until what was written is on the disk.
CHECKED bool append_sync(AppendFile *f, Error *err);
void append_close(AppendFile *f); // twice is once

#endif
