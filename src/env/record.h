// SPDX-License-Identifier: Apache-2.0
// Demonstrations: the expert's successful episodes as a LeRobot v3.0 dataset, and how often it
// succeeds.
#ifndef TACT_ENV_RECORD_H
#define TACT_ENV_RECORD_H

#include "base/error.h"
#include <stdint.h>

typedef struct RecordOptions {
    const char *type; // of the environment
    const char *root; // of the dataset; must not exist yet. NULL: nothing is recorded, only counted
    int64_t episodes; // to record; without root: to run
    uint64_t seed;    // of the first episode; the next has seed + 1
    int height, width, threads;
    double shift[3]; // of the gripper's start (env_shift_start)
    void (*progress)(void *user, int64_t done, int64_t total); // after every episode; NULL allowed
    void *user;
} RecordOptions;

typedef struct RecordResult {
    int64_t tried, succeeded, frames; // episodes run; of those; their steps
} RecordResult;

// With a root: seeds are run in order, and those that the expert fails are left out, until
// `episodes` are recorded; more failures than that stop it with an error. The dataset appears whole
// or not at all, and is the same for any number of threads. Without: `episodes` seeds, whatever
// comes out; failures are logged.
CHECKED bool env_record(const RecordOptions *options, RecordResult *out, Error *err);

#endif
