// SPDX-License-Identifier: Apache-2.0
// The growable array: a pointer, a count and a capacity, in the struct or function that uses them.
//
//     Found *found = NULL;
//     int64_t count = 0, capacity = 0;
//     ARRAY_ADD(found, count, capacity)->step = step;
//     mem_free(found);
//
// items is a pointer to the elements, NULL at first; count any integer; capacity an int64_t, 0 at
// first. Each argument is evaluated more than once. Elements move when the array grows;
// memory that no element has used before is zero. A machine without the memory ends the process, as
// with mem_alloc; but the macros with TRY say so, and leave the array as it was.
#ifndef TACT_BASE_ARRAY_H
#define TACT_BASE_ARRAY_H

#include "base/memory.h"

// Makes room for `more` elements behind the first `count`.
#define ARRAY_ROOM(items, count, capacity, more)                                                   \
    ((items) = array_grow(NULL, (items), sizeof *(items), (count), &(capacity), (more)))
// Adds one element, and gives its address.
#define ARRAY_ADD(items, count, capacity)                                                          \
    (ARRAY_ROOM(items, count, capacity, 1), &(items)[(count)++])

// The same in an arena, where what the elements moved out of stays until arena_free.
#define ARENA_ARRAY_ROOM(arena, items, count, capacity, more)                                      \
    ((items) = array_grow((arena), (items), sizeof *(items), (count), &(capacity), (more)))
#define ARENA_ARRAY_ADD(arena, items, count, capacity)                                             \
    (ARENA_ARRAY_ROOM(arena, items, count, capacity, 1), &(items)[(count)++])

// As ARRAY_ROOM, true where there is room now; as ARRAY_ADD, NULL where there is none.
#define ARRAY_TRY_ROOM(items, count, capacity, more)                                               \
    array_try_grow(NULL, &(items), sizeof *(items), (count), &(capacity), (more))
#define ARRAY_TRY_ADD(items, count, capacity)                                                      \
    (ARRAY_TRY_ROOM(items, count, capacity, 1) ? &(items)[(count)++] : NULL)
#define ARENA_ARRAY_TRY_ROOM(arena, items, count, capacity, more)                                  \
    array_try_grow((arena), &(items), sizeof *(items), (count), &(capacity), (more))

// What the macros call: the elements, where they lie now. At least doubles *capacity whenever it
// has to change. arena NULL: memory of mem_alloc, and the old is freed.
void *array_grow(Arena *arena, void *items, size_t size, int64_t count, int64_t *capacity,
                 int64_t more);
// items_at: where the pointer to the elements is.
bool array_try_grow(Arena *arena, void *items_at, size_t size, int64_t count, int64_t *capacity,
                    int64_t more);

#endif
