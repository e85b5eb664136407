// SPDX-License-Identifier: Apache-2.0
#include "curves/append_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool append_open(AppendFile *f, const char *path, Error *err) {
    *f = (AppendFile){.fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)};
    snprintf(f->path, sizeof f->path, "%s", path);
    return f->fd >= 0 ? true : fail_errno(err, "%s: cannot open", path);
}

static void take_out_piece(AppendFile *f) {
    f->torn = ftruncate(f->fd, f->whole) != 0;
}

// Of a pipe or a device nothing can be read back.
CHECKED static bool holds(const AppendFile *f, const struct stat *before, const char *bytes,
                          size_t size, Error *err) {
    char there[4096];
    for (size_t done = 0; S_ISREG(before->st_mode) && done < size;) {
        size_t most = size - done < sizeof there ? size - done : sizeof there;
        ssize_t n = pread(f->fd, there, most, before->st_size + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, "%s: cannot read", f->path);
        if (n == 0 || memcmp(there, bytes + done, (size_t)n) != 0)
            return fail(err, "%s: does not hold what was written into it; check the disk", f->path);
        done += (size_t)n;
    }
    return true;
}

bool append_write(AppendFile *f, const void *bytes, size_t size, Error *err) {
    struct stat before;
    size_t done = 0;
    if (f->fd < 0) return true;
    if (f->torn) take_out_piece(f);
    if (f->torn || fstat(f->fd, &before) != 0) return fail_errno(err, "%s: cannot write", f->path);
    bool ok = true;
    while (ok && done < size) {
        ssize_t n = write(f->fd, (const char *)bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        ok = n > 0 || fail_errno(err, "%s: cannot write", f->path);
        if (ok) done += (size_t)n;
    }
    ok = ok && holds(f, &before, bytes, size, err);
    f->whole = before.st_size;
    if (!ok && done > 0) take_out_piece(f);
    return ok;
}

bool append_sync(AppendFile *f, Error *err) {
    // EINVAL: nothing that has a disk, such as a pipe.
    if (f->fd < 0 || fsync(f->fd) == 0 || errno == EINVAL) return true;
    return fail_errno(err, "%s: cannot write", f->path);
}

void append_close(AppendFile *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}
