// SPDX-License-Identifier: Apache-2.0
// Memory that cannot be had, at any call: functions that stand before those of the C library count
// the calls for memory and for threads of this program, of jansson, libzip and the C library, and
// let the n-th of them fail, or every one from the n-th on. To be included once in a program.
//
// Not counted is what oneDNN, OpenMP's library, the C++ library and the dynamic linker ask for.
// They end the process without it, so the code under test asks beforehand whether there is enough,
// and that question (mmap) is counted. test_memory.c takes memory from all of them.
#ifndef TACT_TESTS_RUNTIME_NO_MEMORY_H
#define TACT_TESTS_RUNTIME_NO_MEMORY_H

#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_RANGES = 32 };
static struct {
    atomic_long left;  // calls until one fails; below 0: none does
    atomic_long calls; // that were counted since the last fail_at
    atomic_int failed; // how many failed since
    bool lasting;      // from then on all fail
    bool no_code;      // instead: memory cannot be made executable, for anyone
    struct {
        uintptr_t from, to;
    } passed[MOST_RANGES]; // code whose calls are not counted
    int n_passed;
} faults = {.left = -1};

static int note_passed(struct dl_phdr_info *info, size_t size, void *unused) {
    static const char *const names[] = {"libdnnl", "libgomp", "libomp", "libstdc++", "ld-linux"};
    (void)size, (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strstr(info->dlpi_name, names[i])) continue;
        for (int k = 0; k < info->dlpi_phnum && faults.n_passed < MOST_RANGES; k++) {
            if (info->dlpi_phdr[k].p_type != PT_LOAD) continue;
            uintptr_t from = info->dlpi_addr + info->dlpi_phdr[k].p_vaddr;
            faults.passed[faults.n_passed].from = from;
            faults.passed[faults.n_passed++].to = from + info->dlpi_phdr[k].p_memsz;
        }
    }
    return 0;
}

// From now on the n-th call from here fails (from 0), with `lasting` all that follow it too. n
// below 0: none.
static void fail_at(long n, bool lasting) {
    if (!faults.n_passed) dl_iterate_phdr(note_passed, NULL);
    faults.lasting = lasting;
    atomic_store(&faults.calls, 0);
    atomic_store(&faults.failed, 0);
    atomic_store(&faults.left, n);
}

// Whether a call from such a place is to fail.
static bool is_struck(const void *caller) {
    if (atomic_load_explicit(&faults.left, memory_order_relaxed) < 0) return false;
    for (int i = 0; i < faults.n_passed; i++)
        if ((uintptr_t)caller >= faults.passed[i].from && (uintptr_t)caller < faults.passed[i].to)
            return false;
    atomic_fetch_add(&faults.calls, 1);
    long left = atomic_load(&faults.left);
    while (left > 0 && !atomic_compare_exchange_weak(&faults.left, &left, left - 1)) {
    }
    if (left != 0) return false; // others at the same moment may have disarmed it
    if (!faults.lasting) atomic_store(&faults.left, LONG_MAX);
    atomic_fetch_add(&faults.failed, 1);
    errno = ENOMEM;
    return true;
}

#define STRUCK is_struck(__builtin_return_address(0))

// A sanitizer has functions of these names itself, and is called before it is ready where others
// stand before them. There the linker puts ours in their place (tests/CMakeLists.txt), in this
// program's code, and jansson is told of them by faults_reach_jansson; libzip is left out.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WRAPPED(name) extern __typeof__(name) __real_##name, __wrap_##name
WRAPPED(malloc);
WRAPPED(calloc);
WRAPPED(realloc);
WRAPPED(aligned_alloc);
WRAPPED(posix_memalign);
WRAPPED(mmap);
WRAPPED(mprotect);
WRAPPED(pthread_create);
#define HERE(name) __wrap_##name
enum { REACHES_LIBRARIES = false };
#define BEHIND(name) __typeof__(&name) behind = __real_##name
#else
#define HERE(name) name
enum { REACHES_LIBRARIES = true };
// The function of that name behind this one.
#define BEHIND(name)                                                                               \
    static __typeof__(&name) behind;                                                               \
    if (!behind) *(void **)&behind = dlsym(RTLD_NEXT, #name)
#endif

#pragma GCC visibility push(default) // for the libraries too
void *HERE(malloc)(size_t size) {
    BEHIND(malloc);
    return STRUCK ? NULL : behind(size);
}
void *HERE(calloc)(size_t n, size_t size) {
    BEHIND(calloc);
    return STRUCK ? NULL : behind(n, size);
}
void *HERE(realloc)(void *p, size_t size) {
    BEHIND(realloc);
    return STRUCK ? NULL : behind(p, size);
}
void *HERE(aligned_alloc)(size_t alignment, size_t size) {
    BEHIND(aligned_alloc);
    return STRUCK ? NULL : behind(alignment, size);
}
int HERE(posix_memalign)(void **out, size_t alignment, size_t size) {
    BEHIND(posix_memalign);
    return STRUCK ? ENOMEM : behind(out, alignment, size);
}
void *HERE(mmap)(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    BEHIND(mmap);
    if (faults.no_code && (protection & PROT_EXEC)) {
        errno = EPERM;
        return MAP_FAILED;
    }
    return STRUCK ? MAP_FAILED : behind(at, size, protection, flags, fd, offset);
}
int HERE(mprotect)(void *at, size_t size, int protection) {
    BEHIND(mprotect);
    if (!faults.no_code || !(protection & PROT_EXEC)) return behind(at, size, protection);
    errno = EPERM;
    return -1;
}
int HERE(pthread_create)(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                         void *argument) {
    BEHIND(pthread_create);
    return STRUCK ? EAGAIN : behind(thread, attributes, run, argument);
}
#pragma GCC visibility pop

// Before the first use of jansson.
static void faults_reach_jansson(void) {
    json_set_alloc_funcs(HERE(malloc), free);
}

#endif
