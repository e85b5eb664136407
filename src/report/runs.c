// SPDX-License-Identifier: Apache-2.0
#include "report/runs.h"

#include "base/file.h"
#include "base/log.h"
#include "report/describe.h"
#include "report/page.h"
#include "report/run_files.h"
#include "report/run_json.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const unsigned char runs_page[]; // page/runs.html, by cmake/report.cmake

// What follows `dir` in a path that is in or below it, without slashes before it; NULL: it is not.
static const char *below(const char *path, const char *dir) {
    const size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    if (strncmp(path, dir, n) != 0 || (path[n] && path[n] != '/')) return NULL;
    return path[n] ? path + n + 1 : path + n;
}

CHECKED static bool read_log(const char *run, RunLog *log, Error *err) {
    char path[POLICY_PATH + 32];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    if (!run_log_read(path, log, err)) return false;
    if (log->lines > 0 && log->bad > 0)
        log_warn("%s: line %lld is no line of a log%s; left out", path, (long long)log->first_bad,
                 log->bad > 1 ? ", nor are others" : "");
    if (log->lines > 0) return true;
    const long long bad = log->first_bad;
    run_log_free(log);
    return bad ? fail(err,
                      "%s: line %lld is no line of a log, nor is any other; copy the file again",
                      path, bad)
               : fail(err, "%s: no line yet; the first is written after --log_freq steps", path);
}

// Of runs whose directories have the same name the whole path is the name.
static void tell_apart(json_t *runs) {
    size_t i, k;
    json_t *a, *b;
    json_array_foreach(runs, i, a) {
        const char *name = json_string_value(json_object_get(a, "name"));
        bool twice = false;
        json_array_foreach(runs, k, b) {
            const char *other = json_string_value(json_object_get(b, "name"));
            if (k > i && strcmp(name, other) == 0) {
                json_object_set(b, "name", json_object_get(b, "path"));
                twice = true;
            }
        }
        if (twice) json_object_set(a, "name", json_object_get(a, "path"));
    }
}

static bool is_listed(const RunList *list, const char *run) {
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->dirs[i], run) == 0) return true;
    return false;
}

static bool is_page(const char *path) {
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".html") == 0 && !dir_exists(path);
}

bool runs_find(const char *const *paths, int count, RunList *out, Error *err) {
    Error why;
    *out = (RunList){.dirs = mem_alloc((size_t)count * sizeof *out->dirs)};
    for (int i = 0; i < count; i++) {
        char *run = out->dirs[out->count];
        if (run_find(paths[i], run, &why)) {
            if (!is_listed(out, run)) out->count++;
            continue;
        }
        if (count == 1 || access(paths[i], F_OK) != 0) goto failed;
        if (!is_page(paths[i])) log_warn("%s; left out", why.text);
    }
    if (out->count > 0) return true;
failed:
    runs_free(out);
    return fail_because(err, &why, "%s", why.text);
}

void runs_free(RunList *list) {
    mem_free(list->dirs);
    *list = (RunList){0};
}

CHECKED static bool add_run(json_t *runs, const char *run, const char *page_dir, Error *err) {
    RunLog log;
    if (!read_log(run, &log, err)) return false;
    json_t *one = run_json(run, &log);
    const char *base = below(run, page_dir);
    json_object_set_new(one, "base", base ? describe_path(base) : json_null());
    json_array_append_new(runs, one);
    run_log_free(&log);
    return true;
}

bool runs_describe(const RunList *list, const char *page_dir, json_t **out, Error *err) {
    char dir[POLICY_PATH];
    if (!realpath(page_dir, dir)) return fail_errno(err, "%s: not there", page_dir);
    json_t *runs = json_array();
    for (int i = 0; i < list->count; i++)
        if (!add_run(runs, list->dirs[i], dir, err) && list->count > 1)
            log_warn("%s; left out", err->text);
    if (json_array_size(runs) == 0) {
        json_decref(runs);
        return false;
    }
    tell_apart(runs);
    *out = json_pack("{s:s, s:o, s:o}", "tact", TACT_VERSION, "made", describe_time(time(NULL)),
                     "runs", runs);
    return true;
}

void runs_page_dir(const RunList *list, char out[POLICY_PATH]) {
    snprintf(out, POLICY_PATH, "%s", list->dirs[0]);
    for (int i = 1; i < list->count; i++)
        while (!below(list->dirs[i], out)) path_go_up(out, POLICY_PATH);
    // Above a run that the others lie in, so that its own page stays.
    if (list->count > 1 && is_listed(list, out)) path_go_up(out, POLICY_PATH);
}

bool runs_write(const char *path, const json_t *description, Error *err) {
    return page_write(path, runs_page, description, err);
}
