// SPDX-License-Identifier: Apache-2.0
#include "base/text_set.h"

#include "base/array.h"
#include <string.h>

typedef struct TextSlot {
    uint64_t hash;
    size_t size;
    int number; // of the text plus one; 0: empty
} TextSlot;

enum { FIRST_SLOTS = 64 };

static uint64_t text_hash(const char *text, size_t size) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < size; i++) h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

// The slot that holds a text, or the empty one in which it belongs.
static TextSlot *slot_of(const TextSet *set, uint64_t hash, const char *text, size_t size) {
    size_t mask = set->n_slots - 1, at = (size_t)hash & mask;
    for (;; at = (at + 1) & mask) {
        TextSlot *s = &set->slots[at];
        if (!s->number || (s->hash == hash && s->size == size &&
                           memcmp(set->texts[s->number - 1], text, size) == 0))
            return s;
    }
}

// At most half of the slots are used, so that a search soon comes to an empty one.
static void make_room(TextSet *set, Arena *arena) {
    if (2 * ((size_t)set->n + 1) <= set->n_slots) return;
    size_t n = set->n_slots ? 2 * set->n_slots : FIRST_SLOTS;
    TextSlot *slots = arena_alloc(arena, sizeof *slots * n);
    for (size_t i = 0; i < set->n_slots; i++) {
        const TextSlot *old = &set->slots[i];
        size_t at = (size_t)old->hash & (n - 1);
        if (!old->number) continue;
        while (slots[at].number) at = (at + 1) & (n - 1);
        slots[at] = *old;
    }
    set->slots = slots;
    set->n_slots = n;
}

int text_set_find(const TextSet *set, const char *text, size_t size) {
    return set->n ? slot_of(set, text_hash(text, size), text, size)->number - 1 : -1;
}

int text_set_add(TextSet *set, Arena *arena, const char *text, size_t size) {
    make_room(set, arena);
    uint64_t hash = text_hash(text, size);
    TextSlot *s = slot_of(set, hash, text, size);
    if (s->number) return s->number - 1;
    char *copy = arena_alloc(arena, size + 1);
    if (size) memcpy(copy, text, size);
    *ARENA_ARRAY_ADD(arena, set->texts, set->n, set->room) = copy;
    *s = (TextSlot){hash, size, set->n};
    return set->n - 1;
}
