// SPDX-License-Identifier: Apache-2.0
// From the path templates of info.json to the files of the selected episodes.
#include "dataset/dataset_internal.h"

#include "base/file.h"
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024, MAX_NUMBER_WIDTH = 20 };

// A path being put together; overflow is remembered, not reported.
typedef struct PathText {
    char data[PATH_BYTES];
    size_t size;
    bool overflow;
} PathText;

static void append(PathText *t, const char *s, size_t n) {
    if (n >= PATH_BYTES - t->size) {
        t->overflow = true;
        return;
    }
    memcpy(t->data + t->size, s, n);
    t->size += n;
}

// Expands one replacement field, "name" or "name:03d" (field, n bytes). False if it is not known.
static bool append_field(PathText *t, const char *field, size_t n, const PathValue *values,
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
        append(t, value->text, strlen(value->text));
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
    append(t, number, (size_t)written);
    return spec == end;
}

// Whether a path leaves the folder it is relative to.
static bool escapes(const char *path) {
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
            append(&t, p, 1);
            p += 2;
        } else if (*p == '{') {
            const char *close = strchr(p, '}');
            if (!close || !append_field(&t, p + 1, (size_t)(close - p - 1), values, n_values)) {
                return fail(err,
                            "%s: cannot expand path template '%.200s' from '%.60s' on; correct"
                            " the template",
                            info, pattern, p);
            }
            p = close + 1;
        } else {
            append(&t, p++, 1);
        }
    }
    if (t.overflow) return fail(err, "%s: path template '%.200s' is too long", info, pattern);
    t.data[t.size] = 0;
    if (t.size == 0 || escapes(t.data)) {
        return fail(err,
                    "%s: path template '%.200s' leads out of the dataset; correct the template",
                    info, pattern);
    }
    *out = arena_strdup(arena, t.data);
    return true;
}

static bool full_path(Source *s, const char *pattern, const char *key, int64_t chunk, int64_t file,
                      Arena *arena, const char **out, Error *err) {
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
    return full_path(s, s->data_template, NULL, e->chunk, e->file, arena, out, err);
}

bool source_video_path(Source *s, int camera, int64_t chunk, int64_t file, Arena *arena,
                       const char **out, Error *err) {
    return full_path(s, s->video_template, s->ds->cameras[camera]->disk_name, chunk, file, arena,
                     out, err);
}

static bool video_path(Source *s, const Listed *e, int camera, Arena *arena, const char **out,
                       Error *err) {
    const ListedVideo *v = &e->videos[camera];
    return source_video_path(s, camera, v->chunk, v->file, arena, out, err);
}

// Where an episode's frames end, by the table or by where the next one's begin in the same file.
static double video_end(const Source *s, int64_t position, int camera) {
    const ListedVideo *v = &s->listed[position].videos[camera];
    if (isfinite(v->to) || position + 1 == s->n_listed) return v->to;
    const ListedVideo *next = &s->listed[position + 1].videos[camera];
    return next->chunk == v->chunk && next->file == v->file && next->from > v->from ? next->from
                                                                                    : v->to;
}

static bool fill_episode(Source *s, int64_t i, const Listed *last, Error *err) {
    Dataset *ds = s->ds;
    int64_t position = s->selected[i];
    const Listed *from = &s->listed[position];
    Episode *e = &ds->episodes[i];
    e->index = position;
    e->length = from->length;
    e->task = from->task;
    e->data_file = s->places[position].file;
    e->data_row = s->places[position].row;
    e->videos = arena_alloc(&ds->arena, sizeof *e->videos * (size_t)ds->n_cameras);
    for (int c = 0; c < ds->n_cameras; c++) {
        if (!ds->cameras[c]->video) continue;
        const ListedVideo *v = &from->videos[c];
        e->videos[c].from = v->from;
        e->videos[c].to = video_end(s, position, c);
        // Neighbours mostly share their files: one string for both.
        if (last && last->videos[c].chunk == v->chunk && last->videos[c].file == v->file)
            e->videos[c].path = e[-1].videos[c].path;
        else if (!video_path(s, from, c, &ds->arena, &e->videos[c].path, err))
            return false;
    }
    return true;
}

bool paths_fill(Source *s, Error *err) {
    Dataset *ds = s->ds;
    ds->episodes = arena_alloc(&ds->arena, sizeof *ds->episodes * (size_t)ds->n_episodes);
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Listed *last = i > 0 ? &s->listed[s->selected[i - 1]] : NULL;
        if (!fill_episode(s, i, last, err)) return false;
        ds->episodes[i].first_row = ds->rows;
        if (ds->episodes[i].length > INT64_MAX / 2 - ds->rows)
            return fail(err, "%s/meta: the episodes' lengths are impossible", ds->root);
        ds->rows += ds->episodes[i].length;
    }
    return true;
}

// The first video file of a listed episode that is not there, or NULL.
static bool missing_video(Source *s, const Listed *e, const char **missing, Error *err) {
    const Dataset *ds = s->ds;
    const char *path;
    *missing = NULL;
    for (int c = 0; s->need_videos && c < ds->n_cameras; c++) {
        if (!ds->cameras[c]->video) continue;
        if (!video_path(s, e, c, &s->scratch, &path, err)) return false;
        if (!file_exists(path)) {
            *missing = path;
            return true;
        }
    }
    return true;
}

void dataset_episodes_text(const int64_t *episodes, int64_t n, char *out, size_t size, bool *cut) {
    size_t used = 0;
    *cut = false;
    out[0] = 0;
    for (int64_t i = 0; i < n && !*cut; i++) {
        char one[32];
        int length = snprintf(one, sizeof one, "%s%lld", i ? "," : "[", (long long)episodes[i]);
        *cut = used + (size_t)length + 2 > size;
        if (!*cut) used += (size_t)snprintf(out + used, size - used, "%s", one);
    }
    if (used) snprintf(out + used, size - used, "]");
}

void source_advise(Source *s, bool copy, char *out, size_t size) {
    int64_t n = 0, *there = NEW(int64_t, s->n_listed);
    char list[600];
    bool cut;
    for (int64_t i = 0; i < s->n_listed; i++) {
        const char *missing;
        Error unnamed;
        if (missing_video(s, &s->listed[i], &missing, &unnamed) && !missing &&
            source_rows_there(s, i))
            there[n++] = i;
    }
    dataset_episodes_text(there, n, list, sizeof list, &cut);
    mem_free(there);
    if (!n)
        snprintf(out, size,
                 "no episode of this dataset is complete here: copy the dataset's files "
                 "again");
    else
        snprintf(out, size, "%s the episodes that are here%s --dataset.episodes=%s",
                 copy ? "copy it here, or choose" : "choose", cut ? ", such as" : ":", list);
}

bool paths_check_videos(Source *s, Error *err) {
    for (int64_t i = 0; i < s->ds->n_episodes; i++) {
        const char *missing;
        char advice[700];
        if (!missing_video(s, &s->listed[s->selected[i]], &missing, err)) return false;
        if (!missing) continue;
        source_advise(s, true, advice, sizeof advice);
        return fail(err, "%s: the file is missing (episode %lld needs it); %s", missing,
                    (long long)s->selected[i], advice);
    }
    return true;
}
