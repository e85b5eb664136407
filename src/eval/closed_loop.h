// SPDX-License-Identifier: Apache-2.0
// Closed-loop evaluation: a policy acts in a simulated task, through include/tact.h, in episodes of
// seeds that it has not seen, and its successes are counted.
#ifndef TACT_EVAL_CLOSED_LOOP_H
#define TACT_EVAL_CLOSED_LOOP_H

#include "base/error.h"
#include "config/config.h"
#include "eval/seam.h"
#include "formats/json.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

// The first episode's seed where no other is given, in `tact eval` and during a training: far
// from those of any recording.
enum { CLOSED_LOOP_SEED = 100000 };

typedef struct ClosedLoopOptions {
    const char *policy_path, *env_type;
    const char *device, *dtype; // NULL: the defaults of tact_options
    int threads;                // episodes at a time on a CPU; 0: as many as processors
    int64_t episodes;
    uint64_t seed;                  // of the first episode; the next has seed + 1
    int n_action_steps;             // of a chunk's; 0: as the policy was configured
    double temporal_ensemble_coeff; // CONFIG_NULL_NUMBER: likewise
    int blend_steps;                // of tact_options
    int max_action_prefix; // actions of a chunk that may be given; -1: as in training; 0: none
    // >= 0: libtact's asynchronous mode, in which a chunk is there so many seconds of simulated
    // time after it was asked for, rounded up to steps. Negative: the simulation waits for chunks.
    double inference_delay;
    double start_shift[3];  // env_shift_start
    const char *videos;     // existing directory for MP4 files, or NULL
    int64_t max_videos;     // of the first episodes
    int64_t max_failures;   // and of as many failures after them
    const atomic_int *stop; // becomes non-zero: return soon, with the episodes so far; or NULL
    void (*progress)(void *user, int64_t done, int64_t total); // NULL allowed
    void *user;
} ClosedLoopOptions;

typedef struct ClosedLoopEpisode {
    uint64_t seed;
    bool success;
    const char *outcome; // env_outcome, static
    int steps;
    char video[64];  // file name below options.videos, or ""
    SeamStep *moves; // (n_moves) from each action to the next; owned
    int n_moves;
} ClosedLoopEpisode;

typedef struct ClosedLoopResult {
    const char *env_type;     // static
    int64_t count, succeeded; // count: fewer than asked for after a stop, maybe none
    double low, high;         // of the success rate: 95 %, Wilson's interval; 0 of no episode
    double mean_steps;        // of all episodes
    Seam seam;
    int threads;                 // that ran episodes at the same time
    ClosedLoopEpisode *episodes; // (count)
} ClosedLoopResult;

// Wilson's score interval of a share, z = 1.96 (Wilson, "Probable inference, the law of succession,
// and statistical inference", 1927). n of at least 1.
void wilson_interval(int64_t successes, int64_t n, double *low, double *high);

// For a training, before its first step: opens the task for a moment, so that a missing package is
// reported, and checks that the policy's cameras and vectors, whose shapes are filled in, are the
// task's.
CHECKED bool closed_loop_check(const char *env_type, const PolicyConfig *policy, Error *err);
// Runs the episodes. Each is computed by one thread and ends the same way on any number of threads.
// `progress` is called from any of them, one at a time. Errors: those of the environment and of the
// policy; a policy whose cameras or vectors are not the environment's.
CHECKED bool eval_closed_loop(const ClosedLoopOptions *options, ClosedLoopResult *out, Error *err);
void closed_loop_free(ClosedLoopResult *r); // a zeroed struct is allowed

// ---- closed_loop_result.c -----------------------------------------------------------------------
// The success rate with its interval, and every episode. New reference.
json_t *closed_loop_to_json(const ClosedLoopResult *r);
// Adds to an object the task's steps a second, the policy as an open-loop evaluation describes it,
// and the settings in force. Reads the checkpoint, which a training may remove while episodes run.
// Errors: the policy cannot be read; there is no such task.
CHECKED bool closed_loop_describe(const ClosedLoopOptions *options, json_t *out, Error *err);
void closed_loop_print(const ClosedLoopResult *r, FILE *out);

#endif
