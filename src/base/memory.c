// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"

#include "base/available.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ALIGNMENT = 64, FIRST_BYTES = 1 << 12, BLOCK_BYTES = 1 << 16, HUGE_PAGE = 2 << 20 };
enum { LARGE = 1 << 20, SPARE = 16 << 20, HELD = 64 << 20 };

bool mem_could(size_t bytes) {
    if (!bytes) return true;
    // From here on a request is worth the look at what there is: promised memory that is not there
    // ends the process, or another one, when it is used.
    int64_t left = bytes >= HELD ? memory_available() : -1;
    if (left >= 0 && bytes > (size_t)left) return false;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    munmap(p, bytes);
    return true;
}

bool mem_could_run(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    bool runs = mprotect(p, page, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
    int why = errno;
    munmap(p, page);
    errno = why;
    return runs;
}

// Large blocks are made of huge pages where the system gives any: with small pages, much of the
// time spent on weights and activations goes into looking up addresses, above all in virtual
// machines. Large blocks never take the last memory. What is left after them is for small
// blocks, ours and those of libraries, and nobody can report that these are missing. last: this
// block may take it, because the process ends without it.
static void *try_rounded(size_t bytes, size_t alignment, bool last, size_t *rounded) {
    bool huge = bytes >= HUGE_PAGE;
    if (huge) alignment = HUGE_PAGE;
    if (bytes > PTRDIFF_MAX - alignment) return NULL;
    *rounded = (bytes + alignment - 1) / alignment * alignment;
    if (bytes >= HELD && !last && !mem_could(bytes)) return NULL;
    void *p = aligned_alloc(alignment, *rounded ? *rounded : alignment);
    if (p && bytes >= LARGE && !last && !mem_could(SPARE)) {
        free(p);
        return NULL;
    }
    if (p && huge) madvise(p, *rounded, MADV_HUGEPAGE); // a wish: else nothing is lost but speed
    return p;
}

void *mem_try_raw_aligned(size_t bytes, size_t alignment) {
    size_t rounded;
    return try_rounded(bytes, alignment, false, &rounded);
}

void *mem_try_raw(size_t bytes) {
    return mem_try_raw_aligned(bytes, ALIGNMENT);
}

static void *try_zeroed(size_t bytes, size_t alignment, bool last) {
    size_t rounded;
    void *p = try_rounded(bytes, alignment, last, &rounded);
    return p ? memset(p, 0, rounded) : NULL;
}

void *mem_try_aligned(size_t bytes, size_t alignment) {
    return try_zeroed(bytes, alignment, false);
}

void *mem_try(size_t bytes) {
    return mem_try_aligned(bytes, ALIGNMENT);
}

void *mem_try_array(size_t size, size_t count) {
    size_t bytes;
    return __builtin_mul_overflow(size, count, &bytes) ? NULL : mem_try(bytes);
}

static void *copy_of(void *to, const char *s, size_t n) {
    return to ? memcpy(to, s, n) : NULL;
}

char *mem_try_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    return copy_of(mem_try(n), s, n);
}

void mem_free(void *p) {
    free(p);
}

size_t mem_most_resident(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss << 10 : 0;
}

typedef struct ArenaBlock {
    struct ArenaBlock *next;
    size_t used, size;
    _Alignas(ALIGNMENT) unsigned char data[];
} ArenaBlock;

// last: as in try_rounded.
static void *arena_take(Arena *a, size_t bytes, bool last) {
    if (bytes > PTRDIFF_MAX / 2) return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ArenaBlock *block = a->blocks;
    if (!block || block->size - block->used < rounded) {
        // A first block is small: most arenas of a file's metadata need no more.
        size_t least = block ? BLOCK_BYTES : FIRST_BYTES;
        size_t size = rounded > least ? rounded : least;
        block = try_zeroed(sizeof(ArenaBlock) + size, ALIGNMENT, last);
        if (!block) return NULL;
        block->size = size;
        block->next = a->blocks;
        a->blocks = block;
    }
    void *p = block->data + block->used;
    block->used += rounded;
    return p;
}

void *arena_try(Arena *a, size_t bytes) {
    return arena_take(a, bytes, false);
}

char *arena_try_strdup(Arena *a, const char *s) {
    size_t n = strlen(s) + 1;
    return copy_of(arena_try(a, n), s, n);
}

static char *arena_write(Arena *a, bool last, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *s = n < 0 ? NULL : arena_take(a, (size_t)n + 1, last);
    if (s) vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

char *arena_try_printf(Arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *s = arena_write(a, false, format, args);
    va_end(args);
    return s;
}

// ---- of the program: what ends it where there is no memory ------------------------

static void *or_end(void *p, size_t bytes) {
    if (p) return p;
    fprintf(stderr, "tact: out of memory: could not get %zu bytes\n", bytes);
    abort();
}

void *mem_alloc(size_t bytes) {
    return or_end(try_zeroed(bytes, ALIGNMENT, true), bytes);
}

char *mem_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    return copy_of(mem_alloc(n), s, n);
}

void *arena_alloc(Arena *a, size_t bytes) {
    return or_end(arena_take(a, bytes, true), bytes);
}

char *arena_strdup(Arena *a, const char *s) {
    size_t n = strlen(s) + 1;
    return copy_of(arena_alloc(a, n), s, n);
}

char *arena_printf(Arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *s = or_end(arena_write(a, true, format, args), strlen(format));
    va_end(args);
    return s;
}

void arena_free(Arena *a) {
    while (a->blocks) {
        ArenaBlock *next = a->blocks->next;
        mem_free(a->blocks);
        a->blocks = next;
    }
}
