// SPDX-License-Identifier: Apache-2.0
#include "eval/training_log.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_POINTS = 600 }; // of a curve

static const char *const keys[] = {"l1_loss", "eval_loss", "ema_eval_loss", "pc_success",
                                   "ema_pc_success"};
enum { KEYS = sizeof keys / sizeof keys[0] };

// RUN/metrics.jsonl of RUN/checkpoints/STEP/pretrained_model; "" for another place.
static void find_log(const char *dir, char path[PATH_MAX + 32]) {
    char real[PATH_MAX], step[PATH_MAX], all[PATH_MAX], run[PATH_MAX];
    path[0] = 0;
    if (!realpath(dir, real)) return; // "last" is a link
    path_parent(step, sizeof step, real);
    path_parent(all, sizeof all, step);
    path_parent(run, sizeof run, all);
    if (strcmp(after_last(all, '/'), "checkpoints") == 0)
        snprintf(path, PATH_MAX + 32, "%s/metrics.jsonl", run);
}

// A line that is not JSON is passed over: a running training may still be writing its last one.
static void add_line(const char *line, size_t length, json_t *curves[KEYS]) {
    json_t *object = json_loadb(line, length, 0, NULL);
    const json_t *step = json_object_get(object, "step");
    for (int i = 0; i < KEYS && json_is_integer(step); i++) {
        const json_t *value = json_object_get(object, keys[i]);
        if (json_is_number(value) && isfinite(json_number_value(value)))
            json_array_append_new(
                curves[i], json_pack("[I, f]", json_integer_value(step), json_number_value(value)));
    }
    json_decref(object);
}

// A curve with few enough points: evenly spaced ones and the last.
static json_t *curve_thinned(const json_t *curve) {
    size_t n = json_array_size(curve), every = n / MOST_POINTS + 1;
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        if (i % every == 0 || i == n - 1) json_array_append(out, json_array_get(curve, i));
    return out;
}

void training_log_add(const char *dir, json_t *object) {
    char path[PATH_MAX + 32], *text;
    size_t size;
    Error ignored;
    find_log(dir, path);
    if (!path[0] || !file_exists(path) || !file_read(path, &text, &size, &ignored)) return;
    json_t *curves[KEYS], *log = json_object();
    for (int i = 0; i < KEYS; i++) curves[i] = json_array();
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        add_line(line, length, curves);
        line += length + (line[length] == '\n');
    }
    for (int i = 0; i < KEYS; i++) {
        if (json_array_size(curves[i]) > 0)
            json_object_set_new(log, keys[i], curve_thinned(curves[i]));
        json_decref(curves[i]);
    }
    json_object_set_new(object, "training_log", log);
    mem_free(text);
}
