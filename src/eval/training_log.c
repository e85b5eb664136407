// SPDX-License-Identifier: Apache-2.0
#include "eval/training_log.h"

#include "base/file.h"
#include "base/memory.h"
#include "policy/policy_locate.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_POINTS = 600 }; // of a curve

static const char *const keys[] = {"l1_loss", "eval_loss", "ema_eval_loss", "pc_success",
                                   "ema_pc_success"};
enum { KEYS = sizeof keys / sizeof keys[0] };

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
    char run[POLICY_PATH], path[POLICY_PATH + 32], *text;
    size_t size;
    Error ignored;
    if (!policy_run(dir, run)) return;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    if (!file_exists(path) || !file_read(path, &text, &size, &ignored)) return;
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
