// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool dir_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool input_read(const InputFile *f, size_t at, void *to, size_t bytes, Error *err) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(f->fd, (char *)to + done, bytes - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, "%s: cannot read", f->path);
        if (n == 0)
            return fail(err, "%s: was cut short while it was read; try again when it is whole",
                        f->path);
        done += (size_t)n;
    }
    return true;
}

bool input_unchanged(const InputFile *f, Error *err) {
    struct stat st;
    if (fstat(f->fd, &st) != 0) return fail_errno(err, "%s: cannot read", f->path);
    return ((size_t)st.st_size == f->size && st.st_mtim.tv_sec == f->written.tv_sec &&
            st.st_mtim.tv_nsec == f->written.tv_nsec) ||
           fail(err, "%s: was written to while it was read; try again when it is whole", f->path);
}

void input_close(InputFile *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

// The pointer of a file in Git LFS is a short text that begins with this line (its specification,
// version 1), followed by a digest and the file's size. data: the first n of `size` bytes.
static bool is_lfs_pointer(const char *data, size_t n, size_t size) {
    static const char start[] = "version https://git-lfs.github.com/spec/";
    return n >= sizeof start - 1 && size <= 1024 && memcmp(data, start, sizeof start - 1) == 0;
}

CHECKED static bool check_pointer(const InputFile *f, Error *err) {
    char start[64];
    size_t n = f->size < sizeof start ? f->size : sizeof start;
    if (!input_read(f, 0, start, n, err)) return false;
    return !is_lfs_pointer(start, n, f->size) || fail(err,
                                                      "%s: a Git LFS pointer: run `git lfs pull` "
                                                      "in the clone it belongs to, which puts the "
                                                      "file itself in its place",
                                                      f->path);
}

bool input_open(InputFile *f, const char *path, Error *err) {
    struct stat st;
    // Without O_NONBLOCK a FIFO would be waited for; of a regular file it changes nothing.
    *f = (InputFile){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (f->fd < 0) return fail_errno(err, "%s: cannot open", path);
    snprintf(f->path, sizeof f->path, "%s", path);
    bool ok = (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode)) ||
              fail(err, "%s: not a regular file", path);
    if (ok) {
        f->size = (size_t)st.st_size;
        f->written = st.st_mtim;
    }
    if (ok && check_pointer(f, err)) return true;
    input_close(f);
    return false;
}

bool file_read(const char *path, char **data, size_t *size, Error *err) {
    InputFile f;
    *data = NULL;
    *size = 0;
    if (!input_open(&f, path, err)) return false;
    char *bytes = mem_try_raw(f.size + 1);
    bool ok = bytes ? input_read(&f, 0, bytes, f.size, err) && input_unchanged(&f, err)
                    : fail_memory(err, "%s: %zu bytes", path, f.size);
    input_close(&f);
    if (!ok) {
        mem_free(bytes);
        return false;
    }
    bytes[f.size] = 0;
    *data = bytes;
    *size = f.size;
    return true;
}

bool file_map(const char *path, const uint8_t **data, size_t *size, Error *err) {
    InputFile f;
    *data = NULL;
    *size = 0;
    if (!input_open(&f, path, err)) return false;
    bool ok = true;
    if (f.size > 0) {
        void *p = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, f.fd, 0);
        ok = p != MAP_FAILED || fail_errno(err, "%s: cannot map", path);
        if (ok) {
            *data = p;
            *size = f.size;
        }
    }
    input_close(&f);
    return ok;
}

bool file_check(const char *path, Error *err) {
    InputFile f;
    if (!input_open(&f, path, err)) return false;
    input_close(&f);
    return true;
}

void file_unmap(const uint8_t *data, size_t size) {
    if (data) munmap((void *)data, size);
}

bool file_write(const char *path, const void *data, size_t size, Error *err) {
    AtomicFile f = {0};
    if (!atomic_open(&f, path, err)) return false;
    if (size && fwrite(data, 1, size, f.stream) != size) {
        fail_errno(err, "%s: cannot write", path);
        atomic_abort(&f);
        return false;
    }
    return atomic_commit(&f, err);
}

