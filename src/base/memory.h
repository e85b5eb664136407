// SPDX-License-Identifier: Apache-2.0
// The one allocator policy for host memory.
//
// What libtact is made of asks with the mem_try functions, whatever the size: they give NULL, which
// becomes an error (fail_memory) or a device's failure, because a library may not end its host. So
// do large blocks of the program (batches, tensors). Its small and medium blocks are mem_alloc's,
// which never gives NULL: the program cannot go on without them, and ends with one line. Sizes that
// come from a file are checked against that file before they get here.
#ifndef TACT_BASE_MEMORY_H
#define TACT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// `bytes` zeroed bytes, aligned to 64. Free with mem_free.
void *mem_alloc(size_t bytes);
// As mem_alloc, or NULL. From a megabyte on it is NULL too where hardly any memory would be left
// for small blocks.
void *mem_try(size_t bytes);
// As mem_try, but the bytes are not set: for a block that is filled at once, and for one of
// which only a part is used, so that only that part takes memory.
void *mem_try_raw(size_t bytes);
// The same, aligned to a power of two of at least 64.
void *mem_try_raw_aligned(size_t bytes, size_t alignment);
// As mem_try, aligned to a power of two of at least 64.
void *mem_try_aligned(size_t bytes, size_t alignment);
// Whether so many bytes could be had at this moment; takes none of them. From 64 MiB on the machine
// and the control group must have them free (base/available.h), and so must all of the above.
bool mem_could(size_t bytes);
// Copy of a string, or NULL. Free with mem_free.
char *mem_try_strdup(const char *s);
// `count` elements of `size` bytes as of mem_try; NULL too where that is more than a size can say.
void *mem_try_array(size_t size, size_t count);
// count zeroed elements of a type, or NULL.
#define TRY_NEW(type, count) ((type *)mem_try_array(sizeof(type), (size_t)(count)))
// Whether memory can be written and then run, as generated code is; some systems forbid it. errno
// tells that from want of memory (ENOMEM).
bool mem_could_run(void);
// NULL is allowed.
void mem_free(void *p);
// The most memory of this process that was resident at once so far, in bytes.
size_t mem_most_resident(void);
// Copy of a string. Free with mem_free.
char *mem_strdup(const char *s);
// count zeroed elements of a type.
#define NEW(type, count) ((type *)mem_alloc(sizeof(type) * (size_t)(count)))

// An arena: many small allocations with one lifetime. Zero-initialise, use, arena_free.
typedef struct Arena {
    struct ArenaBlock *blocks;
} Arena;

// Zeroed, 64-byte aligned, valid until arena_free.
void *arena_alloc(Arena *a, size_t bytes);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same, or NULL.
void *arena_try(Arena *a, size_t bytes);
char *arena_try_strdup(Arena *a, const char *s);
char *arena_try_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(Arena *a);

#endif
