// SPDX-License-Identifier: Apache-2.0
// A dataset of which some episodes cannot be opened: which they are, and the rest.
#include "check/check.h"

#include "base/array.h"
#include "base/log.h"
#include "check/series.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// So many episodes are looked for one by one; a dataset with more of them is refused whole.
enum { MOST_REFUSED = 2000 };

// Episodes that open together.
typedef struct Part {
    int64_t first, count; // in Search.readable
} Part;

typedef struct Search {
    const DatasetOptions *options;
    CheckReport *report;
    int64_t *readable; // indices of episodes
    int64_t count, capacity;
    Part *parts;
    int64_t n_parts, parts_room;
    int64_t refused;
} Search;

// What opening a part says was said when the whole was opened.
static void drop_line(void *user, LogLevel level, const char *line) {
    (void)user, (void)level, (void)line;
}

static bool open_part(const Search *s, const int64_t *episodes, int64_t n, Dataset **out,
                      Error *err) {
    DatasetOptions part = *s->options;
    part.episodes = episodes;
    part.n_episodes = n;
    return dataset_open(&part, out, err);
}

static bool opens(const Search *s, const int64_t *episodes, int64_t n, Error *err) {
    Dataset *ds;
    if (!open_part(s, episodes, n, &ds, err)) return false;
    dataset_close(ds);
    return true;
}

// The rule that words of the reader belong to.
static CheckRuleId rule_of(const Error *why) {
    if (strstr(why->text, "a Git LFS pointer")) return RULE_lfs_pointer;
    return strstr(why->text, "the file is missing") ? RULE_partial_download : RULE_unreadable;
}

// Halves what does not open until single episodes are left, which takes few openings where few
// episodes are at fault.
static void search(Search *s, const int64_t *episodes, int64_t n, const Error *why) {
    if (s->refused > MOST_REFUSED) return;
    if (n == 1) {
        CheckFinding *f = report_add(s->report, rule_of(why), episodes[0]);
        snprintf(f->text, sizeof f->text, "%s", why->text);
        s->refused++;
        return;
    }
    const int64_t half = n / 2;
    for (int part = 0; part < 2; part++) {
        const int64_t *from = episodes + (part ? half : 0);
        int64_t m = part ? n - half : half;
        Error err;
        if (!opens(s, from, m, &err)) {
            search(s, from, m, &err);
            continue;
        }
        *ARRAY_ADD(s->parts, s->n_parts, s->parts_room) = (Part){s->count, m};
        for (int64_t i = 0; i < m; i++) *ARRAY_ADD(s->readable, s->count, s->capacity) = from[i];
    }
}

// ---- parts that do not go together --------------------------------------------------------------

enum { MOST_PARTS = 64 };

static int by_size(const void *a, const void *b) {
    const Part *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

// Whether the cameras of an episode have other sizes than those of a dataset; *where is the first.
static bool other_sizes(const Search *s, const Dataset *ds, int64_t episode, char *where,
                        size_t size) {
    Dataset *one;
    Error ignored;
    bool other = false;
    if (!open_part(s, &episode, 1, &one, &ignored)) return false;
    for (int k = 0; k < one->n_cameras && k < ds->n_cameras && !other; k++) {
        other = one->cameras[k]->height != ds->cameras[k]->height ||
                one->cameras[k]->width != ds->cameras[k]->width;
        if (other) snprintf(where, size, "%s", ds->cameras[k]->name);
    }
    dataset_close(one);
    return other;
}

static void refuse_part(Search *s, const Dataset *ds, const int64_t *episodes, int64_t n,
                        const Error *why) {
    char where[sizeof((CheckFinding *)0)->where] = "";
    bool sizes = other_sizes(s, ds, episodes[0], where, sizeof where);
    for (int64_t i = 0; i < n; i++) {
        CheckFinding *f =
            report_add(s->report, sizes ? RULE_picture_size : rule_of(why), episodes[i]);
        snprintf(f->where, sizeof f->where, "%s", where);
        snprintf(f->text, sizeof f->text, "%s", why->text);
    }
}

// Opens what was found readable. Where it does not open as a whole (a camera of two sizes) the
// largest part is kept, and what fits to it.
static bool open_readable(Search *s, Dataset **out, Error *err) {
    if (open_part(s, s->readable, s->count, out, err)) return true;
    if (s->n_parts < 2 || s->n_parts > MOST_PARTS) return false;
    qsort(s->parts, (size_t)s->n_parts, sizeof *s->parts, by_size);
    int64_t *kept = NEW(int64_t, s->count), n = 0;
    for (int64_t i = 0; i < s->n_parts; i++) {
        const Part *part = &s->parts[i];
        Dataset *more = NULL;
        Error why;
        memcpy(kept + n, s->readable + part->first, sizeof *kept * (size_t)part->count);
        if (open_part(s, kept, n + part->count, &more, &why)) {
            n += part->count;
            dataset_close(*out);
            *out = more;
        } else if (*out) {
            refuse_part(s, *out, s->readable + part->first, part->count, &why);
        }
    }
    mem_free(kept);
    return *out != NULL;
}

// The episodes that were asked for, or as many as meta/info.json says; 0 where that is not known.
static int64_t list_episodes(const DatasetOptions *options, int64_t **out) {
    if (options->episodes) {
        *out = NEW(int64_t, options->n_episodes);
        memcpy(*out, options->episodes, sizeof **out * (size_t)options->n_episodes);
        return options->n_episodes;
    }
    char path[4096];
    Error ignored;
    json_t *info = NULL;
    snprintf(path, sizeof path, "%s/meta/info.json", options->root ? options->root : "");
    if (!options->root || !json_read_python(path, &info, &ignored)) return 0;
    int64_t n = json_integer_value(json_object_get(info, "total_episodes"));
    json_decref(info);
    if (n < 1 || n > 100000000) return 0;
    *out = NEW(int64_t, n);
    for (int64_t i = 0; i < n; i++) (*out)[i] = i;
    return n;
}

bool check_open(const DatasetOptions *options, Dataset **out, CheckReport *report, Error *err) {
    Error why;
    *out = NULL;
    if (dataset_open(options, out, &why)) return true;
    int64_t *episodes = NULL, n = list_episodes(options, &episodes);
    Search s = {.options = options, .report = report};
    LogSink before = log_to((LogSink){drop_line, NULL});
    if (n > 1) search(&s, episodes, n, &why);
    bool some = s.count > 0 && s.refused <= MOST_REFUSED;
    if (!some) check_report_free(report); // what is said of the whole is enough
    if (some) some = open_readable(&s, out, err);
    log_to(before);
    // That each part opens by name and the whole does not is for the whole to say.
    if (!some || report->count == 0) check_add(report, rule_of(&why), why.text);
    files_explain_refusal(options, report);
    mem_free(s.parts);
    mem_free(s.readable);
    mem_free(episodes);
    return true;
}
