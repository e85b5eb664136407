// SPDX-License-Identifier: Apache-2.0
// Any bytes as the metrics.jsonl and metrics.csv of a run that goes on: later steps are taken out
// of them, and what is left can be gone on with. "@@ step" is the step.
#include "base/file.h"
#include "base/memory.h"
#include "curves/csv_file.h"
#include "driver.h"
#include "train/metrics.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"loss", "grdn", "eval_loss"};
enum { COLUMNS = 3 };

static size_t size_of(const char *path) {
    char *text;
    size_t size;
    Error err;
    if (!file_read(path, &text, &size, &err)) return 0;
    // What was cut is whole lines.
    if (size && text[size - 1] != '\n') abort();
    mem_free(text);
    return size;
}

static void cut_metrics(const char *path, int64_t step, bool eval_due) {
    Error err = {""};
    if (!fuzz_ok(metrics_cut(path, step, eval_due, &err), &err)) return;
    const size_t once = size_of(path);
    if (!metrics_cut(path, step, eval_due, &err) || size_of(path) != once) abort();
}

static void cut_csv(const char *path, int64_t step, const char *keep) {
    CsvFile f = {0};
    CurvePoint points[COLUMNS];
    Error err = {""};
    if (!fuzz_ok(csv_cut(path, step, keep, &err), &err)) return;
    const size_t once = size_of(path);
    if (!csv_cut(path, step, keep, &err) || size_of(path) != once) abort();
    if (!fuzz_ok(csv_open(&f, path, columns, COLUMNS, &err), &err)) return;
    const int last = csv_last_row(&f, step, points);
    if (last < 0 || last > COLUMNS) abort();
    for (int i = 0; i < last; i++) fuzz_use(points[i].value + points[i].name[0]);
    const CurvePoint more = {"loss", 0.5};
    if (!csv_write(&f, step + 1, &more, 1, &err)) abort();
    if (csv_last_row(&f, step + 1, points) != 1 || points[0].value != 0.5) abort();
    append_close(&f.file);
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    char path[512];
    const int n = fuzz_split(data, size, parts);
    const char *dir = fuzz_folder(parts, n, "");
    char *step = fuzz_text(fuzz_part(parts, n, "step"));
    const int64_t at = strtol(step, NULL, 10) & 0xffffff;
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    if (fuzz_part(parts, n, "metrics.jsonl")) cut_metrics(path, at, step[0] == '0');
    snprintf(path, sizeof path, "%s/metrics.csv", dir);
    if (fuzz_part(parts, n, "metrics.csv")) cut_csv(path, at, step[0] == '0' ? "loss" : NULL);
    free(step);
}
