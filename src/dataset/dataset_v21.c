// SPDX-License-Identifier: Apache-2.0
// Metadata of LeRobot v2.1: one JSON document a line.
#include "dataset/dataset_internal.h"

#include "base/file.h"
#include <stdlib.h>
#include <string.h>

// Text of a JSON-lines file, walked line by line.
typedef struct Lines {
    const char *path;
    char *data;
    size_t size, at;
    int64_t number; // of the line last given
} Lines;

// The next non-empty line as an object (json_decref it), or *out NULL at the end.
static bool next_line(Lines *l, json_t **out, Error *err) {
    *out = NULL;
    while (l->at < l->size) {
        const char *start = l->data + l->at;
        const char *newline = memchr(start, '\n', l->size - l->at);
        size_t n = newline ? (size_t)(newline - start) : l->size - l->at;
        l->at += n + (newline != NULL);
        l->number++;
        size_t text = n;
        while (text && strchr(" \t\r", start[text - 1])) text--;
        if (text == 0) continue;
        json_error_t problem;
        *out = json_loadb(start, text, 0, &problem);
        if (json_is_object(*out)) return true;
        json_decref(*out);
        *out = NULL;
        return fail(err, "%s: line %lld is not a JSON object; copy the file again", l->path,
                    (long long)l->number);
    }
    return true;
}

static int64_t count_lines(const Lines *l) {
    int64_t n = 1;
    for (size_t i = 0; i < l->size; i++) n += l->data[i] == '\n';
    return n;
}

static bool list_episode(Source *s, const Lines *l, const json_t *line, int64_t *from, Error *err) {
    int64_t i = s->n_listed;
    const json_t *index = json_object_get(line, "episode_index");
    const json_t *length = json_object_get(line, "length");
    if (!json_is_integer(index) || json_integer_value(index) != i) {
        return fail(err,
                    "%s: line %lld should describe episode %lld; the episodes must follow each "
                    "other without gaps",
                    l->path, (long long)l->number, (long long)i);
    }
    int64_t n = json_integer_value(length);
    if (!json_is_integer(length) || n <= 0 || n > INT32_MAX) {
        return fail(err, "%s: line %lld: episode %lld has no valid length; copy the file again",
                    l->path, (long long)l->number, (long long)i);
    }
    Listed *e = &s->listed[s->n_listed++];
    e->from = *from;
    e->length = n;
    *from += n;
    e->chunk = i / s->chunks_size;
    e->file = i;
    for (int c = 0; c < s->ds->n_cameras; c++) e->videos[c] = (ListedVideo){e->chunk, e->file, 0};
    const json_t *task = json_array_get(json_object_get(line, "tasks"), 0);
    if (json_is_string(task))
        e->task = source_task(s, json_string_value(task), json_string_length(task));
    return true;
}

// tasks.jsonl may lack: the episodes name their tasks too.
static bool list_tasks(Source *s, Error *err) {
    Lines l = {.path = arena_printf(&s->scratch, "%s/meta/tasks.jsonl", s->ds->root)};
    if (!file_exists(l.path)) return true;
    if (!file_read(l.path, &l.data, &l.size, err)) return false;
    json_t *line;
    bool ok;
    while ((ok = next_line(&l, &line, err)) && line) {
        const json_t *task = json_object_get(line, "task");
        if (json_is_string(task)) source_task(s, json_string_value(task), json_string_length(task));
        json_decref(line);
    }
    mem_free(l.data);
    return ok;
}

bool v21_list(Source *s, Error *err) {
    if (!list_tasks(s, err)) return false;
    Lines l = {.path = arena_printf(&s->scratch, "%s/meta/episodes.jsonl", s->ds->root)};
    if (!file_read(l.path, &l.data, &l.size, err)) return false;
    source_make_listed(s, count_lines(&l));
    json_t *line;
    int64_t from = 0;
    bool ok;
    while ((ok = next_line(&l, &line, err)) && line) {
        ok = list_episode(s, &l, line, &from, err);
        json_decref(line);
        if (!ok) break;
    }
    mem_free(l.data);
    return ok;
}
