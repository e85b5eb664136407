// SPDX-License-Identifier: Apache-2.0
#include "base/array.h"

#include <string.h>

enum { FIRST_CAPACITY = 8 };

// The capacity and the bytes of room for more elements. A size that overflows is more than any
// machine has.
static size_t grown_bytes(size_t size, int64_t count, int64_t capacity, int64_t more,
                          int64_t *grown) {
    int64_t wanted;
    size_t bytes;
    if (__builtin_add_overflow(count, more, &wanted)) wanted = INT64_MAX;
    if (__builtin_mul_overflow(2, capacity, grown)) *grown = INT64_MAX;
    if (*grown < FIRST_CAPACITY) *grown = FIRST_CAPACITY;
    if (*grown < wanted) *grown = wanted;
    if (__builtin_mul_overflow(size, *grown, &bytes) || bytes > PTRDIFF_MAX / 2)
        bytes = PTRDIFF_MAX / 2;
    return bytes;
}

void *array_grow(Arena *arena, void *items, size_t size, int64_t count, int64_t *capacity,
                 int64_t more) {
    if (more <= *capacity - count) return items;
    int64_t grown;
    size_t bytes = grown_bytes(size, count, *capacity, more, &grown);
    void *moved = arena ? arena_alloc(arena, bytes) : mem_alloc(bytes);
    if (count > 0) memcpy(moved, items, size * (size_t)count);
    if (!arena) mem_free(items);
    *capacity = grown;
    return moved;
}

bool array_try_grow(Arena *arena, void *items_at, size_t size, int64_t count, int64_t *capacity,
                    int64_t more) {
    if (more <= *capacity - count) return true;
    int64_t grown;
    size_t bytes = grown_bytes(size, count, *capacity, more, &grown);
    void *moved = arena ? arena_try(arena, bytes) : mem_try(bytes), *items;
    if (!moved) return false;
    memcpy(&items, items_at, sizeof items); // a pointer to elements of any type
    if (count > 0) memcpy(moved, items, size * (size_t)count);
    if (!arena) mem_free(items);
    memcpy(items_at, &moved, sizeof moved);
    *capacity = grown;
    return true;
}
