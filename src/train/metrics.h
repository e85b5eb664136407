// SPDX-License-Identifier: Apache-2.0
// LeRobot's running figures: means over the steps since the last log line, as text and as JSON.
#ifndef TACT_TRAIN_METRICS_H
#define TACT_TRAIN_METRICS_H

#include "base/error.h"
#include "curves/run_curves.h"
#include "model/act.h"
#include "train/train.h"

// Sums since the last line.
typedef struct MetricSums {
    int64_t count;
    double loss, l1, kld, grad_norm, update_s, data_s, lr;
} MetricSums;

typedef struct Metrics {
    // What the run is made of.
    int64_t batch_size, frames, episodes; // frames and episodes of the training part
    AppendFile file;                      // metrics.jsonl
    RunCurves *curves;                    // get the same figures; NULL: none. Borrowed
    int64_t missing; // logs and evaluations that could not be written to all files since the last
                     // that could
    MetricSums sums;
} Metrics;

// Opens OUTPUT_DIR/metrics.jsonl for appending.
CHECKED bool metrics_open(Metrics *m, const char *path, Error *err);
// To be called before a run goes on after `step`: takes the lines of later steps out of the file,
// and a half line at its end. eval_due: the evaluations of that very step go too, for they will be
// computed again. The file is changed whole or not at all; one that is not there is no error.
CHECKED bool metrics_cut(const char *path, int64_t step, bool eval_due, Error *err);
// Waits until what was written is on the disk.
CHECKED bool metrics_sync(Metrics *m, Error *err);
void metrics_close(Metrics *m);
void metrics_add(Metrics *m, ActLosses losses, double grad_norm, double lr, double data_s,
                 double update_s);
// The log line after `step` steps: "step:200 smpl:2K ep:3 epch:0.71 loss:6.060 ...".
void metrics_line(const Metrics *m, int64_t step, char *out, size_t size);
// Appends the same figures as one JSON line, and to the curves. A full disk is reported, not fatal.
CHECKED bool metrics_write(Metrics *m, int64_t step, Error *err);
// Appends a loss on the held-out rows. key: "eval_loss", or "eval_past_loss" of the past actions,
// and for the moving average's "ema_" before it.
CHECKED bool metrics_write_eval(Metrics *m, int64_t step, const char *key, double eval_loss,
                                Error *err);
// Appends what episodes in a simulation came to: {"step", "pc_success" (percent), "pc_success_95":
// [low, high], "n_episodes", "mean_steps"}, as in eval.json. average: they are the moving
// average's, and the key is "ema_pc_success".
CHECKED bool metrics_write_rollouts(Metrics *m, int64_t step, bool average, const TrainRollouts *r,
                                    Error *err);
// Says what became of one of the above: of a disk that is full once, and once when it is not any
// more.
void metrics_tell(Metrics *m, bool written, const Error *err);
double metrics_mean_loss(const Metrics *m);
void metrics_reset(Metrics *m);
// Writes a number as LeRobot's log does, without decimals and with halves rounded to even: 1600 is
// "2K", 51605386 is "52M".
void big_number(char *out, size_t size, double value);

#endif
