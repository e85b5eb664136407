// SPDX-License-Identifier: Apache-2.0
#include "loader/frame_file.h"

#include "base/array.h"
#include "base/checksum.h"
#include "base/memory.h"
#include "base/sha256.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { HEADER_BYTES = 4096, ENTRY_BYTES = 8, NAME_DIGITS = 32, OPEN_TRIES = 8 };

static const char magic[8] = "tactfrm";
static const char suffix[] = ".frames";

typedef struct Header {
    char magic[8];
    uint32_t version, height, width, zero;
    uint64_t rows;
    char key[FRAME_KEY - 1];
    char decoder[FRAME_DECODER];
    char rest[HEADER_BYTES - 104 - FRAME_DECODER];
    uint64_t checksum;
} Header;
_Static_assert(sizeof(Header) == HEADER_BYTES, "the header is one block of a disk");

static uint64_t row_seed(const FrameFile *f, int64_t row) {
    return f->seed + (uint64_t)row * 0xD1B54A32D192ED03u;
}

// ---- places -----------------------------------------------------------------------------------

static int64_t frame_bytes(int height, int width) {
    return (int64_t)height * width * 3;
}

static int64_t data_start(int64_t rows) {
    return HEADER_BYTES + (rows * ENTRY_BYTES + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
}

static int64_t entry_place(int64_t row) {
    return HEADER_BYTES + row * ENTRY_BYTES;
}

static int64_t frame_place(const FrameFile *f, int64_t row) {
    return data_start(f->rows) + row * frame_bytes(f->height, f->width);
}

int64_t frame_file_bytes(int height, int width, int64_t rows) {
    return data_start(rows) + rows * frame_bytes(height, width);
}

// ---- whole reads and writes -------------------------------------------------------------------

static bool read_at(int fd, void *data, size_t size, int64_t at) {
    uint8_t *p = data;
    while (size) {
        ssize_t n = pread(fd, p, size, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, at += n, size -= (size_t)n;
    }
    return true;
}

static bool write_at(int fd, const void *data, size_t size, int64_t at) {
    const uint8_t *p = data;
    while (size) {
        ssize_t n = pwrite(fd, p, size, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, at += n, size -= (size_t)n;
    }
    return true;
}

// ---- opening ----------------------------------------------------------------------------------

static Header header_of(const FrameFile *f) {
    Header h = {.version = FRAME_FILE_VERSION,
                .height = (uint32_t)f->height,
                .width = (uint32_t)f->width,
                .rows = (uint64_t)f->rows};
    memcpy(h.magic, magic, sizeof h.magic);
    memcpy(h.key, f->key, sizeof h.key);
    memcpy(h.decoder, f->decoder, strlen(f->decoder)); // zeros behind it
    h.checksum = checksum(&h, offsetof(Header, checksum), 0);
    return h;
}

static bool is_whole(const FrameFile *f, int fd) {
    Header found, wanted = header_of(f);
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size == frame_file_bytes(f->height, f->width, f->rows) &&
           read_at(fd, &found, sizeof found, 0) && memcmp(&found, &wanted, sizeof found) == 0;
}

// A file larger than the process may write would end it by a signal.
static bool within_rlimit(int64_t bytes) {
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           (uint64_t)bytes <= limit.rlim_cur;
}

CHECKED static bool make_frame_file(const FrameFile *f, int fd, Error *err) {
    int64_t bytes = frame_file_bytes(f->height, f->width, f->rows);
    Header h = header_of(f);
    errno = EFBIG;
    if (!within_rlimit(bytes) || ftruncate(fd, 0) != 0)
        return fail_errno(err, "%s: cannot make it", f->path);
    bool reserved = fallocate(fd, 0, 0, bytes) == 0;
    // Some file systems cannot reserve; there a full disk is seen when a frame is written.
    if (!reserved && (errno == EOPNOTSUPP || errno == ENOSYS)) reserved = ftruncate(fd, bytes) == 0;
    // The header last: a file that a crash left half made is none.
    if (reserved && write_at(fd, &h, sizeof h, 0)) return true;
    return fail_errno(err, "%s: no space for %.1f GB", f->path, (double)bytes / 1e9);
}

static bool is_file_at(int fd, const char *path) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

// Locks an open file for use. Where nobody else uses it and it is not whole, makes it first.
// *again: the file was removed meanwhile.
CHECKED static bool lock_and_make(const FrameFile *f, int fd, bool *again, Error *err) {
    bool alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!alone && errno != EWOULDBLOCK) return fail_errno(err, "%s: cannot lock it", f->path);
    if (alone && is_file_at(fd, f->path) && !is_whole(f, fd) && !make_frame_file(f, fd, err)) {
        unlink(f->path);
        return false;
    }
    // Waits while another process makes it.
    while (flock(fd, LOCK_SH) != 0)
        if (errno != EINTR) return fail_errno(err, "%s: cannot lock it", f->path);
    *again = !is_file_at(fd, f->path) || (alone && !is_whole(f, fd));
    return *again || is_whole(f, fd) ||
           fail(err, "%s: damaged, and in use by another process", f->path);
}

static bool set_file_path(FrameFile *f, const char *dir) {
    char name[65];
    Sha256 s;
    sha256_init(&s);
    sha256_add(&s, f->key, sizeof f->key);
    sha256_add(&s, f->decoder, strlen(f->decoder));
    sha256_hex(&s, name);
    int n = snprintf(f->path, sizeof f->path, "%s/%.*s%s", dir, NAME_DIGITS, name, suffix);
    f->seed = checksum(f->key, sizeof f->key, 1);
    return n > 0 && (size_t)n < sizeof f->path;
}

bool frame_file_exists(const FrameFile *f, const char *dir) {
    FrameFile look = *f;
    int fd = set_file_path(&look, dir) ? open(look.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    bool whole = fd >= 0 && is_whole(&look, fd);
    if (fd >= 0) close(fd);
    return whole;
}

bool frame_file_open(FrameFile *f, const char *dir, Error *err) {
    f->fd = -1;
    if (!set_file_path(f, dir)) return fail(err, "%.200s: the path is too long", dir);
    for (int i = 0; i < OPEN_TRIES; i++) {
        bool again = false;
        int fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
        if (fd < 0) return fail_errno(err, "%s: cannot open", f->path);
        bool ok = lock_and_make(f, fd, &again, err);
        if (ok && !again) {
            f->fd = fd;
            (void)futimens(fd, NULL); // its age, for eviction
            return true;
        }
        close(fd);
        if (!ok) return false;
    }
    return fail(err, "%s: other processes keep removing it", f->path);
}

void frame_file_close(FrameFile *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

// ---- frames -----------------------------------------------------------------------------------

bool frame_file_table(const FrameFile *f, uint64_t *sums, Error *err) {
    return read_at(f->fd, sums, (size_t)f->rows * ENTRY_BYTES, HEADER_BYTES) ||
           fail(err, "%s: cannot read it", f->path);
}

uint64_t frame_file_entry(const FrameFile *f, int64_t row) {
    uint64_t sum;
    return read_at(f->fd, &sum, sizeof sum, entry_place(row)) ? sum : 0;
}

bool frame_file_read(const FrameFile *f, int64_t row, uint64_t sum, uint8_t *rgb) {
    size_t bytes = (size_t)frame_bytes(f->height, f->width);
    return read_at(f->fd, rgb, bytes, frame_place(f, row)) &&
           checksum(rgb, bytes, row_seed(f, row)) == sum;
}

bool frame_file_write(const FrameFile *f, int64_t row, const uint8_t *rgb, uint64_t *sum,
                      Error *err) {
    size_t bytes = (size_t)frame_bytes(f->height, f->width);
    *sum = checksum(rgb, bytes, row_seed(f, row));
    return (write_at(f->fd, rgb, bytes, frame_place(f, row)) &&
            write_at(f->fd, sum, sizeof *sum, entry_place(row))) ||
           fail_errno(err, "%s: cannot write", f->path);
}

void frame_file_clear(const FrameFile *f, int64_t row) {
    uint64_t none = 0;
    (void)write_at(f->fd, &none, sizeof none, entry_place(row));
}

// ---- eviction ---------------------------------------------------------------------------------

typedef struct FrameFileFound {
    char path[4096];
    int64_t bytes;
    struct timespec used;
} FrameFileFound;

static int by_age(const void *a, const void *b) {
    const struct timespec *x = &((const FrameFileFound *)a)->used,
                          *y = &((const FrameFileFound *)b)->used;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static bool is_frame_file(const char *name) {
    size_t n = strlen(name), tail = sizeof suffix - 1;
    return n == NAME_DIGITS + tail && strcmp(name + NAME_DIGITS, suffix) == 0 &&
           strspn(name, "0123456789abcdef") == NAME_DIGITS;
}

// The files in dir; free with mem_free.
static FrameFileFound *list_frame_files(const char *dir, int64_t *count) {
    int64_t capacity = 0;
    FrameFileFound *found = NULL;
    DIR *d = opendir(dir);
    *count = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        ARRAY_ROOM(found, *count, capacity, 1);
        FrameFileFound *f = &found[*count];
        if (!is_frame_file(e->d_name)) continue;
        int n = snprintf(f->path, sizeof f->path, "%s/%s", dir, e->d_name);
        if (n < 0 || (size_t)n >= sizeof f->path || lstat(f->path, &st) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        f->bytes = (int64_t)st.st_size;
        f->used = st.st_mtim;
        ++*count;
    }
    if (d) closedir(d);
    return found;
}

void frame_file_find_decoder(FrameFile *f, const char *dir) {
    struct timespec latest = {0};
    int64_t count;
    FrameFileFound *found = list_frame_files(dir, &count);
    for (int64_t i = 0; i < count; i++) {
        FrameFile look = *f;
        Header h;
        int fd = open(found[i].path, O_RDONLY | O_CLOEXEC);
        bool read = fd >= 0 && read_at(fd, &h, sizeof h, 0) && h.decoder[FRAME_DECODER - 1] == '\0';
        if (read) memcpy(look.decoder, h.decoder, sizeof look.decoder);
        const struct timespec *used = &found[i].used;
        bool later = used->tv_sec > latest.tv_sec ||
                     (used->tv_sec == latest.tv_sec && used->tv_nsec > latest.tv_nsec);
        if (read && later && is_whole(&look, fd)) {
            memcpy(f->decoder, look.decoder, sizeof f->decoder);
            latest = *used;
        }
        if (fd >= 0) close(fd);
    }
    mem_free(found);
}

// Removes a file unless someone has it open. Whoever opens it at this moment sees that it is gone.
static bool remove_unused_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool removed =
        fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_file_at(fd, path) && unlink(path) == 0;
    if (fd >= 0) close(fd);
    return removed;
}

bool frame_files_evict(const char *dir, int64_t more, int64_t limit) {
    int64_t count, total = more;
    FrameFileFound *found = list_frame_files(dir, &count);
    for (int64_t i = 0; i < count; i++) total += found[i].bytes;
    if (count) qsort(found, (size_t)count, sizeof *found, by_age);
    for (int64_t i = 0; i < count && total > limit && more <= limit; i++)
        if (remove_unused_file(found[i].path)) total -= found[i].bytes;
    mem_free(found);
    return total <= limit;
}

void frame_files_space(const char *dir, int64_t *used, int64_t *left) {
    int64_t count;
    struct statvfs disk;
    FrameFileFound *found = list_frame_files(dir, &count);
    *used = 0;
    for (int64_t i = 0; i < count; i++) *used += found[i].bytes;
    mem_free(found);
    *left = statvfs(dir, &disk) == 0 ? (int64_t)disk.f_bavail * (int64_t)disk.f_frsize : 0;
}
