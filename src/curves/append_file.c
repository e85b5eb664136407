// SPDX-License-Identifier: Apache-2.0
#include "curves/append_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool append_open(AppendFile *f, const char *path, Error *err) {
    snprintf(f->path, sizeof f->path, "%s", path);
    f->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return f->fd >= 0 ? true : fail_errno(err, "%s: cannot open", path);
}

bool append_write(AppendFile *f, const void *bytes, size_t size, Error *err) {
    struct stat before;
    size_t done = 0;
    if (f->fd < 0) return true;
    if (fstat(f->fd, &before) != 0) return fail_errno(err, "%s: cannot write", f->path);
    while (done < size) {
        ssize_t n = write(f->fd, (const char *)bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            (void)!fail_errno(err, "%s: cannot write", f->path);
            if (done > 0) (void)!ftruncate(f->fd, before.st_size);
            return false;
        }
        done += (size_t)n;
    }
    return true;
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
