// SPDX-License-Identifier: Apache-2.0
// The dataset's own statistics, in the form of v3.0's meta/stats.json whatever the version:
// {FEATURE: {"min": [...], "max": [...], "mean": [...], "std": [...], "count": [n]}}. v2.1 keeps
// them by episode; they are put together as LeRobot 0.3.3 does, over all episodes that meta/ lists.
// v2.0 has that file already, without "count".
#include "dataset/reader/steps.h"

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/text_set.h"
#include "dataset/reader/json_lines.h"
#include <math.h>
#include <string.h>

enum { MAX_DEPTH = 8 };

// ---- one episode's arrays ---------------------------------------------------------------------

// The numbers of an array, whatever its nesting, in order. Writes into out when it is not NULL.
// What is no number counts as NaN.
static int64_t flatten_numbers(const json_t *value, double *out, int64_t count, int depth) {
    if (json_is_array(value) && depth < MAX_DEPTH) {
        for (size_t i = 0; i < json_array_size(value); i++)
            count = flatten_numbers(json_array_get(value, i), out, count, depth + 1);
        return count;
    }
    if (out) out[count] = json_is_number(value) ? json_number_value(value) : (double)NAN;
    return count + 1;
}

// An array of the shape of `like` with the numbers from values on.
static json_t *numbers_in_shape(const json_t *like, const double **values, int depth) {
    if (!json_is_array(like) || depth >= MAX_DEPTH) {
        double x = *(*values)++;
        return isfinite(x) ? json_real(x) : json_null();
    }
    json_t *array = json_array();
    for (size_t i = 0; i < json_array_size(like); i++)
        json_array_append_new(array, numbers_in_shape(json_array_get(like, i), values, depth + 1));
    return array;
}

// ---- over all episodes ------------------------------------------------------------------------

// What of a feature's statistics is put together, in the order of `stat_names`.
enum { MEAN, STD, MIN, MAX, STATS };
static const char *const stat_names[STATS] = {"mean", "std", "min", "max"};

// One feature over several lines.
typedef struct JoinedStats {
    const json_t *first; // the first line's, borrowed: it gives the shape
    int64_t n;
    double count;
    double *values[STATS]; // (n); mean: sum of count * mean until it is divided
    double *scratch;       // (2, n)
    bool ok;               // all lines so far go together
} JoinedStats;

// Numbers of one line's feature, or false where they have another length than n.
static bool numbers_of_line(const json_t *stats, int kind, int64_t n, double *out) {
    const json_t *array = json_object_get(stats, stat_names[kind]);
    if (!array || flatten_numbers(array, NULL, 0, 0) != n) return false;
    flatten_numbers(array, out, 0, 0);
    return true;
}

static double count_of_line(const json_t *stats) {
    const json_t *count = json_object_get(stats, "count");
    while (json_is_array(count)) count = json_array_get(count, 0);
    return json_is_number(count) ? json_number_value(count) : (double)NAN;
}

// Adds lines' means, extremes and counts (pass 0), then their variances about the mean (pass 1).
static bool joined_add_line(JoinedStats *s, const json_t *stats, int pass) {
    double count = count_of_line(stats);
    if (!(count > 0)) return false;
    double *mean = s->scratch, *other = s->scratch + s->n;
    if (!numbers_of_line(stats, MEAN, s->n, mean)) return false;
    for (int64_t i = 0; i < s->n && pass == 0; i++) s->values[MEAN][i] += mean[i] * count;
    if (pass == 1) {
        if (!numbers_of_line(stats, STD, s->n, other)) return false;
        for (int64_t i = 0; i < s->n; i++) {
            double off = mean[i] - s->values[MEAN][i];
            s->values[STD][i] += (other[i] * other[i] + off * off) * count;
        }
        return true;
    }
    s->count += count;
    for (int kind = MIN; kind <= MAX; kind++) {
        if (!numbers_of_line(stats, kind, s->n, other)) return false;
        for (int64_t i = 0; i < s->n; i++) {
            double *kept = &s->values[kind][i];
            bool better = kind == MIN ? other[i] < *kept : other[i] > *kept;
            if (better || isnan(other[i])) *kept = other[i];
        }
    }
    return true;
}

