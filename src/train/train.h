// SPDX-License-Identifier: Apache-2.0
// A training run from a checked configuration to its last checkpoint.
#ifndef TACT_TRAIN_TRAIN_H
#define TACT_TRAIN_TRAIN_H

#include "config/config.h"
#include "dataset/window.h"
#include "loader/loader.h"
#include "model/act.h"
#include "policy/policy.h"
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

typedef struct TrainHooks {
    void (*progress)(void *user, const TrainProgress *p); // after every step; may be NULL
    void (*clear)(
        void *user); // before a log line is printed, so that a progress bar can go; may be NULL
    const atomic_int *stop; // becomes non-zero on Ctrl-C or SIGTERM: finish the step, save, return
    void *user;
    // With --env.type; training itself knows no simulation. env_check: whether the task is there
    // and the policy, whose shapes are filled in, fits it; called once, before the first step.
    // env_rollouts: lets the policy in the directory `policy` (as pretrained_model; gone after the
    // call) act in eval_n_episodes episodes; videos: a directory that exists, or NULL. It has to
    // return soon after *stop, and what it found does not count then. It may use the training's
    // threads, which wait.
    bool (*env_check)(void *user, const TrainConfig *c, Error *err);
    bool (*env_rollouts)(void *user, const TrainConfig *c, const char *policy, const char *videos,
                         TrainRollouts *out, Error *err);
} TrainHooks;

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
// it), and fewer training frames than batch_size are an error.
CHECKED bool train_run(TrainConfig *config, const TrainHooks *hooks, TrainResult *result,
                       Error *err);

// ---- setup.c: what training and `tact info` share --------------------------------------------
// Fills in policy->state_dim ... fps from the dataset: resolves pose_repr, normalization_mapping,
// inputs (all of the dataset's, or exactly those of input_features, or, when policy->n_cameras > 0
// already, those cameras: one that is absent is an error), and each camera's image size (as
// recorded, or resize_shape: one size for all, or one for each in the policy's order). Names of
// cameras that come from the dataset stay borrowed from it. Errors: no action, neither camera nor
// environment state, and what is said above.
CHECKED bool policy_from_dataset(PolicyConfig *policy, const Dataset *ds, Error *err);
// Warns of the vectors that no policy sees, naming each: nothing is lost without a word.
void policy_warn_unused(const Dataset *ds);
WindowSpec policy_window(const PolicyConfig *policy);
// For the loader: where the policy's cameras stand in ds->cameras, and the size each is seen at.
// Both have policy->n_cameras. Of cameras that policy_from_dataset has found.
void policy_find_cameras(const PolicyConfig *policy, const Dataset *ds, int *cameras,
                         FrameSize *sizes);
// "240x320" where all cameras are seen at one size, else "240x320, 320x240": what to print.
enum { IMAGE_SIZES_TEXT = 14 * MAX_CAMERAS };
void policy_image_sizes(const PolicyConfig *policy, char *out, size_t size);

// ---- statistics.c: what training normalises with, and `tact info` shows
// -------------------------- Frames that relative poses' statistics are drawn from.
typedef struct StatsRows {
    const int64_t *rows; // those of the training part
    int64_t count;
    int64_t samples; // at most so many of them, drawn by seed; 0: all
    uint64_t seed;
} StatsRows;
// Statistics of the policy's vectors, rounded to float32. Of relative poses those of the windows at
// `from`; of everything else the dataset's own (meta/stats.json), as LeRobot's: of all episodes,
// whichever are selected or held out. Where that file has none that can be used they are computed
// over the frames that are loaded, which is logged. Except for plain ACT (one observation, nothing
// relative) values that hardly vary are widened (normalize/floor.h). out: empty vectors before,
// policy_stats_free after.
CHECKED bool policy_vector_stats(const PolicyConfig *policy, const Dataset *ds, StatsRows from,
                                 PolicyStats *out, Error *err);
// What each of the policy's cameras is normalised with: ImageNet's, or the dataset's own of that
// camera (meta/stats.json; an error where it has none). out has policy->n_cameras.
CHECKED bool policy_image_stats(const PolicyConfig *policy, const Dataset *ds, bool imagenet,
                                PolicyStats *out, Error *err);

// ---- start.c ----------------------------------------------------------------------------------
// The configuration that the flags of `tact train` (argv without program and command) ask for:
// defaults, then the settings of the checkpoint that --config_path or --policy.path names, then the
// flags. Filled in and checked. With --resume=true output_dir is the run that the checkpoint lies
// in.
CHECKED bool train_start(TrainConfig *config, int argc, char **argv, time_t now, Error *err);

#endif
