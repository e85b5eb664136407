// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/source.h"

#include "base/memory.h"
#include <string.h>

const char *source_task(Source *s, const char *text, size_t size) {
    // Neighbouring episodes mostly share their task, so the newest is tried first.
    for (int i = s->n_tasks - 1; i >= 0; i--)
        if (strlen(s->tasks[i]) == size && memcmp(s->tasks[i], text, size) == 0) return s->tasks[i];
    if (s->n_tasks == s->tasks_room) {
        int room = s->tasks_room ? 2 * s->tasks_room : 16;
        const char **tasks = arena_alloc(&s->ds->arena, sizeof *tasks * (size_t)room);
        if (s->n_tasks) memcpy(tasks, s->tasks, sizeof *tasks * (size_t)s->n_tasks);
        s->tasks = tasks;
        s->tasks_room = room;
    }
    char *copy = arena_alloc(&s->ds->arena, size + 1);
    memcpy(copy, text, size);
    s->tasks[s->n_tasks++] = copy;
    return copy;
}

void source_make_listed(Source *s, int64_t n) {
    int64_t room = s->n_listed + n;
    if (room > s->listed_room) {
        if (room < 2 * s->listed_room) room = 2 * s->listed_room;
        Listed *grown = NEW(Listed, room);
        if (s->n_listed) memcpy(grown, s->listed, sizeof *grown * (size_t)s->n_listed);
        mem_free(s->listed);
        s->listed = grown;
        s->listed_room = room;
    }
    int cameras = s->ds->n_cameras;
    ListedVideo *videos = arena_alloc(&s->scratch, sizeof *videos * (size_t)(n * cameras));
    for (int64_t i = 0; i < n; i++) s->listed[s->n_listed + i].videos = videos + i * cameras;
}
