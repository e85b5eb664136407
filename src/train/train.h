// SPDX-License-Identifier: Apache-2.0
// A training run from a checked configuration to its last checkpoint.
#ifndef TACT_TRAIN_TRAIN_H
#define TACT_TRAIN_TRAIN_H

#include "config/config.h"
#include <stdatomic.h>

// What train_run reports to whoever called it (the command line draws a progress bar from it).
typedef struct TrainProgress {
    int64_t step, steps;
    double loss;             // of the last step
    double seconds_per_step; // smoothed
} TrainProgress;

// How often a policy succeeded in the simulated task of --env.type.
typedef struct TrainRollouts {
    int64_t episodes, succeeded;
    double low, high;  // of the success rate, 95 %: 0 to 1
    double mean_steps; // of an episode
} TrainRollouts;

struct Dataset;
struct WindowSpec;

typedef struct TrainHooks {
    void (*progress)(void *user, const TrainProgress *p); // after every step; may be NULL
    void (*clear)(
        void *user); // before a log line is printed, so that a progress bar can go; may be NULL
    const atomic_int *stop; // becomes non-zero on Ctrl-C or SIGTERM: finish the step, save, return
    void *user;
    // The processes that train together, or NULL. Of all of them process 0 alone writes and logs; a
    // stop that one is asked for stops all.
    struct Ranks *ranks;
    // With --env.type; training itself knows no simulation. env_check: whether the task is there
    // and the policy, whose shapes are filled in, fits it; called once, before the first step.
    // env_rollouts: lets the policy in the directory `policy` (as pretrained_model; gone after the
    // call) act in eval_n_episodes episodes; videos: a directory that exists, or NULL. It has to
    // return soon after *stop, and what it found does not count then. It may use the training's
    // threads, which wait. All processes call it, and are told what all of them found together.
    bool (*env_check)(void *user, const TrainConfig *c, Error *err);
    bool (*env_rollouts)(void *user, const TrainConfig *c, const char *policy, const char *videos,
                         TrainRollouts *out, Error *err);
    // Called once in process 0 of a new run, with the opened dataset and what the policy will see
    // of it, to say what is wrong with the data; may be NULL.
    void (*look_at_data)(void *user, const struct Dataset *ds, const struct WindowSpec *w);
} TrainHooks;

// Whether the user asked to stop.
static inline bool hooks_stopping(const TrainHooks *h) {
    return h->stop && *h->stop;
}

// Takes the progress bar away before a line is printed.
static inline void hooks_clear_progress(const TrainHooks *h) {
    if (h->clear) h->clear(h->user);
}

typedef struct TrainResult {
    bool stopped;                 // by *stop, before the last step
    int64_t step;                 // steps taken
    double first_loss, last_loss; // first and last logged
    char checkpoint[4096];        // last one written, or ""
} TrainResult;

// Runs the whole training. Prints LeRobot's log lines through log_info, appends JSON lines to
// OUTPUT_DIR/metrics.jsonl, writes checkpoints. A failed save is logged and the run goes on, except
// at its end, where it is an error. NaN or infinity in a loss or gradient stops the run with the
// step, the batch's frame indices and the last good checkpoint named. An output directory that
// exists already is refused; one that a run leaves without having taken a step is removed. A run
// that an error ends later saves the weights it has first, and err says where. The model is planned
// for exactly batch_size samples, so an epoch's last partial batch is left out (LeRobot trains on
// it), and fewer training frames than batch_size are an error. When one of several processes ends
// in an error all do, and process 0 saves the weights.
CHECKED bool train_run(TrainConfig *config, const TrainHooks *hooks, TrainResult *result,
                       Error *err);

#endif
