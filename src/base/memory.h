// SPDX-License-Identifier: Apache-2.0
// The one allocator policy for host memory.
//
// Small and medium blocks never come back NULL: a machine that cannot give them cannot go on, and
// the process ends with one line. Sizes that come from a file are checked against that file before
// they get here. Large blocks whose size follows from the user's configuration (batches, tensors)
// are asked for with mem_try, which reports.
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
void arena_free(Arena *a);

#endif
