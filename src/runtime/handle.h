// SPDX-License-Identifier: Apache-2.0
// What a tact_policy is made of. Each member's own header says what may be done with it.
//
// T observations, S actions of a chunk for N steps (policy_chunk_steps), A values of an action as
// the robot takes it, D as the policy gives it, E of the environment state.
#ifndef TACT_RUNTIME_HANDLE_H
#define TACT_RUNTIME_HANDLE_H

#include "base/log.h"
#include "model/act.h"
#include "runtime/async.h"
#include "runtime/ensemble.h"
#include "runtime/follow.h"
#include "runtime/history.h"
#include "runtime/limits.h"
#include "runtime/plan.h"
#include "runtime/predict.h"
#include "runtime/prefix.h"
#include "runtime/rate.h"
#include "runtime/schedule.h"
#include "runtime/shared_policy.h"
#include "tact.h"

struct tact_policy {
    SharedPolicy *shared;
    const Policy *policy;       // shared->policy
    const PolicyConfig *config; // policy->config.policy
    Device *device;
    Act *act;
    bool borrows;    // device and act are those of the handle that this one was opened beside
    ActSlots *slots; // of the act for this handle's frames; NULL: the act's own
    Normalizer state_norm, env_norm, action_norm;
    size_t state_size, action_size; // as recorded
    int n_action_steps;             // from one prediction to the next
    bool cache, ensembles;
    bool short_waits; // short_waits_end is due

    // What the preprocessor renames: names of the robot's cameras, and the policy's for them.
    int n_renamed;
    const char **robot_names, **policy_names; // (n_renamed)
    Arena names;                              // they lie in
    History history;
    double *env_row; // (E) newest
    double *queue;   // (N, A) the chunk that actions are given from
    double *spare;   // (N, A) where a prediction goes before it is blended, or NULL
    int queue_at, queue_left;
    Ensemble ensemble;
    bool fresh; // observed since the ensemble's last prediction
    Limits limits;
    double *last, *before;     // (A) given out last, and before that
    bool has_last, has_before; // whether they are in use
    int blend_steps;
    int64_t chunks; // that began to be played, in all episodes; none with an ensemble
    Schedule schedule;
    int64_t episode;   // number of tact_reset's calls
    PlanBoard plans;   // from the thread of the policy to that of tact_at,
    Follower follower; // which has this to itself
    Snapshot snapshot;
    Prefix prefix;
    Worker worker; // in use when started
    Rate rate;
    size_t first_bytes; // that the first prediction will allocate, where that is in host memory
    bool first_made;    // it has been made: nothing is allocated any more

    // Scratch.
    double *rows;     // (T, D) of the state
    double *action;   // (A)
    double *linear;   // (N, width of the ensemble)
    float *predicted; // (S, D) normalised
    double *row;      // (D) one action
    double *blended;  // (2, A)
    void *resize;
    tact_log log; // the caller's, or NULL
    void *log_user;
    Error error;
};

// Until the end of the call this thread's log lines are the handle's. Returns where they went
// before, for log_to.
LogSink log_to_handle(tact_policy *p);

// The status of a failure: TACT_ERROR_MEMORY where memory was lacking, else `otherwise`.
static inline tact_status status_of(const Error *err, tact_status otherwise) {
    return error_is_memory(err) ? TACT_ERROR_MEMORY : otherwise;
}

#endif
