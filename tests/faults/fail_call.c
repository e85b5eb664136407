// SPDX-License-Identifier: Apache-2.0
// A library to preload (LD_PRELOAD), which makes the n-th call of one kind fail that the program
// makes while its main runs. Without a kind it only counts. The environment says:
//
//   FAULT_KIND   which calls, a name of `kinds` below, or "memory" for all that ask for some; none:
//                all are counted, none fails
//   FAULT_AT     the first that fails, from 1
//   FAULT_TIMES  how many fail from there on; without it one
//   FAULT_HOW    EIO (or another of `errors`), or "short": half of what was asked for is done
//   FAULT_LOG    a file that gets "KIND COUNT" of every kind at the end, and a line for a call that
//                failed: who made it
//
// A call counts that comes from the program, its modules, or a library that works for them alone:
// jansson, libzip, libyaml, and what the C library allocates for them. Not from the compute
// libraries and their threads, from codecs and the dynamic linker. stdio's own system calls
// cannot be seen from outside, so a stream that is opened here has its bytes go through the
// functions here.
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

enum Kind {
    MALLOC,
    CALLOC,
    REALLOC,
    ALIGNED,
    MMAP,
    OPEN,
    READ,
    PREAD,
    WRITE,
    PWRITE,
    FSYNC,
    RENAME,
    MKDIR,
    SYMLINK,
    FLOCK,
    THREAD,
    STAT,
    OPENDIR,
    KINDS,
    MEMORY // for FAULT_KIND: the first four together
};
static const struct {
    const char *name;
    int error; // what the call fails with unless FAULT_HOW says another
} kinds[KINDS] = {{"malloc", ENOMEM}, {"calloc", ENOMEM}, {"realloc", ENOMEM}, {"aligned", ENOMEM},
                  {"mmap", ENOMEM},   {"open", EIO},      {"read", EIO},       {"pread", EIO},
                  {"write", EIO},     {"pwrite", EIO},    {"fsync", EIO},      {"rename", EIO},
                  {"mkdir", ENOSPC},  {"symlink", EIO},   {"flock", EIO},      {"thread", EAGAIN},
                  {"stat", EIO},      {"opendir", EIO}};
static const struct {
    const char *name;
    int error;
} errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EACCES", EACCES},
              {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"short", -1}};

static atomic_bool armed;
static atomic_long counts[KINDS], memory_calls, failures;
static int kind = KINDS, how;
static long first, times = 1;
static char log_path[4096];

// ---- the plain calls ----------------------------------------------------------------------------

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static void *next_function(const char *name) {
    return dlsym(RTLD_NEXT, name);
}
// A pointer to the next function of this name, found once.
#define NEXT(name)                                                                                 \
    static _Atomic(__typeof__(&name)) next;                                                        \
    if (!next) next = (__typeof__(&name))next_function(#name)

// ---- whose call it is ---------------------------------------------------------------------------

typedef struct Range {
    uintptr_t from, to;
    bool ours, memory; // its calls count; its allocations, too
} Range;
enum { MOST_RANGES = 512 };
static Range ranges[MOST_RANGES];
static int n_ranges;
static pthread_mutex_t ranges_lock = PTHREAD_MUTEX_INITIALIZER;

static bool has(const char *path, const char *part) {
    return strstr(path, part) != NULL;
}

static int add_range(struct dl_phdr_info *info, size_t size, void *own) {
    (void)size;
    const char *path = info->dlpi_name;
    const bool program = path[0] == 0, module = has(path, "/tact_") || has(path, "libtact");
    const bool helper = has(path, "libjansson") || has(path, "libzip") || has(path, "libyaml") ||
                        has(path, "libc.so");
    const bool files = has(path, "libav") || has(path, "libhdf5"); // of others: their files only
    for (int i = 0; i < info->dlpi_phnum && n_ranges < MOST_RANGES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X)) continue;
        if ((uintptr_t)own >= from && (uintptr_t)own < from + p->p_memsz) continue; // this library
        ranges[n_ranges++] = (Range){from, from + p->p_memsz, program || module || helper || files,
                                     program || module || helper};
    }
    return 0;
}

