// SPDX-License-Identifier: Apache-2.0
// A dataset of which some episodes cannot be opened: which they are, and the rest.
#include "check/check.h"

#include "base/array.h"
#include "base/log.h"
#include "check/series.h"
#include <stdio.h>
#include <string.h>

// So many episodes are looked for one by one; a dataset with more of them is refused whole.
enum { MOST_REFUSED = 2000 };

typedef struct Search {
    const DatasetOptions *options;
    CheckReport *report;
    int64_t *readable; // indices of episodes
    int64_t count, capacity;
    int64_t refused;
} Search;

// What opening a part says was said when the whole was opened.
static void drop_line(void *user, LogLevel level, const char *line) {
    (void)user, (void)level, (void)line;
}

static bool opens(const Search *s, const int64_t *episodes, int64_t n, Error *err) {
    DatasetOptions part = *s->options;
    Dataset *ds;
    part.episodes = episodes;
    part.n_episodes = n;
    if (!dataset_open(&part, &ds, err)) return false;
    dataset_close(ds);
    return true;
}

// Halves what does not open until single episodes are left, which takes few openings where few
// episodes are at fault.
static void search(Search *s, const int64_t *episodes, int64_t n, const Error *why) {
    if (s->refused > MOST_REFUSED) return;
    if (n == 1) {
        CheckFinding *f = report_add(s->report, RULE_unreadable, episodes[0]);
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
        for (int64_t i = 0; i < m; i++) *ARRAY_ADD(s->readable, s->count, s->capacity) = from[i];
    }
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
    if (!options->root || !json_read(path, &info, &ignored)) return 0;
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
    if (some) {
        DatasetOptions rest = *options;
        rest.episodes = s.readable;
        rest.n_episodes = s.count;
        some = dataset_open(&rest, out, err);
    }
    log_to(before);
    if (!some) check_add(report, RULE_unreadable, why.text);
    mem_free(s.readable);
    mem_free(episodes);
    return true;
}
