// SPDX-License-Identifier: Apache-2.0
// Any bytes as the log of a training: what is read of it is in order, and becomes curves that can
// be written as JSON, with the first and the last point of each series.
#include "driver.h"
#include "report/curve.h"
#include <stdlib.h>
#include <string.h>

static void check_series(const LogSeries *s) {
    for (int64_t i = 1; i < s->count; i++)
        if (s->points[i].step < s->points[i - 1].step) abort();
    json_t *curve = curve_json(s, 4);
    const json_t *steps = json_object_get(curve, "steps");
    const size_t n = json_array_size(steps);
    char *text = json_dumps(curve, 0);
    if (!text || n == 0 || json_array_size(json_object_get(curve, "values")) != n) abort();
    if (json_integer_value(json_array_get(steps, 0)) != s->points[0].step ||
        json_integer_value(json_array_get(steps, n - 1)) != s->points[s->count - 1].step)
        abort();
    free(text);
    json_decref(curve);
}

void fuzz_input(const uint8_t *data, size_t size) {
    RunLog log = {0};
    for (size_t from = 0; from < size;) {
        const uint8_t *end = memchr(data + from, '\n', size - from);
        const size_t length = end ? (size_t)(end - data) - from : size - from;
        char *line = malloc(length ? length : 1); // of its own, so that a byte too many is seen
        memcpy(line, data + from, length);
        (void)run_log_add(&log, line, length);
        free(line);
        from += length + 1;
    }
    run_log_order(&log);
    for (int i = 0; i < log.count; i++) check_series(&log.series[i]);
    mem_free(run_log_seconds(&log));
    run_log_free(&log);
}
