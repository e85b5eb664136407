// SPDX-License-Identifier: Apache-2.0
// From the history to a chunk of actions, in two halves of which the second may run in a thread of
// its own.
//
// T observations, S actions of a chunk for N steps, A values of an action as the robot takes it, D
// as the policy gives it, E of the environment state.
#ifndef TACT_RUNTIME_PREDICT_H
#define TACT_RUNTIME_PREDICT_H

#include "base/error.h"
#include "base/signals.h"
#include "tact.h"

// What a prediction reads of the history, so that observations may arrive while it is made.
typedef struct Snapshot {
    float *state, *env; // (T, D), (E) normalised
    double *base;       // (A) the newest pose, which relative actions start from
    int *slots;         // (cameras, T)
    int n_frames;       // that have to be encoded first
    struct SnapshotFrame {
        int camera, slot;
        const uint8_t *rgb;
    } * frames;      // (cameras * T)
    uint8_t *copies; // (cameras * T, most_bytes) of frames; NULL: frames are the history's own
} Snapshot;
CHECKED bool snapshot_init(tact_policy *p, bool copies, Error *err);
void snapshot_free(Snapshot *s); // a zeroed struct is allowed
// The window that ends at the newest observation, of which there must be one. Its frames count as
// encoded from now on; after a snapshot_predict that failed they are to be forgotten.
void snapshot_take(tact_policy *p);
// out (N, A), whose first actions are what the prediction is given (runtime/prefix.h). Touches the
// snapshot, what is given, the model and its own scratch, and nothing else of the handle.
tact_status snapshot_predict(tact_policy *p, double *out, Error *err);
// Before computing: the calling thread takes the handle's device and number of threads, and the
// model the handle's slots; its signals are held back. Returns what was before, for compute_end.
typedef struct Computing {
    int threads;
    sigset_t signals;
} Computing;
Computing compute_begin(const tact_policy *p);
void compute_end(const Computing *before);

#endif
