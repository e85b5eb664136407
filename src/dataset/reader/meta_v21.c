// SPDX-License-Identifier: Apache-2.0
// Metadata of LeRobot v2.1 and v2.0: one JSON document a line.
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "dataset/reader/json_lines.h"
#include <math.h>

// One line's episode, at the place its number says; lines may come in any order.
static bool list_episode(Source *s, const JsonLines *l, const json_t *line, uint8_t *seen,
                         Error *err) {
    const json_t *index = json_object_get(line, "episode_index");
    const json_t *length = json_object_get(line, "length");
    int64_t i = json_integer_value(index), n = json_integer_value(length);
    if (!json_is_integer(index) || i < 0)
        return fail(err, "%s: line %lld has no valid episode_index; copy the file again", l->path,
                    (long long)l->number);
    if (i >= s->n_listed)
        return fail(err,
                    "%s: line %lld describes episode %lld, but there are only %lld lines; the "
                    "episodes must be numbered without gaps, copy the file again",
                    l->path, (long long)l->number, (long long)i, (long long)s->n_listed);
    if (seen[i])
        return fail(err,
                    "%s: line %lld describes episode %lld a second time; remove one of the two",
                    l->path, (long long)l->number, (long long)i);
    if (!json_is_integer(length) || n <= 0 || n > INT32_MAX) {
        return fail(err, "%s: line %lld: episode %lld has no valid length; copy the file again",
                    l->path, (long long)l->number, (long long)i);
    }
    seen[i] = 1;
    Listed *e = &s->listed[i];
    e->length = n;
    e->chunk = i / s->chunks_size;
    e->file = i;
    for (int c = 0; c < s->ds->n_cameras; c++)
        e->videos[c] = (ListedVideo){.chunk = e->chunk, .file = e->file, .to = INFINITY};
    const json_t *task = json_array_get(json_object_get(line, "tasks"), 0);
    if (json_is_string(task))
        e->task = source_task(s, json_string_value(task), json_string_length(task));
    return true;
}

// tasks.jsonl may be missing, since the episodes name their tasks too.
static bool list_tasks(Source *s, Error *err) {
    JsonLines l = {.path = arena_printf(&s->scratch, "%s/meta/tasks.jsonl", s->ds->root)};
    if (!file_exists(l.path)) return true;
    if (!json_lines_read(&l, err)) return false;
    json_t *line;
    bool ok;
    while ((ok = json_lines_next(&l, &line, err)) && line) {
        const json_t *task = json_object_get(line, "task");
        if (json_is_string(task)) source_task(s, json_string_value(task), json_string_length(task));
        json_decref(line);
    }
    mem_free(l.data);
    return ok;
}

// Each episode has a place for each camera. The file's own bytes say how many there can be: a line
// of 60 has room for 60 cameras, and what is far beyond it is made up.
static bool lines_can_be_held(const Source *s, JsonLines *l, int64_t lines, Error *err) {
    enum { FREE = 1 << 20 }; // places
    if (s->ds->n_cameras == 0 || lines <= (FREE + (int64_t)l->size) / s->ds->n_cameras) return true;
    mem_free(l->data);
    return fail(err, "%s: %lld episodes of %d cameras in %zu bytes; the files are damaged", l->path,
                (long long)lines, s->ds->n_cameras, l->size);
}

bool v21_list(Source *s, Error *err) {
    if (!list_tasks(s, err)) return false;
    JsonLines l = {.path = arena_printf(&s->scratch, "%s/meta/episodes.jsonl", s->ds->root)};
    if (!json_lines_read(&l, err)) return false;
    static const char least[] = "{\"episode_index\":0,\"length\":1}";
    int64_t lines = json_lines_count(&l, sizeof least - 1);
    if (!lines_can_be_held(s, &l, lines, err)) return false;
    source_make_listed(s, lines);
    s->n_listed = lines;
    uint8_t *seen = arena_alloc(&s->scratch, (size_t)lines);
    json_t *line;
    bool ok;
    while ((ok = json_lines_next(&l, &line, err)) && line) {
        ok = list_episode(s, &l, line, seen, err);
        json_decref(line);
        if (!ok) break;
    }
    int64_t from = 0;
    for (int64_t i = 0; ok && i < lines; i++) {
        s->listed[i].from = from;
        from += s->listed[i].length;
    }
    mem_free(l.data);
    return ok;
}
