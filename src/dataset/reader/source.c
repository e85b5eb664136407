// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/source.h"

#include "base/array.h"

const char *source_task(Source *s, const char *text, size_t size) {
    int number = text_set_add(&s->tasks, &s->ds->arena, text, size); // may move texts
    return s->tasks.texts[number];
}

int64_t source_most_rows(const Source *s) {
    const Listed *last = s->n_listed > 0 ? &s->listed[s->n_listed - 1] : NULL;
    int64_t listed = last && last->from >= 0 ? last->from + last->length : 0;
    return s->ds->total_frames > listed ? s->ds->total_frames : listed;
}

void source_make_listed(Source *s, int64_t n) {
    ARRAY_ROOM(s->listed, s->n_listed, s->listed_room, n);
    int cameras = s->ds->n_cameras;
    ListedVideo *videos = arena_alloc(&s->scratch, sizeof *videos * (size_t)(n * cameras));
    for (int64_t i = 0; i < n; i++) s->listed[s->n_listed + i].videos = videos + i * cameras;
}
