// SPDX-License-Identifier: Apache-2.0
#include "report/run_log.h"

#include "base/array.h"
#include "formats/json.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static LogSeries *series_of(RunLog *log, const char *name) {
    LogSeries *found = (LogSeries *)run_log_find(log, name);
    if (found || log->count == LOG_MOST_SERIES) return found;
    log->series[log->count].name = arena_strdup(&log->arena, name);
    return &log->series[log->count++];
}

static void add_point(RunLog *log, const char *name, int64_t step, const json_t *value) {
    LogSeries *s = series_of(log, name);
    if (!s) return;
    double number = json_is_number(value) ? json_number_value(value) : (double)NAN;
    *ARRAY_ADD(s->points, s->count, s->capacity) = (LogPoint){step, number};
}

static bool is_of_average(const json_t *line, const char *name) {
    bool ambiguous = strcmp(name, "n_episodes") == 0 || strcmp(name, "mean_steps") == 0;
    return ambiguous && json_object_get(line, "ema_pc_success");
}

static void add_value(RunLog *log, const json_t *line, const char *name, int64_t step,
                      const json_t *value) {
    enum { LONGEST = 200 };
    char full[LONGEST + 16];
    if (strcmp(name, "step") == 0 || strlen(name) > LONGEST) return;
    snprintf(full, sizeof full, "%s%s", is_of_average(line, name) ? "ema_" : "", name);
    if (json_is_number(value) || json_is_null(value)) add_point(log, full, step, value);
    if (!json_is_array(value) || json_array_size(value) != 2) return;
    for (size_t i = 0; i < 2; i++) {
        snprintf(full, sizeof full, "%s%s", name, i ? ".high" : ".low");
        add_point(log, full, step, json_array_get(value, i));
    }
}

// Python writes NaN and Infinity, which are no JSON: a copy of the line has null there, with blanks
// behind it. NULL where none of them stands in the line.
static char *without_not_finite(const char *line, size_t length) {
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    if (!memmem(line, length, "NaN", 3) && !memmem(line, length, "Infinity", 8)) return NULL;
    char *copy = mem_alloc(2 * length + 1), *to = copy;
    bool text = false;
    for (size_t i = 0; i < length; i++) {
        size_t n = 0;
        if (line[i] == '"' && !(i > 0 && line[i - 1] == '\\')) text = !text;
        for (size_t w = 0; !text && !n && w < sizeof words / sizeof words[0]; w++) {
            size_t size = strlen(words[w]);
            if (i + size <= length && memcmp(line + i, words[w], size) == 0) n = size;
        }
        if (n > 0) {
            to = stpcpy(to, "null");
            i += n - 1;
        } else {
            *to++ = line[i] ? line[i] : '?'; // a zero would end the text early
        }
    }
    return copy;
}

bool run_log_add(RunLog *log, const char *line, size_t length) {
    const char *name;
    json_t *value, *object = json_parse(line, length, 0, NULL);
    char *copy = object ? NULL : without_not_finite(line, length);
    if (copy) object = json_parse(copy, strlen(copy), 0, NULL);
    mem_free(copy);
    const json_t *at = json_object_get(object, "step");
    const int64_t step = json_integer_value(at);
    const bool good = json_is_integer(at) && step >= 0 && step <= INT64_C(1) << 53;
    if (good) {
        json_object_foreach(object, name, value) add_value(log, object, name, step, value);
        if (log->lines == 0 || step < log->first_step) log->first_step = step;
        if (step > log->last_step) log->last_step = step;
        log->lines++;
    }
    json_decref(object);
    return good;
}

static int compare_steps(const void *a, const void *b) {
    const LogPoint *p = a, *q = b;
    return (p->step > q->step) - (p->step < q->step);
}

static bool is_ordered(const LogSeries *s) {
    for (int64_t i = 1; i < s->count; i++)
        if (s->points[i].step < s->points[i - 1].step) return false;
    return true;
}

// A training's log is in order; one that was put together of several may not be.
void run_log_order(RunLog *log) {
    for (int i = 0; i < log->count; i++) {
        LogSeries *s = &log->series[i];
        if (!is_ordered(s)) qsort(s->points, (size_t)s->count, sizeof *s->points, compare_steps);
    }
}

bool run_log_read(const char *path, RunLog *out, Error *err) {
    *out = (RunLog){0};
    FILE *file = fopen(path, "r");
    if (!file) return fail_errno(err, "%s: cannot open", path);
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    for (int64_t number = 1; (length = getline(&line, &room, file)) >= 0; number++) {
        const bool whole = length > 0 && line[length - 1] == '\n';
        if (run_log_add(out, line, (size_t)length - whole) || !whole) continue;
        if (out->bad++ == 0) out->first_bad = number;
    }
    // Lines also end where there is no memory for one, which is no error of the stream.
    const bool ok = (feof(file) && !ferror(file)) || fail_errno(err, "%s: cannot read", path);
    fclose(file);
    free(line);
    run_log_order(out);
    if (!ok) run_log_free(out);
    return ok;
}

void run_log_free(RunLog *log) {
    for (int i = 0; i < log->count; i++) mem_free(log->series[i].points);
    arena_free(&log->arena);
    *log = (RunLog){0};
}

const LogSeries *run_log_find(const RunLog *log, const char *name) {
    for (int i = 0; i < log->count; i++)
        if (strcmp(log->series[i].name, name) == 0) return &log->series[i];
    return NULL;
}

double *run_log_seconds(const RunLog *log) {
    const LogSeries *update = run_log_find(log, "update_s");
    const LogSeries *data = run_log_find(log, "dataloading_s");
    if (!update || update->count == 0) return NULL;
    double *seconds = NEW(double, update->count), sum = 0;
    int64_t at = 0; // in data, which may lack lines
    for (int64_t i = 0; i < update->count; i++) {
        const LogPoint *p = &update->points[i];
        int64_t steps = i > 0 ? p->step - p[-1].step : p->step;
        // A run that goes on from elsewhere begins with a step that it did not make alone.
        if (i == 0 && update->count > 1 && p[1].step > p->step && p[1].step - p->step < steps)
            steps = p[1].step - p->step;
        while (data && at < data->count && data->points[at].step < p->step) at++;
        double each = p->value;
        if (data && at < data->count && data->points[at].step == p->step)
            each += data->points[at].value;
        if (isfinite(each)) sum += each * (double)steps;
        seconds[i] = sum;
    }
    return seconds;
}
