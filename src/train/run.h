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

// In OUTPUT_DIR while an evaluation in a simulation lasts: the policy that acts.
#define RUN_ROLLOUT_POLICY ".policy.tmp"

typedef struct Run {
    TrainConfig *config;
    const TrainHooks *hooks;
    Dataset *dataset;
    WindowSpec window;
    int cameras[MAX_CAMERAS];     // positions in the dataset, in the policy's order
    FrameSize sizes[MAX_CAMERAS]; // and what the policy sees of each
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
    int64_t *step_rows[2];      // (batch_size) rows of the steps under way
    int64_t first_step;         // of this process: 1, or what follows the checkpoint
    TrainingState resumed;      // step 0: a new run
    bool eval_due;              // a stop came before an evaluation
    int64_t taken;              // number of the last step that changed the weights
    double mark, data_s;        // when the last step was finished; waited for data since then
    FrameCache *cache;          // of the policy's cameras; NULL: none
    ImageTransforms transforms; // of the training frames
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
// other_data.c: a warning where a run goes on from a checkpoint with data of another rate, or of
// another place.
void warn_of_other_data(const TrainConfig *c, const Dataset *ds);
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

// Which evaluations follow a step.
typedef struct Evaluations {
    bool held_out; // mean l1 over the held-out rows (at most max_eval_samples of them, evenly
                   // spaced)
    bool rollouts; // episodes in the task of --env.type
} Evaluations;

// evaluate.c: those that there are and that are due after a step, or all at the end.
Evaluations run_evaluations_due(const Run *r, int64_t step, bool end);
// Evaluates the weights, and with ema.use_for_eval their moving average, tells and writes what
// comes of it. A stop signal leaves all of it, with eval_due set, to whoever goes on with the run:
// its lines are written together or not at all.
CHECKED bool run_evaluate(Run *r, int64_t step, Evaluations what, Error *err);
// rollouts.c: episodes with the weights `params`; suffix: "" or "_ema", of the folder of videos. A
// stop signal ends it early; *out is not to be read then.
CHECKED bool run_rollouts(Run *r, int64_t step, const Params *params, const char *suffix,
                          TrainRollouts *out, Error *err);
// train.c: whether the user asked to stop.
bool run_stopping(const Run *r);
// Whether a step is one of every so many; never with 0.
bool run_due(int64_t step, int64_t every);
// Takes the progress bar away before a line is printed.
void run_clear_progress(const Run *r);

#endif
