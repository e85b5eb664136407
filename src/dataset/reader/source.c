// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/source.h"

#include "base/array.h"
#include <string.h>

const char *source_task(Source *s, const char *text, size_t size) {
    // Neighbouring episodes mostly share their task, so the newest is tried first.
    for (int i = s->n_tasks - 1; i >= 0; i--)
        if (strlen(s->tasks[i]) == size && memcmp(s->tasks[i], text, size) == 0) return s->tasks[i];
    char *copy = arena_alloc(&s->ds->arena, size + 1);
    memcpy(copy, text, size);
    *ARENA_ARRAY_ADD(&s->ds->arena, s->tasks, s->n_tasks, s->tasks_room) = copy;
    return copy;
}

void source_make_listed(Source *s, int64_t n) {
    ARRAY_ROOM(s->listed, s->n_listed, s->listed_room, n);
    int cameras = s->ds->n_cameras;
    ListedVideo *videos = arena_alloc(&s->scratch, sizeof *videos * (size_t)(n * cameras));
    for (int64_t i = 0; i < n; i++) s->listed[s->n_listed + i].videos = videos + i * cameras;
}
