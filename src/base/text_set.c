// SPDX-License-Identifier: Apache-2.0
#include "base/text_set.h"

#include "base/array.h"
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

typedef struct TextSlot {
    uint64_t hash;
    size_t size;
    int number; // of the text plus one; 0: empty
} TextSlot;

enum { FIRST_SLOTS = 64 };

static uint64_t turn(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = turn(v[1], 13) ^ v[0], v[0] = turn(v[0], 32);
    v[2] += v[3], v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = turn(v[1], 17) ^ v[2], v[2] = turn(v[2], 32);
}

// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). Texts come from
// files: with a key that nobody knows, nobody can choose texts that all fall into one place, among
// which a search would take as long as there are texts.
static uint64_t text_hash(const TextSet *set, const char *text, size_t size) {
    const uint64_t *k = set->key;
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du,
                     k[0] ^ 0x6c7967656e657261u, k[1] ^ 0x7465646279746573u};
    for (size_t at = 0; at <= size; at += 8) {
        uint64_t word = 0;
        bool last = size - at < 8;
        memcpy(&word, text + at, last ? size - at : 8);
        if (last) word |= (uint64_t)size << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (last) break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
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
    // Without random numbers the hash still works, for texts that nobody chose against it.
    if (!set->n_slots && getrandom(set->key, sizeof set->key, GRND_NONBLOCK) < 0)
        set->key[0] = (uint64_t)(uintptr_t)set;
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
    return set->n ? slot_of(set, text_hash(set, text, size), text, size)->number - 1 : -1;
}

int text_set_add(TextSet *set, Arena *arena, const char *text, size_t size) {
    make_room(set, arena);
    uint64_t hash = text_hash(set, text, size);
    TextSlot *s = slot_of(set, hash, text, size);
    if (s->number) return s->number - 1;
    char *copy = arena_alloc(arena, size + 1);
    if (size) memcpy(copy, text, size);
    *ARENA_ARRAY_ADD(arena, set->texts, set->n, set->room) = copy;
    *s = (TextSlot){hash, size, set->n};
    return set->n - 1;
}
