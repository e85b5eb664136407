// SPDX-License-Identifier: Apache-2.0
#include "base/array.h"

#include <string.h>

enum { FIRST_CAPACITY = 8 };

void *array_grow(Arena *arena, void *items, size_t size, int64_t count, int64_t *capacity,
                 int64_t more) {
    if (more <= *capacity - count) return items;
    int64_t wanted, grown;
    size_t bytes;
    // A size that overflows is more than any machine has: asking for so much ends the
    // process.
    if (__builtin_add_overflow(count, more, &wanted)) wanted = INT64_MAX;
    if (__builtin_mul_overflow(2, *capacity, &grown)) grown = INT64_MAX;
    if (grown < FIRST_CAPACITY) grown = FIRST_CAPACITY;
    if (grown < wanted) grown = wanted;
    if (__builtin_mul_overflow(size, grown, &bytes) || bytes > PTRDIFF_MAX / 2)
        bytes = PTRDIFF_MAX / 2;
    void *moved = arena ? arena_alloc(arena, bytes) : mem_alloc(bytes);
    if (count > 0) memcpy(moved, items, size * (size_t)count);
    if (!arena) mem_free(items);
    *capacity = grown;
    return moved;
}
