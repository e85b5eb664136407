// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/paths.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1024, MAX_NUMBER_WIDTH = 20 };

// A path being put together; overflow is remembered, not reported.
typedef struct PathText {
    char data[PATH_BYTES];
    size_t size;
    bool overflow;
} PathText;

static void path_append(PathText *t, const char *s, size_t n) {
    if (n >= PATH_BYTES - t->size) {
        t->overflow = true;
        return;
    }
    memcpy(t->data + t->size, s, n);
    t->size += n;
}

// Expands one replacement field, "name" or "name:03d" (field, n bytes). False if it is not known.
static bool path_append_field(PathText *t, const char *field, size_t n, const PathValue *values,
                              int n_values) {
    const char *colon = memchr(field, ':', n);
    size_t name = colon ? (size_t)(colon - field) : n;
    const PathValue *value = NULL;
    for (int i = 0; i < n_values; i++)
        if (strlen(values[i].name) == name && memcmp(values[i].name, field, name) == 0)
            value = &values[i];
    if (!value) return false;
    const char *spec = colon ? colon + 1 : field + n, *end = field + n;
    if (value->text) {
        if (spec < end && *spec == 's') spec++;
        path_append(t, value->text, strlen(value->text));
        return spec == end;
    }
    bool zeros = spec < end && *spec == '0';
    int width = 0;
    for (; spec < end && isdigit((unsigned char)*spec); spec++) {
        width = width * 10 + (*spec - '0');
        if (width > MAX_NUMBER_WIDTH) return false;
    }
    if (spec < end && *spec == 'd') spec++;
    char number[MAX_NUMBER_WIDTH + 2];
    int written = snprintf(number, sizeof number, zeros ? "%0*lld" : "%*lld", width,
                           (long long)value->number);
    path_append(t, number, (size_t)written);
    return spec == end;
}

// Whether a path leaves the folder it is relative to.
static bool path_escapes(const char *path) {
    if (path[0] == '/') return true;
    for (const char *p = path; p; p = strchr(p, '/')) {
        if (*p == '/') p++;
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0)) return true;
    }
    return false;
}

bool path_expand(const char *info, const char *pattern, const PathValue *values, int n_values,
                 Arena *arena, const char **out, Error *err) {
    PathText t = {.size = 0};
    for (const char *p = pattern; *p;) {
        if ((p[0] == '{' && p[1] == '{') || (p[0] == '}' && p[1] == '}')) {
            path_append(&t, p, 1);
            p += 2;
        } else if (*p == '{') {
            const char *close = strchr(p, '}');
            if (!close ||
                !path_append_field(&t, p + 1, (size_t)(close - p - 1), values, n_values)) {
                return fail(err,
                            "%s: cannot expand path template '%.200s' from '%.60s' on; correct"
                            " the template",
                            info, pattern, p);
            }
            p = close + 1;
        } else {
            path_append(&t, p++, 1);
        }
    }
    if (t.overflow) return fail(err, "%s: path template '%.200s' is too long", info, pattern);
    t.data[t.size] = 0;
    if (t.size == 0 || path_escapes(t.data)) {
        return fail(err,
                    "%s: path template '%.200s' leads out of the dataset; correct the template",
                    info, pattern);
    }
    *out = arena_strdup(arena, t.data);
    return true;
}

static bool expand_full_path(Source *s, const char *pattern, const char *key, int64_t chunk,
                             int64_t file, Arena *arena, const char **out, Error *err) {
    const Dataset *ds = s->ds;
    const PathValue values[] = {
        {s->v30 ? "chunk_index" : "episode_chunk", NULL, chunk},
        {s->v30 ? "file_index" : "episode_index", NULL, file},
        {"video_key", key, 0},
    };
    const char *relative;
    const char *info = arena_printf(&s->scratch, "%s/meta/info.json", ds->root);
    if (!path_expand(info, pattern, values, key ? 3 : 2, &s->scratch, &relative, err)) return false;
    *out = arena_printf(arena, "%s/%s", ds->root, relative);
    return true;
}

bool source_data_path(Source *s, const Listed *e, Arena *arena, const char **out, Error *err) {
    return expand_full_path(s, s->data_template, NULL, e->chunk, e->file, arena, out, err);
}

bool source_video_path(Source *s, int camera, int64_t chunk, int64_t file, Arena *arena,
                       const char **out, Error *err) {
    return expand_full_path(s, s->video_template, s->ds->cameras[camera]->disk_name, chunk, file,
                            arena, out, err);
}
