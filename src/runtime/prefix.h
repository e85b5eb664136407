// SPDX-License-Identifier: Apache-2.0
// The actions that a prediction of the asynchronous mode is given: those that the robot carries out
// while it is made, so that the new chunk goes on from them (policies with max_action_prefix).
//
// N steps of a chunk, S actions of one, A values of an action as the robot takes it, D as the
// policy gives it, P = max_action_prefix.
#ifndef TACT_RUNTIME_PREFIX_H
#define TACT_RUNTIME_PREFIX_H

#include "base/error.h"
#include "tact.h"

enum { PREFIX_DELAYS = 8 };

typedef struct Prefix {
    int most; // steps that may be given; 0: none, and nothing below is allocated
    // Of the prediction that was asked for last; the worker's as the snapshot is.
    int steps;       // that are given: its chunk's first ones
    double *actions; // (most, A) absolute, as they are carried out
    float *rows;     // (P, D) what the policy reads of them
    // The caller's.
    int delays[PREFIX_DELAYS]; // of the last chunks: their first actions that were past
    int64_t n_delays;          // so far
    double *given, *times;     // (N, A), (N) the last actions that were given out, and when
    int64_t n_given;           // in this episode
    double *walk;              // (2, A) scratch
} Prefix;

// Once `most` is known.
CHECKED bool prefix_init(tact_policy *p, Error *err);
void prefix_free(Prefix *x); // a zeroed struct is allowed
void prefix_reset(tact_policy *p);
// That the handle's last action was given out.
void prefix_note_action(tact_policy *p);
// That of a chunk which took over from another the first `late` actions were past.
void prefix_note_delay(tact_policy *p, int late);

// Chooses what the prediction is given that snapshot_take has just been called for. As many steps
// as will be past when it is there, by the longest of the last PREFIX_DELAYS delays (where none was
// measured, by `most`) or by the simulated one; at most what the chunk that is played still has.
void prefix_take(tact_policy *p);
// A prediction that is given nothing.
void prefix_take_none(tact_policy *p);
// Fills `rows` in from `actions`, normalised and relative as in training. Returns how many actions
// of the chunk they are, in *n, which act_predict_slots reads; NULL where the policy has none.
const int *prefix_rows(tact_policy *p, int *n);
// What is given takes its place among the chunk's actions: before the steps between them are filled
// in (out (S, A)), and after (out (N, A)).
void prefix_put_rows(const tact_policy *p, double *out);
void prefix_put_steps(const tact_policy *p, double *out);

#endif
