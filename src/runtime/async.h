// SPDX-License-Identifier: Apache-2.0
// The asynchronous mode: predictions in a thread of their own.
//
// N steps of a chunk, A values of an action.
#ifndef TACT_RUNTIME_ASYNC_H
#define TACT_RUNTIME_ASYNC_H

#include "base/error.h"
#include "tact.h"
#include <pthread.h>
#include <semaphore.h>

// While `busy` the snapshot, what the prediction is given, the model, its scratch and the first
// group below are the worker's; everything else is always the caller's.
typedef struct Worker {
    double *actions; // (N, A) the prediction
    tact_status status;
    Error error;

    bool started, quit;
    pthread_t thread;
    sem_t asked, answered;
    bool busy;      // asked, and the answer is not taken yet
    bool ready;     // the answer is there; `busy` still
    bool cancelled; // the answer is of no use: an episode began
    int64_t step;   // number within the episode of the action that the prediction begins with
    bool playing;   // a chunk of this episode is there
    int64_t given;  // actions given out in this episode, repeated ones not counted
    double threshold;
    // In a simulation, whose steps take no time: an answer is there when so many steps were taken
    // since it was asked for, neither before nor later. -1: when the worker has it.
    int simulated_delay;
    int64_t steps, asked_at;     // of this episode, repeated actions too; when the worker was asked
    int64_t predictions, stalls; // of tact_async_counts
    int delay, longest_delay;
    void (*before)(void *context); // tests: called by the worker before it computes, unless NULL
    void *context;
} Worker;
CHECKED bool worker_start(tact_policy *p, Error *err);
void worker_stop(tact_policy *p); // also where none was started
// Waits until the worker has an answer; only when busy. It stays to be taken.
void worker_wait(Worker *w);
void async_reset(tact_policy *p);
// For evaluations: from now on predictions take `steps` steps, however long they take.
void async_simulate_delay(tact_policy *p, int steps);
// After an observation: takes a chunk that is there, and asks for the next when it is time.
void async_observed(tact_policy *p);
tact_status async_next(tact_policy *p, double *out);
tact_status async_chunk(tact_policy *p, double *out);

#endif
