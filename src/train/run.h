// SPDX-License-Identifier: Apache-2.0
// Private to train/: everything one run holds.
#ifndef TACT_TRAIN_RUN_H
#define TACT_TRAIN_RUN_H

#include "train/checkpoint.h"
#include "train/ema.h"
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
    PolicyStats stats;
    Normalizer state_norm, action_norm, env_norm;
    Device *device;
    Params params;
    char backbone_file[4096]; // pretrained weights, or ""
    Act *act;
    Optimizer optimizer;
    Ema ema; // empty without --ema.enable
    Step step;
    int64_t *step_rows[2]; // (batch_size) rows of the steps under way
    int64_t first_step;    // of this process: 1, or what follows the checkpoint
    TrainingState resumed; // step 0: a new run
    bool eval_due;         // a stop came before an evaluation
    int64_t taken;         // number of the last step that changed the weights
    double mark, data_s;   // when the last step was finished; waited for data since then
    FrameCache *cache;             // of the policy's cameras; NULL: none
    ImageTransforms transforms;    // of the training frames
    Loader *loader;
    Metrics metrics;
    char metrics_path[4096];
    int output_lock;       // descriptor of output_dir while this run owns it, or -1
    bool made_output;      // output_dir was made by this process
    bool sound;            // no op failed: the weights are those after the last step taken
    int64_t saved_step;    // of the last checkpoint, 0 none
    char checkpoint[4096]; // the last good one, or ""
} Run;

// prepare.c: everything up to the first step.
CHECKED bool run_prepare(Run *r, Error *err);
// Factor of both learning rates at a step, counted from 1.
double run_lr_factor(const Run *r, int64_t step);
// output.c: the run's directory: made, or, for a run that goes on, cleaned of what a killed one
// left; metrics.jsonl ready for the next line. Of two processes that want one directory the second
// is refused.
CHECKED bool run_open_output(Run *r, Error *err);
void run_close_output(Run *r);
// Saves a checkpoint of the step last taken, removes old ones; fails only when the checkpoint is
// not there.
CHECKED bool run_save(Run *r, int64_t step, Error *err);
// The weights, moments and counters of the checkpoint that the run goes on from.
CHECKED bool run_restore(Run *r, Error *err);
void run_free(Run *r);
// Options of a loader over some rows: of the training, with its transforms, if those are its rows.
LoaderOptions run_loader_options(const Run *r, const int64_t *rows, int64_t n_rows);
// A batch as the model's input.
ActInput run_input(const Batch *b);

// evaluate.c: mean l1 over the held-out rows (at most max_eval_samples of them, evenly spaced). A stop
// signal ends it early, with a loss of NaN.
CHECKED bool run_evaluate(Run *r, double *loss, Error *err);
// Whether the user asked to stop.
bool run_stopping(const Run *r);

#endif