bool atomic_open(AtomicFile *f, const char *path, Error *err) {
    size_t n = strlen(path) + 32;
    *f = (AtomicFile){.path = mem_strdup(path), .temporary = mem_alloc(n)};
    snprintf(f->temporary, n, "%s.tmp.%ld", path, (long)getpid());
    f->stream = fopen(f->temporary, "wb");
    if (!f->stream) {
        fail_errno(err, "%s: cannot create", path);
        mem_free(f->path);
        mem_free(f->temporary);
        *f = (AtomicFile){0};
        return false;
    }
    return true;
}

bool atomic_commit(AtomicFile *f, Error *err) {
    if (fflush(f->stream) != 0 || ferror(f->stream) ||
        (!f->unsynced && fsync(fileno(f->stream)) != 0)) {
        fail_errno(err, "%s: cannot write", f->path);
        atomic_abort(f);
        return false;
    }
    int closed = fclose(f->stream);
    f->stream = NULL;
    if (closed != 0 || rename(f->temporary, f->path) != 0) {
        fail_errno(err, "%s: cannot write", f->path);
        atomic_abort(f);
        return false;
    }
    char parent[4096];
    path_parent(parent, sizeof parent, f->path);
    mem_free(f->path);
    mem_free(f->temporary);
    bool synced = !f->unsynced;
    *f = (AtomicFile){0};
    return !synced || sync_dir(parent, err);
}

void atomic_abort(AtomicFile *f) {
    if (f->stream) fclose(f->stream);
    if (f->temporary) unlink(f->temporary);
    mem_free(f->path);
    mem_free(f->temporary);
    *f = (AtomicFile){0};
}

bool make_dirs(const char *path, Error *err) {
    char *copy = mem_strdup(path);
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != 0) continue;
        char end = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            fail_errno(err, "%s: cannot create directory", copy);
            mem_free(copy);
            return false;
        }
        *p = end;
        if (end == 0) break;
    }
    mem_free(copy);
    if (!dir_exists(path)) return fail(err, "%s: not a directory", path);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

bool remove_tree(const char *path, Error *err) {
    struct stat st;
    if (lstat(path, &st) != 0) return true;
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return fail_errno(err, "%s: cannot remove", path);
    return true;
}

static int remove_half(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    if (flag == FTW_F && strstr(path + ftw->base, ".tmp.")) (void)unlink(path);
    return 0;
}

void remove_half_written(const char *dir) {
    (void)nftw(dir, remove_half, 16, FTW_PHYS);
}

int64_t tree_bytes(const char *path) {
    DIR *dir = opendir(path);
    int64_t bytes = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char child[4096];
        struct stat st;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        int n = snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        if (n < 0 || (size_t)n >= sizeof child || lstat(child, &st) != 0) continue;
        if (S_ISDIR(st.st_mode))
            bytes += tree_bytes(child);
        else if ((!S_ISLNK(st.st_mode) || stat(child, &st) == 0) && S_ISREG(st.st_mode))
            bytes += st.st_size;
    }
    if (dir) closedir(dir);
    return bytes;
}

bool sync_dir(const char *path, Error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, "%s: cannot open directory", path);
    // Some file systems refuse fsync on a directory; they order names themselves.
    int bad = fsync(fd) != 0 && errno != EINVAL;
    if (bad) fail_errno(err, "%s: cannot sync directory", path);
    close(fd);
    return !bad;
}

void path_go_up(char *path, size_t size) {
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';) path[--n] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(path, size, ".");
    else if (slash == path)
        path[1] = 0;
    else
        *slash = 0;
}

void path_parent(char *out, size_t size, const char *path) {
    snprintf(out, size, "%s", path);
    path_go_up(out, size);
}

bool make_temporary_dir(char *out, size_t size, const char *place, Error *err) {
    const char *tmp = getenv("TMPDIR");
    if (!place) place = tmp && *tmp ? tmp : "/tmp";
    int n = snprintf(out, size, "%s/tact-XXXXXX", place);
    if (n < (int)size && mkdtemp(out)) return true;
    out[0] = '\0';
    return fail_errno(err, "%s: cannot make a temporary directory in it", place);
}
