// SPDX-License-Identifier: Apache-2.0
// LeRobot's running figures: means over the steps since the last log line, as text and as JSON.
#ifndef TACT_TRAIN_METRICS_H
#define TACT_TRAIN_METRICS_H

#include "base/error.h"
#include "model/act.h"
#include <stdio.h>

typedef struct Metrics {
    // Of the run.
    int64_t batch_size, frames, episodes; // frames and episodes of the training part
    FILE *file;                           // metrics.jsonl, or NULL
    const char *path;
    // Sums since the last line.
    int64_t count;
    double loss, l1, kld, grad_norm, update_s, data_s, lr;
} Metrics;

// Opens OUTPUT_DIR/metrics.jsonl for appending; path is borrowed.
CHECKED bool metrics_open(Metrics *m, const char *path, Error *err);
void metrics_close(Metrics *m);
void metrics_add(Metrics *m, ActLosses losses, double grad_norm, double lr, double data_s,
                 double update_s);
// The log line after `step` steps: "step:200 smpl:2K ep:3 epch:0.71 loss:6.060 ...".
void metrics_line(const Metrics *m, int64_t step, char *out, size_t size);
// Appends the same figures as one JSON line. A full disk is reported, not fatal.
CHECKED bool metrics_write(Metrics *m, int64_t step, Error *err);
CHECKED bool metrics_write_eval(Metrics *m, int64_t step, double eval_loss, Error *err);
double metrics_mean_loss(const Metrics *m);
void metrics_reset(Metrics *m);
// 1600 -> "2K", 51605386 -> "52M": LeRobot's big numbers, no decimals, halves to even.
void big_number(char *out, size_t size, double value);

#endif
