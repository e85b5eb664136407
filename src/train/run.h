// SPDX-License-Identifier: Apache-2.0
// Private to train/: everything one run holds.
#ifndef TACT_TRAIN_RUN_H
#define TACT_TRAIN_RUN_H

#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/step.h"
#include "train/train.h"

typedef struct Run {
    TrainConfig *config;
    const TrainHooks *hooks;
    Dataset *dataset;
    WindowSpec window;
    int cameras[MAX_CAMERAS]; // positions in the dataset, in the policy's order
    int64_t *train_rows, *eval_rows;
    int64_t n_train, n_eval, train_episodes;
    Stats state_stats, action_stats, env_stats;
    Normalizer state_norm, action_norm, env_norm;
    ImageStats image_stats[MAX_CAMERAS];
    Device *device;
    Params params;
    char backbone_file[4096]; // pretrained weights, or ""
    Act *act;
    Optimizer optimizer;
    Step step;
    int64_t *step_rows[2]; // (batch_size) rows of the steps under way
    int64_t first_step;    // of this run: 1
    int64_t taken;         // number of the last step that changed the weights
    double mark, data_s;   // when the last step was finished; waited for data since then
    Loader *loader;
    Metrics metrics;
    char metrics_path[4096];
    bool made_output;      // output_dir is this run's
    bool sound;            // no op failed: the weights are those after the last step taken
    int64_t saved_step;    // of the last checkpoint, 0 none
    char checkpoint[4096]; // the last good one, or ""
} Run;

// prepare.c: everything up to the first step.
CHECKED bool run_prepare(Run *r, Error *err);
void run_free(Run *r);
// Options of a loader over some rows.
LoaderOptions run_loader_options(const Run *r, const int64_t *rows, int64_t n_rows);
// A batch as the model's input.
ActInput run_input(const Batch *b);

// evaluate.c: mean l1 over the held-out rows (at most max_eval_samples of them, evenly spaced). A stop
// signal ends it early, with a loss of NaN.
CHECKED bool run_evaluate(Run *r, double *loss, Error *err);
// Whether the user asked to stop.
bool run_stopping(const Run *r);

#endif
