// SPDX-License-Identifier: Apache-2.0
// A zip archive that is read member by member, by any number of threads at once: its directory is
// read when it is opened, and each member's bytes with pread when they are asked for. An hour of
// frames has hundreds of thousands of members; what stays in memory is their names and places.
// Stored and deflated members, also beyond 4 GB (zip64).
#ifndef TACT_IMPORT_ARCHIVE_H
#define TACT_IMPORT_ARCHIVE_H

#include "base/file.h"

typedef struct ArchiveMember {
    const char *name; // not terminated: n_name bytes, in the archive's directory
    uint64_t header;  // where its local header is
    uint64_t packed, size;
    uint32_t crc;
    uint16_t n_name, method, flags;
} ArchiveMember;

typedef struct Archive {
    InputFile file;
    char *directory; // as it is in the file
    int64_t n_members;
    ArchiveMember *members; // in the order of their names; of equal names the last in the file last
} Archive;

// Opens a zip file; *a is closed with archive_close also after a failure.
CHECKED bool archive_open(Archive *a, const char *path, Error *err);
void archive_close(Archive *a);

// The member of a name, the last where there are several; NULL: none.
const ArchiveMember *archive_find(const Archive *a, const char *name);
// The first of the members, in the order of their names, whose name is not before `name`.
int64_t archive_from(const Archive *a, const char *name);
// Whether a member's name ends with `end`.
bool archive_ends(const ArchiveMember *m, const char *end);

// What a member may unpack to: 64 MiB, and so many times its bytes in the file. What is packed once
// more than that (deflate reaches 1032 times) is no recording.
enum { ARCHIVE_FREE = 64 << 20, ARCHIVE_PER_BYTE = 128 };

// Reads a member of m->size bytes into *bytes, a block of *room bytes of mem_alloc's which is
// replaced by a larger one where it is too small (NULL and 0 at first). Checked against its
// checksum. Any thread.
CHECKED bool archive_read(const Archive *a, const ArchiveMember *m, uint8_t **bytes, size_t *room,
                          Error *err);

#endif
