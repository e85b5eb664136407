// SPDX-License-Identifier: Apache-2.0
// Texts, each once, numbered in the order in which they came. Finding one takes the time to read
// it, however many there are.
//
//     TextSet set = {0};
//     int number = text_set_add(&set, &arena, "pick up", 7);
//     puts(set.texts[number]);
#ifndef TACT_BASE_TEXT_SET_H
#define TACT_BASE_TEXT_SET_H

#include "base/memory.h"
#include <stdint.h>

typedef struct TextSet {
    const char **texts; // (n), each ended by a zero byte
    int n;
    int64_t room;
    struct TextSlot *slots; // (n_slots) a hash table with open addressing; a power of two
    size_t n_slots;
    uint64_t key[2]; // of its hash, drawn when the first text comes
} TextSet;

// The number of a text of `size` bytes, which may have zero bytes among them. A new one is copied.
// Copies and table lie in the arena, the same at every call, and are gone with it.
int text_set_add(TextSet *set, Arena *arena, const char *text, size_t size);
// The number of a text, or -1 where it was not added.
int text_set_find(const TextSet *set, const char *text, size_t size);

#endif
