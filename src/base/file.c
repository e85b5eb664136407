// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// After a stat or an opendir that failed.
static bool is_absent(void) {
    return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG;
}

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? S_ISREG(st.st_mode) : !is_absent();
}

bool dir_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? S_ISDIR(st.st_mode) : !is_absent();
}

bool path_look(const char *path, PathKind *out, Error *err) {
    struct stat st;
    *out = AT_NONE;
    if (stat(path, &st) != 0) return is_absent() || fail_errno(err, "%s: cannot look at it", path);
    *out = S_ISREG(st.st_mode) ? AT_FILE : S_ISDIR(st.st_mode) ? AT_DIR : AT_OTHER;
    return true;
}

bool dir_open(const char *path, DIR **out, Error *err) {
    *out = opendir(path);
    if (*out || is_absent()) return true;
    return errno == ENOMEM ? fail_memory(err, "%s: its list of names", path)
                           : fail_errno(err, "%s: cannot open", path);
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

bool input_holds(const InputFile *f, size_t at, const void *those, size_t bytes, Error *err) {
    char piece[1 << 16];
    for (size_t done = 0, n; done < bytes; done += n) {
        n = bytes - done < sizeof piece ? bytes - done : sizeof piece;
        if (!input_read(f, at + done, piece, n, err)) return false;
        if (memcmp(piece, (const char *)those + done, n) != 0)
            return fail(err, "%s: does not hold what was written into it; check the disk", f->path);
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

CHECKED static bool open_regular(InputFile *f, const char *path, Error *err) {
    struct stat st;
    // Without O_NONBLOCK a FIFO would be waited for; of a regular file it changes nothing.
    *f = (InputFile){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (f->fd < 0) return fail_errno(err, "%s: cannot open", path);
    snprintf(f->path, sizeof f->path, "%s", path);
    if (fstat(f->fd, &st) != 0) {
        (void)fail_errno(err, "%s: cannot read", path);
    } else if (!S_ISREG(st.st_mode)) {
        (void)fail(err, "%s: not a regular file", path);
    } else {
        f->size = (size_t)st.st_size;
        f->written = st.st_mtim;
        return true;
    }
    input_close(f);
    return false;
}

bool input_open(InputFile *f, const char *path, Error *err) {
    if (!open_regular(f, path, err)) return false;
    if (check_pointer(f, err)) return true;
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

bool file_is_lfs_pointer(const char *path) {
    InputFile f;
    char start[64];
    Error err;
    if (!open_regular(&f, path, &err)) return false;
    size_t n = f.size < sizeof start ? f.size : sizeof start;
    bool pointer = input_read(&f, 0, start, n, &err) && is_lfs_pointer(start, n, f.size);
    input_close(&f);
    return pointer;
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
    InputFile written;
    bool same = atomic_look(&f, &written, err) && input_holds(&written, 0, data, size, err);
    input_close(&written);
    if (same) return atomic_commit(&f, err);
    atomic_abort(&f);
    return false;
}

bool atomic_open(AtomicFile *f, const char *path, Error *err) {
    size_t n = strlen(path) + 32;
    *f = (AtomicFile){.path = mem_try_strdup(path), .temporary = mem_try(n)};
    bool named = f->path && f->temporary;
    if (named) snprintf(f->temporary, n, "%s.tmp.%ld", path, (long)getpid());
    if (named) f->stream = fopen(f->temporary, "wb");
    if (!f->stream) {
        if (named)
            fail_errno(err, "%s: cannot create", path);
        else
            fail_memory(err, "%s: its name", path);
        mem_free(f->path);
        mem_free(f->temporary);
        *f = (AtomicFile){0};
        return false;
    }
    return true;
}

bool atomic_look(AtomicFile *f, InputFile *out, Error *err) {
    *out = (InputFile){.fd = -1};
    if (fflush(f->stream) != 0 || ferror(f->stream))
        return fail_errno(err, "%s: cannot write", f->path);
    return open_regular(out, f->temporary, err); // a pointer is written like any other text
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
    char *copy = mem_try_strdup(path);
    if (!copy) return fail_memory(err, "%s: its name", path);
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
    if (lstat(path, &st) != 0) return is_absent() || fail_errno(err, "%s: cannot remove", path);
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

// Adds to *bytes what a directory's entry takes. What is removed meanwhile takes nothing.
CHECKED static bool add_bytes(const char *path, int64_t *bytes, Error *err) {
    struct stat st;
    int64_t below = 0;
    if (lstat(path, &st) != 0) return is_absent() || fail_errno(err, "%s: cannot look at it", path);
    if (S_ISDIR(st.st_mode)) {
        if (!tree_bytes(path, &below, err)) return false;
    } else if (S_ISLNK(st.st_mode) && stat(path, &st) != 0) { // one may lead nowhere
        return is_absent() || errno == ELOOP || fail_errno(err, "%s: cannot look at it", path);
    } else if (S_ISREG(st.st_mode)) {
        below = st.st_size;
    }
    *bytes += below;
    return true;
}

bool tree_bytes(const char *path, int64_t *bytes, Error *err) {
    DIR *dir;
    bool ok = true;
    *bytes = 0;
    if (!dir_open(path, &dir, err)) return false;
    for (struct dirent *e; ok && dir && (e = readdir(dir));) {
        char child[4096];
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        int n = snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        if (n >= 0 && (size_t)n < sizeof child) ok = add_bytes(child, bytes, err);
    }
    if (dir) closedir(dir);
    return ok;
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
