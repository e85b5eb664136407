// SPDX-License-Identifier: Apache-2.0
// Private to train/: the run's directory, and who owns it.
#ifndef TACT_TRAIN_RUN_OUTPUT_H
#define TACT_TRAIN_RUN_OUTPUT_H

#include "train/metrics.h"

// In OUTPUT_DIR while an evaluation in a simulation lasts: the policy that acts.
#define RUN_ROLLOUT_POLICY ".policy.tmp"

typedef struct RunOutput {
    Metrics metrics;
    RunCurves curves;      // metrics borrows them
    int lock, lock_file;   // descriptors of the directory and of .lock in it while this run owns
                           // them, or -1
    bool made;             // the directory was made by this process
    bool lost;             // it was removed, and another run is where it was
    int64_t saved_step;    // of the last checkpoint, 0 none
    char checkpoint[4096]; // the last good one, or ""
} RunOutput;

// Makes the directory, or, for a run that goes on after resumed_step (0: a new run), cleans it of
// what a killed run left; metrics.jsonl is then ready for the next line (metrics_cut). Of two
// processes that want one directory the second is refused. out->lock and
// lock_file are -1 before.
// The curves are opened as well, of the run with the settings `c`, whose output_dir it is.
CHECKED bool run_output_open(RunOutput *out, const TrainConfig *c, int64_t resumed_step,
                             bool eval_due, Error *err);
// Before anything is written into the directory by its name: whether that is still the one the run
// owns. One that was removed is made anew; in one that something else has taken the place of,
// another run may be, and nothing may be changed there.
CHECKED bool run_output_owned(RunOutput *out, const char *dir, Error *err);
void run_output_close(RunOutput *out);

#endif