static const Range *range_of(const void *caller) {
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < n_ranges; i++)
            if ((uintptr_t)caller >= ranges[i].from && (uintptr_t)caller < ranges[i].to)
                return &ranges[i];
        if (pass == 0) { // a module that was loaded meanwhile
            n_ranges = 0;
            dl_iterate_phdr(add_range, (void *)add_range);
        }
    }
    return NULL;
}

static void log_line(const char *text) {
    long fd = log_path[0]
                  ? syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND, 0666)
                  : -1;
    if (fd < 0) return;
    (void)!syscall(SYS_write, fd, text, strlen(text));
    syscall(SYS_close, fd);
}

static void log_failure(enum Kind k, const void *caller, long n) {
    char line[1024];
    Dl_info info = {0};
    dladdr(caller, &info);
    snprintf(line, sizeof line, "failed %s %ld: %s+0x%lx\n", kinds[k].name, n,
             info.dli_fname ? info.dli_fname : "?",
             (unsigned long)((const char *)caller - (const char *)info.dli_fbase));
    log_line(line);
}

// Whether this call is one that fails; errno is set then. *part, where it is given: half of it is
// to be done.
static bool fails(enum Kind k, const void *caller, bool *part) {
    static _Thread_local bool inside;
    if (!armed || inside) return false;
    inside = true;
    pthread_mutex_lock(&ranges_lock);
    const Range *r = range_of(caller);
    bool counted = r && (k <= ALIGNED ? r->memory : r->ours);
    pthread_mutex_unlock(&ranges_lock);
    long n = counted ? atomic_fetch_add(&counts[k], 1) + 1 : 0;
    if (counted && kind == MEMORY && k <= ALIGNED) n = atomic_fetch_add(&memory_calls, 1) + 1;
    bool chosen = (int)k == kind || (kind == MEMORY && k <= ALIGNED);
    bool hit = counted && chosen && n >= first && n < first + times;
    if (hit && atomic_fetch_add(&failures, 1) < 3) log_failure(k, caller, n);
    inside = false;
    if (!hit) return false;
    if (how == -1 && part) {
        *part = true;
        return false;
    }
    errno = how > 0 ? how : kinds[k].error;
    return true;
}

// ---- main ---------------------------------------------------------------------------------------

static int (*real_main)(int, char **, char **);

static void read_settings(void) {
    const char *name = getenv("FAULT_KIND"), *at = getenv("FAULT_AT"), *n = getenv("FAULT_TIMES");
    const char *way = getenv("FAULT_HOW"), *path = getenv("FAULT_LOG");
    for (int k = 0; name && k < KINDS; k++)
        if (strcmp(name, kinds[k].name) == 0) kind = k;
    if (name && strcmp(name, "memory") == 0) kind = MEMORY;
    for (size_t i = 0; way && i < sizeof errors / sizeof errors[0]; i++)
        if (strcmp(way, errors[i].name) == 0) how = errors[i].error;
    if (at) first = atol(at);
    if (n) times = atol(n);
    if (path) snprintf(log_path, sizeof log_path, "%s", path);
    // What it starts is to run without.
    unsetenv("LD_PRELOAD");
}

static int counted_main(int argc, char **argv, char **environment) {
    read_settings();
    // The first call of these looks for them, which takes memory.
    pthread_mutex_lock(&ranges_lock);
    range_of((void *)real_main);
    pthread_mutex_unlock(&ranges_lock);
    armed = true;
    int code = real_main(argc, argv, environment);
    armed = false;
    for (int k = 0; k < KINDS; k++) {
        char line[64];
        snprintf(line, sizeof line, "%s %ld\n", kinds[k].name, (long)counts[k]);
        log_line(line);
    }
    return code;
}

