// SPDX-License-Identifier: Apache-2.0
// Episodes that are there twice.
#include "check/series.h"

#include <stdlib.h>
#include <string.h>

typedef struct Fingerprint {
    uint64_t hash;
    int64_t episode;
} Fingerprint;

static int by_hash(const void *a, const void *b) {
    const Fingerprint *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->episode > y->episode) - (x->episode < y->episode);
}

static const float *rows_of(const Vector *v, const Episode *e) {
    return v->data + e->first_row * v->n;
}

// FNV-1a, a value at a time.
static uint64_t hash_rows(uint64_t hash, const Vector *v, const Episode *e) {
    const float *values = v->n ? rows_of(v, e) : NULL;
    for (int64_t i = 0; i < e->length * v->n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool same_values(const Vector *v, const Episode *a, const Episode *b) {
    size_t bytes = sizeof *v->data * (size_t)(a->length * v->n);
    return bytes == 0 || memcmp(rows_of(v, a), rows_of(v, b), bytes) == 0;
}

bool same_rows(const Check *c, const Episode *a, const Episode *b) {
    return a->length == b->length && same_values(&c->state, a, b) && same_values(&c->action, a, b);
}

// Whether something of an episode changes: two in which nothing does are alike by nature.
static bool changes(const Check *c, int64_t e) {
    const Vector *both[] = {&c->state, &c->action};
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < both[i]->n; d++)
            if (range_in(both[i], e, d) > 0) return true;
    return false;
}

void check_twins(Check *c) {
    const Dataset *ds = c->ds;
    Fingerprint *prints = NEW(Fingerprint, ds->n_episodes);
    int64_t n = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)episode->length;
        if (!changes(c, e)) continue;
        hash = hash_rows(hash_rows(hash, &c->state, episode), &c->action, episode);
        prints[n++] = (Fingerprint){hash, e};
    }
    qsort(prints, (size_t)n, sizeof *prints, by_hash);
    for (int64_t i = 1; i < n; i++) {
        const Episode *a = &ds->episodes[prints[i - 1].episode],
                      *b = &ds->episodes[prints[i].episode];
        if (prints[i].hash != prints[i - 1].hash || !same_rows(c, a, b)) continue;
        find(c, RULE_episode_twice, prints[i].episode, -1, "", (double)b->length,
             "its rows are those of episode %lld", (long long)a->index);
    }
    mem_free(prints);
}
