// SPDX-License-Identifier: Apache-2.0
// Private to train/: everything one run holds.
#ifndef TACT_TRAIN_RUN_H
#define TACT_TRAIN_RUN_H

#include "ranks/ranks.h"
#include "train/run_batches.h"
#include "train/run_data.h"
#include "train/run_model.h"
#include "train/run_output.h"
#include "train/training_state.h"

typedef struct Run {
    TrainConfig *config;
    const TrainHooks *hooks;
    Ranks *ranks; // of hooks: the other processes; NULL: it is alone
    Peers peers;  // the same, for the device
    Device *device;
    RunData data;
    RunStatistics statistics;
    RunModel model;
    RunBatches batches;
    RunOutput output;
    TrainingState resumed; // step 0: a new run

    int64_t first_step;  // of this process: 1, or what follows the checkpoint
    int64_t taken;       // number of the last step that changed the weights
    double mark, data_s; // when the last step was finished; seconds of waiting for data since
    bool sound;          // no op failed: the weights are those after the last step taken
    bool halted;         // a step was not finite: none behind it was taken
    bool eval_due;       // an evaluation after the last step is still to come
    bool stopping;       // run_agree_to_stop's
} Run;

// From a configuration to a run that is ready for its first step. config and hooks are borrowed.
// After an error run_close is still due.
CHECKED bool run_open(Run *r, TrainConfig *config, const TrainHooks *hooks, Error *err);
void run_close(Run *r);
// Factor of both learning rates at a step, counted from 1.
double run_lr_factor(const Run *r, int64_t step);
// Whether a step is one of every so many; never with 0.
bool run_due(int64_t step, int64_t every);

// save.c: saves a checkpoint of the step last taken and removes old ones; fails only when the
// checkpoint is not there.
CHECKED bool run_save(Run *r, int64_t step, Error *err);
// Of the checkpoint that was saved last, with eval_due: the evaluation has been made.
CHECKED bool run_saved_is_evaluated(Run *r, Error *err);
// resume.c: brings the open model of a run, its optimiser and its counters to where the checkpoint
// of config->resume_from left them. The weights are the checkpoint's already.
CHECKED bool run_resume(Run *r, Error *err);
// run_ranks.c: what several processes agree on; each is called by all of them, in one order. A run
// that is alone agrees with itself.
//
// Before anything is opened: the output directory, how many threads each takes, which rows are
// whose.
CHECKED bool run_ranks_begin(const Run *r, Error *err);
// Does the work on each host in one process first, and then in its others: they find what it left.
CHECKED bool run_ranks_in_turn(const Run *r, bool (*work)(Run *r, Error *err), Error *err);
// Compares settings, frames, statistics and weights; the error names the flag, or what differs.
CHECKED bool run_ranks_same_start(Run *r, Error *err);
// Weights that differ are not sound: nothing saves them.
CHECKED bool run_ranks_same_weights(Run *r, Error *err);
// r->stopping becomes whether any of them was asked to stop.
CHECKED bool run_agree_to_stop(Run *r, Error *err);
void run_log_ranks(const Run *r);

// run_log.c: which of the two kinds of policy it is, and how to get the other.
void log_policy_kind(const TrainConfig *config);
// Everything a reader of the log wants to know of an open run, in LeRobot's lines and in ours.
void log_run(const Run *r);

#endif
