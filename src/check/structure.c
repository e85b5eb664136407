// SPDX-License-Identifier: Apache-2.0
// Rules about what meta/ says of the rows.
#include "check/series.h"

#include "base/text_set.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const json_t *numbers_of(const Dataset *ds, const Feature *f, const char *what, int n) {
    const json_t *of = json_object_get(json_object_get(ds->stats, f->name), what);
    return json_array_size(of) == (size_t)n ? of : NULL;
}

// The statistic of value d; `otherwise` where meta/ has none.
static double said_of(const Check *c, const Vector *v, const char *what, int d, double otherwise) {
    const json_t *numbers = numbers_of(c->ds, v->feature, what, v->n);
    const json_t *number = json_array_get(numbers, (size_t)d);
    return numbers ? (json_is_number(number) ? json_number_value(number) : (double)NAN) : otherwise;
}

// Statistics are over all episodes: a selection says nothing about them.
static void check_stats(Check *c, const Vector *v) {
    const Dataset *ds = c->ds;
    const double limit = check_rules[RULE_stats_stale].limit;
    if (v->n == 0 || ds->n_episodes != ds->total_episodes) return;
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        double mean = said_of(c, v, "mean", d, dim->mean), std = said_of(c, v, "std", d, dim->std);
        double min = said_of(c, v, "min", d, dim->min), max = said_of(c, v, "max", d, dim->max);
        double unit = fmax(dim->std, 1e-6 * fmax(fabs(dim->min), fabs(dim->max)));
        if (!(unit > 0)) unit = 1e-6;
        double off = fmax(fabs(mean - dim->mean), fabs(std - dim->std)) / unit;
        double beyond = fmax(fabs(min - dim->min), fabs(max - dim->max)) / unit;
        if (!(off <= limit))
            find(c, RULE_stats_stale, -1, -1, dim->name, off,
                 "mean %.4g and std %.4g in %s; the rows have %.4g and %.4g", mean, std,
                 dataset_stats_name(ds), dim->mean, dim->std);
        else if (!(beyond <= limit))
            find(c, RULE_stats_stale, -1, -1, dim->name, beyond,
                 "from %.4g to %.4g in %s; the rows go from %.4g to %.4g", min, max,
                 dataset_stats_name(ds), dim->min, dim->max);
    }
}

// ---- tasks --------------------------------------------------------------------------------------

static void check_tasks(Check *c) {
    int64_t empty = 0, first = -1;
    for (int64_t e = 0; e < c->ds->n_episodes; e++) {
        const char *task = c->ds->episodes[e].task;
        if (task && *task) continue;
        if (empty++ == 0) first = e;
    }
    if (empty > 0)
        find(c, RULE_task_empty, first, -1, "task", (double)empty,
             "%lld episodes without a text, this one first", (long long)empty);
}

// A task's text without what a typist varies: case, blanks, the full stop. Cut where it is long.
static size_t plain_text(const char *text, char *out, size_t size) {
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        unsigned char letter = (unsigned char)*text;
        bool blank = isspace(letter) || letter == '_';
        if (blank && (n == 0 || out[n - 1] == ' ')) continue;
        out[n++] = blank ? ' ' : (char)tolower(letter);
    }
    while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '.' || out[n - 1] == '!')) n--;
    out[n] = '\0';
    return n;
}

// Tasks beside the one with the most episodes.
static void check_rare(Check *c) {
    const Dataset *ds = c->ds;
    Arena arena = {0};
    TextSet tasks = {0};
    int64_t *episodes = NEW(int64_t, ds->n_episodes), most = 0, rare = 0;
    double least = 1;
    const char *first = "";
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const char *task = ds->episodes[e].task;
        if (!task || !*task) continue;
        int number = text_set_add(&tasks, &arena, task, strlen(task));
        if (++episodes[number] > most) most = episodes[number];
    }
    for (int i = 0; i < tasks.n; i++) {
        double share = (double)episodes[i] / (double)most;
        if (share >= check_rules[RULE_task_rare].limit) continue;
        if (rare++ == 0 || share < least) least = share, first = tasks.texts[i];
    }
    if (rare > 0)
        find(c, RULE_task_rare, -1, -1, "task", least,
             "%lld of %d tasks, such as \"%.150s\" with %.0f episodes, where another has %lld",
             (long long)rare, tasks.n, first, least * (double)most, (long long)most);
    mem_free(episodes);
    arena_free(&arena);
}

static void check_spellings(Check *c) {
    const Dataset *ds = c->ds;
    Arena arena = {0};
    TextSet plain = {0};
    const char **first = mem_alloc(sizeof *first * (size_t)(ds->n_tasks + 1));
    for (int i = 0; i < ds->n_tasks; i++) {
        char text[512];
        size_t n = plain_text(ds->tasks[i], text, sizeof text);
        if (n == 0 || n == sizeof text - 1) continue;
        int before = plain.n, number = text_set_add(&plain, &arena, text, n);
        if (number == before)
            first[number] = ds->tasks[i];
        else
            find(c, RULE_task_twice, -1, -1, "task", 2, "\"%.150s\" and \"%.150s\"", first[number],
                 ds->tasks[i]);
    }
    mem_free(first);
    arena_free(&arena);
}

// ---- labels -------------------------------------------------------------------------------------

static void check_names(Check *c, const Vector *v) {
    const Feature *f = v->feature;
    if (v->n == 0 || f->n_names == 0) return;
    if (f->n_names != v->n)
        find(c, RULE_feature_names, -1, -1, f->name, f->n_names, "%d names for %d values",
             f->n_names, v->n);
    for (int i = 1; i < f->n_names; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(f->names[i], f->names[k]) == 0) {
                find(c, RULE_feature_names, -1, -1, f->name, i, "two values are called %.60s",
                     f->names[i]);
                return;
            }
}

static void check_version(Check *c) {
    if (c->report->source) return; // what is called so in a source is its form
    static const char *const known[] = {"v3.0", "v2.1", "v2.0"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(c->ds->version, known[i]) == 0) return;
    find(c, RULE_version_label, -1, -1, "meta/info.json", 0, "\"%.40s\"", c->ds->version);
}

void check_structure(Check *c) {
    check_stats(c, &c->state);
    check_stats(c, &c->action);
    check_tasks(c);
    check_rare(c);
    check_spellings(c);
    check_names(c, &c->state);
    check_names(c, &c->action);
    check_version(c);
}