// Begins the statistics of a feature, whose first line says how many numbers it has.
static JoinedStats joined_begin(const json_t *first) {
    JoinedStats s = {.first = first,
                     .n = flatten_numbers(json_object_get(first, "mean"), NULL, 0, 0),
                     .ok = true};
    s.scratch = NEW(double, 2 * s.n + 1);
    for (int k = 0; k < STATS; k++) s.values[k] = NEW(double, s.n + 1);
    for (int64_t i = 0; i < s.n; i++) {
        s.values[MIN][i] = INFINITY;
        s.values[MAX][i] = -INFINITY;
    }
    return s;
}

static void joined_end_pass(JoinedStats *s, int pass) {
    for (int64_t i = 0; s->ok && i < s->n; i++)
        if (pass == 0)
            s->values[MEAN][i] /= s->count;
        else
            s->values[STD][i] = sqrt(s->values[STD][i] / s->count);
}

// As meta/stats.json has them; an empty object where the lines do not go together.
static json_t *joined_json(const JoinedStats *s) {
    json_t *joined = json_object();
    for (int k = 0; s->ok && k < STATS; k++) {
        const double *values = s->values[k];
        json_object_set_new(joined, stat_names[k],
                            numbers_in_shape(json_object_get(s->first, stat_names[k]), &values, 0));
    }
    if (s->ok) json_object_set_new(joined, "count", json_pack("[f]", s->count));
    return joined;
}

static void joined_free(JoinedStats *s) {
    for (int k = 0; k < STATS; k++) mem_free(s->values[k]);
    mem_free(s->scratch);
}

// Each feature's statistics over the lines that have it, in time that goes by the lines' bytes.
static json_t *join_stats_lines(const char *path, const json_t *lines) {
    Arena arena = {0};
    TextSet names = {0};
    JoinedStats *all = NULL;
    int64_t n = 0, room = 0;
    json_t *joined = json_object();
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < json_array_size(lines); i++) {
            const char *name;
            json_t *stats;
            json_object_foreach(json_array_get(lines, i), name, stats) {
                int at = text_set_add(&names, &arena, name, strlen(name));
                if (at == n) *ARRAY_ADD(all, n, room) = joined_begin(stats);
                all[at].ok = all[at].ok && joined_add_line(&all[at], stats, pass);
            }
        }
        for (int64_t i = 0; i < n; i++) joined_end_pass(&all[i], pass);
    }
    for (int64_t i = 0; i < n; i++) {
        if (!all[i].ok)
            log_warn("%s: the statistics of '%s' differ in form between episodes; going on "
                     "without them",
                     path, names.texts[i]);
        json_object_set_new_nocheck(joined, names.texts[i], joined_json(&all[i]));
        joined_free(&all[i]);
    }
    mem_free(all);
    arena_free(&arena);
    return joined;
}

// Collects the "stats" of every line of meta/episodes_stats.jsonl.
static bool read_stats_lines(const char *path, json_t *lines, Error *err) {
    JsonLines l = {.path = path};
    if (!json_lines_read(&l, err)) return false;
    json_t *line;
    bool ok;
    while ((ok = json_lines_next(&l, &line, err)) && line) {
        json_t *stats = json_object_get(line, "stats");
        if (json_is_object(stats)) json_array_append(lines, stats);
        json_decref(line);
    }
    mem_free(l.data);
    return ok;
}

void stats_load(Source *s) {
    Dataset *ds = s->ds;
    Error err;
    const char *path = arena_printf(&s->scratch, "%s/%s", ds->root, dataset_stats_name(ds));
    if (!file_exists(path)) return;
    bool ok;
    if (strcmp(after_last(path, '.'), "json") == 0) {
        ok = json_read_python(path, &ds->stats, &err);
    } else {
        json_t *lines = json_array();
        ok = read_stats_lines(path, lines, &err);
        if (ok) ds->stats = join_stats_lines(path, lines);
        json_decref(lines);
    }
    if (ok) return;
    ds->stats = NULL;
    log_warn("%s (going on without the dataset's own statistics)", err.text);
}
