// SPDX-License-Identifier: Apache-2.0
// Small file helpers. Everything that is written is written whole or not at all: to a temporary
// name beside the target, fsync, rename.
#ifndef TACT_BASE_FILE_H
#define TACT_BASE_FILE_H

#include "base/error.h"
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

// Whether such a thing may be at a path. False: it is not, or is something else. Where the system
// cannot tell (EACCES, EIO, ELOOP, ...) true, so that whoever opens it next tells what the system
// said. For code that does not open it next there is path_look.
bool file_exists(const char *path);
bool dir_exists(const char *path);

typedef enum PathKind { AT_NONE, AT_FILE, AT_DIR, AT_OTHER } PathKind;
// What is at a path, links followed. That the system cannot tell is an error.
CHECKED bool path_look(const char *path, PathKind *out, Error *err);
// Opens a directory to list it; *out is NULL where there is none. That it cannot be opened is an
// error, also for want of memory.
CHECKED bool dir_open(const char *path, DIR **out, Error *err);

// Reads a whole file. *data gets size bytes and a terminating zero; free with mem_free.
CHECKED bool file_read(const char *path, char **data, size_t *size, Error *err);

// A file that is read in pieces, for as long as it takes. What cuts it short or writes to it
// meanwhile is an error; through a mapping the process would end (SIGBUS), or the bytes change
// under their reader. So whatever is kept for longer than a function is read, not mapped.
typedef struct InputFile {
    int fd; // -1: none
    size_t size;
    struct timespec written; // when it was last, at opening
    char path[4096];         // for messages
} InputFile;
CHECKED bool input_open(InputFile *f, const char *path, Error *err);
// Reads `bytes` bytes from place `at` on; it is an error where there are fewer.
CHECKED bool input_read(const InputFile *f, size_t at, void *to, size_t bytes, Error *err);
// False when the `bytes` bytes from place `at` on are not those.
CHECKED bool input_holds(const InputFile *f, size_t at, const void *those, size_t bytes,
                         Error *err);
// False when the file has changed since it was opened: then what was read is a mixture of two
// versions.
CHECKED bool input_unchanged(const InputFile *f, Error *err);
void input_close(InputFile *f); // twice is once

// Maps a file read-only. An empty file gives *data NULL and *size 0. Undo with file_unmap. Only for
// files that nothing writes to (see InputFile). What a clone without Git LFS leaves in place of a
// large file, a pointer to it, is refused here and by input_open, and so wherever a file is read.
CHECKED bool file_map(const char *path, const uint8_t **data, size_t *size, Error *err);
void file_unmap(const uint8_t *data, size_t size);
// Whether a file is such a pointer; false where it cannot be read.
bool file_is_lfs_pointer(const char *path);
// Fails where file_map fails: for a file that a library is about to open by its name.
CHECKED bool file_check(const char *path, Error *err);

// Writes a whole file through a temporary name. What was written is read back and compared before
// the file gets its own.
CHECKED bool file_write(const char *path, const void *data, size_t size, Error *err);

// A file being written under a temporary name. atomic_commit flushes, fsyncs and renames it to
// `path`; atomic_abort removes it. After either the struct is empty. atomic_abort on an empty
// struct does nothing, so it can stand in every clean-up.
typedef struct AtomicFile {
    FILE *stream; // write here with stdio
    char *path, *temporary;
    // Set after atomic_open: nothing waits for the disk, so a power cut may leave a file that is
    // not whole under its name. For one that is checked when it is read, and can be made again.
    bool unsynced;
} AtomicFile;
CHECKED bool atomic_open(AtomicFile *f, const char *path, Error *err);
// Opens what was written so far, to be compared with what was meant before it is committed.
CHECKED bool atomic_look(AtomicFile *f, InputFile *out, Error *err);
CHECKED bool atomic_commit(AtomicFile *f, Error *err);
void atomic_abort(AtomicFile *f);

// Creates a directory and its parents.
CHECKED bool make_dirs(const char *path, Error *err);
// A new, empty directory for this run alone, below `place`, or, with NULL, below $TMPDIR or /tmp.
// Its path into out (size bytes); "" after a failure.
CHECKED bool make_temporary_dir(char *out, size_t size, const char *place, Error *err);
// Removes a directory tree. A tree that is not there is no error.
CHECKED bool remove_tree(const char *path, Error *err);
// Removes the files below a directory that a process which was killed was writing: NAME.tmp.PID.
// Nothing else may be writing there.
void remove_half_written(const char *dir);
// Bytes of all regular files below a directory, links to files followed; 0 when it is not there.
CHECKED bool tree_bytes(const char *path, int64_t *bytes, Error *err);
// fsync of a directory, so that names made in it survive a crash.
CHECKED bool sync_dir(const char *path, Error *err);
// Writes the parent of path into out (size bytes); "." when there is none. Slashes at the end of
// path do not count.
void path_parent(char *out, size_t size, const char *path);
// The same in the place of the path (size bytes).
void path_go_up(char *path, size_t size);

#endif