EXPORT int __libc_start_main(int (*program)(int, char **, char **), int argc, char **argv,
                             void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                             void *stack_end) {
    NEXT(__libc_start_main);
    real_main = program;
    return next(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

// ---- memory -------------------------------------------------------------------------------------

EXPORT void *malloc(size_t size) {
    return fails(MALLOC, CALLER, NULL) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size) {
    return fails(CALLOC, CALLER, NULL) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t size) {
    return fails(REALLOC, CALLER, NULL) ? NULL : __libc_realloc(p, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return fails(ALIGNED, CALLER, NULL) ? NULL : __libc_memalign(alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size) {
    return fails(ALIGNED, CALLER, NULL) ? NULL : __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size) {
    if (fails(ALIGNED, CALLER, NULL)) return ENOMEM;
    void *p = __libc_memalign(alignment, size);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

static void *map(void *at, size_t size, int prot, int flags, int fd, off64_t offset) {
    return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

EXPORT void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
    if (fails(MMAP, CALLER, NULL)) return MAP_FAILED;
    return map(at, size, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *at, size_t size, int prot, int flags, int fd, off64_t offset) {
    if (fails(MMAP, CALLER, NULL)) return MAP_FAILED;
    return map(at, size, prot, flags, fd, offset);
}

// ---- files --------------------------------------------------------------------------------------

static int open_at(int dir, const char *path, int flags, unsigned mode) {
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

// The mode, which is there where a file may be made.
#define MODE_OF(flags, mode)                                                                       \
    unsigned mode = 0;                                                                             \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, unsigned);                                                             \
        va_end(args);                                                                              \
    }

EXPORT int open(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return fails(OPEN, CALLER, NULL) ? -1 : open_at(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return fails(OPEN, CALLER, NULL) ? -1 : open_at(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return fails(OPEN, CALLER, NULL) ? -1 : open_at(dir, path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return fails(OPEN, CALLER, NULL) ? -1 : open_at(dir, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags) {
    return fails(OPEN, CALLER, NULL) ? -1 : open_at(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags) {
    return fails(OPEN, CALLER, NULL) ? -1 : open_at(AT_FDCWD, path, flags, 0);
}

static size_t part_of(size_t size, bool part) {
    return part && size > 1 ? size / 2 : size;
}

#define TRANSFER(kind_, number, ...)                                                               \
    bool part = false;                                                                             \
    if (fails(kind_, CALLER, &part)) return -1;                                                    \
    return syscall(number, fd, data, part_of(size, part), ##__VA_ARGS__)

EXPORT ssize_t read(int fd, void *data, size_t size) {
    TRANSFER(READ, SYS_read);
}

EXPORT ssize_t __read_chk(int fd, void *data, size_t size, size_t room) {
    (void)room;
    TRANSFER(READ, SYS_read);
}

EXPORT ssize_t write(int fd, const void *data, size_t size) {
    TRANSFER(WRITE, SYS_write);
}

EXPORT ssize_t pread(int fd, void *data, size_t size, off_t at) {
    TRANSFER(PREAD, SYS_pread64, at);
}

EXPORT ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    TRANSFER(PREAD, SYS_pread64, at);
}

EXPORT ssize_t __pread_chk(int fd, void *data, size_t size, off_t at, size_t room) {
    (void)room;
    TRANSFER(PREAD, SYS_pread64, at);
}

EXPORT ssize_t __pread64_chk(int fd, void *data, size_t size, off64_t at, size_t room) {
    (void)room;
    TRANSFER(PREAD, SYS_pread64, at);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    TRANSFER(PWRITE, SYS_pwrite64, at);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    TRANSFER(PWRITE, SYS_pwrite64, at);
}

EXPORT int fsync(int fd) {
    return fails(FSYNC, CALLER, NULL) ? -1 : (int)syscall(SYS_fsync, fd);
}

EXPORT int flock(int fd, int operation) {
    return fails(FLOCK, CALLER, NULL) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

EXPORT int rename(const char *from, const char *to) {
    if (fails(RENAME, CALLER, NULL)) return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    if (fails(RENAME, CALLER, NULL)) return -1;
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

EXPORT int mkdir(const char *path, mode_t mode) {
    return fails(MKDIR, CALLER, NULL) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

EXPORT int symlink(const char *to, const char *path) {
    return fails(SYMLINK, CALLER, NULL) ? -1 : (int)syscall(SYS_symlinkat, to, AT_FDCWD, path);
}

EXPORT int stat(const char *path, struct stat *out) {
    NEXT(stat);
    return fails(STAT, CALLER, NULL) ? -1 : next(path, out);
}

EXPORT int stat64(const char *path, struct stat64 *out) {
    NEXT(stat64);
    return fails(STAT, CALLER, NULL) ? -1 : next(path, out);
}

EXPORT int lstat(const char *path, struct stat *out) {
    NEXT(lstat);
    return fails(STAT, CALLER, NULL) ? -1 : next(path, out);
}

EXPORT int lstat64(const char *path, struct stat64 *out) {
    NEXT(lstat64);
    return fails(STAT, CALLER, NULL) ? -1 : next(path, out);
}

EXPORT int fstat(int fd, struct stat *out) {
    NEXT(fstat);
    return fails(STAT, CALLER, NULL) ? -1 : next(fd, out);
}

EXPORT int fstat64(int fd, struct stat64 *out) {
    NEXT(fstat64);
    return fails(STAT, CALLER, NULL) ? -1 : next(fd, out);
}

EXPORT int access(const char *path, int mode) {
    NEXT(access);
    return fails(STAT, CALLER, NULL) ? -1 : next(path, mode);
}

EXPORT DIR *opendir(const char *path) {
    NEXT(opendir);
    return fails(OPENDIR, CALLER, NULL) ? NULL : next(path);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *user) {
    NEXT(pthread_create);
    return fails(THREAD, CALLER, NULL) ? errno : next(thread, attr, run, user);
}

// ---- streams ------------------------------------------------------------------------------------

// Streams that were opened here, by whose bytes are whose calls.
typedef struct Stream {
    FILE *file;
    int fd;
    const void *caller;
} Stream;
enum { MOST_STREAMS = 64 };
static Stream streams[MOST_STREAMS];
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t stream_read(void *cookie, char *data, size_t size) {
    const Stream *s = cookie;
    bool part = false;
    if (fails(READ, s->caller, &part)) return -1;
    return syscall(SYS_read, s->fd, data, part_of(size, part));
}

// stdio takes a short write of a stream like this for an error, of a file not: it goes on itself.
static ssize_t stream_write(void *cookie, const char *data, size_t size) {
    const Stream *s = cookie;
    size_t done = 0;
    while (done < size) {
        bool part = false;
        if (fails(WRITE, s->caller, &part)) break;
        ssize_t n = syscall(SYS_write, s->fd, data + done, part_of(size - done, part));
        if (n <= 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int stream_seek(void *cookie, off64_t *at, int whence) {
    const Stream *s = cookie;
    off64_t now = syscall(SYS_lseek, s->fd, *at, whence);
    if (now < 0) return -1;
    *at = now;
    return 0;
}

static int stream_close(void *cookie) {
    Stream *s = cookie;
    int closed = (int)syscall(SYS_close, s->fd);
    pthread_mutex_lock(&streams_lock);
    *s = (Stream){0};
    pthread_mutex_unlock(&streams_lock);
    return closed;
}

static FILE *open_stream(const char *path, const char *mode, const void *caller) {
    const cookie_io_functions_t functions = {stream_read, stream_write, stream_seek, stream_close};
    const bool plus = strchr(mode, '+') != NULL;
    int flags = plus ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    flags |= mode[0] == 'w' ? O_CREAT | O_TRUNC : mode[0] == 'a' ? O_CREAT | O_APPEND : 0;
    int fd = open_at(AT_FDCWD, path, flags | O_CLOEXEC, 0666);
    if (fd < 0) return NULL;
    pthread_mutex_lock(&streams_lock);
    Stream *s = NULL;
    for (int i = 0; i < MOST_STREAMS && !s; i++)
        if (!streams[i].file) s = &streams[i];
    if (s) *s = (Stream){stdin, fd, caller}; // taken, until its own is known
    pthread_mutex_unlock(&streams_lock);
    if (!s) abort();
    FILE *file = fopencookie(s, mode, functions);
    s->file = file;
    if (!file) syscall(SYS_close, fd);
    return file;
}

EXPORT FILE *fopen(const char *path, const char *mode) {
    return fails(OPEN, CALLER, NULL) || fails(MALLOC, CALLER, NULL)
               ? NULL
               : open_stream(path, mode, CALLER);
}

EXPORT FILE *fopen64(const char *path, const char *mode) {
    return fails(OPEN, CALLER, NULL) || fails(MALLOC, CALLER, NULL)
               ? NULL
               : open_stream(path, mode, CALLER);
}

EXPORT int fileno(FILE *file) {
    NEXT(fileno);
    int fd = -1;
    pthread_mutex_lock(&streams_lock);
    for (int i = 0; i < MOST_STREAMS; i++)
        if (streams[i].file == file) fd = streams[i].fd;
    pthread_mutex_unlock(&streams_lock);
    return fd >= 0 ? fd : next(file);
}
