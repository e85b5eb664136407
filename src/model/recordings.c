// SPDX-License-Identifier: Apache-2.0
#include "model/recordings.h"

#include "base/memory.h"
#include <string.h>

static bool is_of(const Recording *r, const void *memory, int what, const int *slots, int n) {
    return r->memory == memory && r->what == what && r->n == n &&
           memcmp(r->slots, slots, (size_t)n * sizeof *slots) == 0;
}

Recording *recording_for(Recordings *r, Device *d, const void *memory, int what, const int *slots,
                         int n) {
    if (!d->backend->asynchronous || !memory || n < 1) return NULL;
    for (int i = 0; i < r->n; i++)
        if (is_of(&r->list[i], memory, what, slots, n)) return &r->list[i];
    if (r->n == MAX_RECORDINGS) return NULL;
    int *copy = TRY_NEW(int, n);
    if (!copy) return NULL;
    memcpy(copy, slots, (size_t)n * sizeof *slots);
    Recording *made = &r->list[r->n++];
    *made = (Recording){.memory = memory, .what = what, .n = n, .slots = copy};
    return made;
}

bool recording_begin(Recording *r, Device *d) {
    return !r || d->record_begin(d, &r->record, (StepNumbers){0});
}

void recording_end(Recording *r, Device *d) {
    if (r) d->record_end(d, &r->record);
}

void recordings_free(Recordings *r, Device *d) {
    for (int i = 0; i < r->n; i++) {
        d->record_free(d, r->list[i].record);
        mem_free(r->list[i].slots);
    }
    r->n = 0;
}
