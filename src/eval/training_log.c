// SPDX-License-Identifier: Apache-2.0
#include "eval/training_log.h"

#include "base/file.h"
#include "base/log.h"
#include "policy/policy_locate.h"
#include "report/curve.h"
#include <stdio.h>

enum { COLUMNS = 200 }; // of a curve

static const char *const keys[] = {"l1_loss", "eval_loss", "ema_eval_loss", "pc_success",
                                   "ema_pc_success"};
enum { KEYS = sizeof keys / sizeof keys[0] };

// [[step, value], ...] of the points that are numbers.
static json_t *pairs_of(const LogSeries *series) {
    json_t *curve = curve_json(series, COLUMNS), *pairs = json_array(), *value;
    const json_t *steps = json_object_get(curve, "steps");
    size_t i;
    json_array_foreach(json_object_get(curve, "values"), i, value) {
        if (json_is_number(value))
            json_array_append_new(pairs, json_pack("[O, O]", json_array_get(steps, i), value));
    }
    json_decref(curve);
    return pairs;
}

void training_log_add(const char *dir, json_t *object) {
    char run[POLICY_PATH], path[POLICY_PATH + 32];
    RunLog log;
    Error err;
    if (!policy_run(dir, run)) return;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    if (!file_exists(path)) return;
    if (!run_log_read(path, &log, &err)) {
        log_warn("%s; the report has no curves of the training", err.text);
        return;
    }
    json_t *curves = json_object();
    for (int i = 0; i < KEYS; i++) {
        const LogSeries *series = run_log_find(&log, keys[i]);
        if (series) json_object_set_new(curves, keys[i], pairs_of(series));
    }
    json_object_set_new(object, "training_log", curves);
    run_log_free(&log);
}
