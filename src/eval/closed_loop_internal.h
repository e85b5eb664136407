// SPDX-License-Identifier: Apache-2.0
// Private to the closed loop: a thread's simulation and policy, and whether the two fit.
#ifndef TACT_EVAL_CLOSED_LOOP_INTERNAL_H
#define TACT_EVAL_CLOSED_LOOP_INTERNAL_H

#include "env/env.h"
#include "eval/closed_loop.h"
#include "formats/video.h"
#include "tact.h"

// ---- closed_loop_fit.c --------------------------------------------------------------------------
// What a policy wants and gives, in recorded numbers.
typedef struct Wants {
    const char *who; // of messages
    size_t state, env, action;
    double fps; // of training; 0: unknown
    int n_cameras;
    const char *cameras[MAX_CAMERAS];
    int height, width; // of the first camera; the environment's images are made that large
} Wants;

// `who` is borrowed.
Wants wants_of_handle(const tact_policy *p, const char *who);
// Error: names what the policy wants or gives and the environment does not have.
CHECKED bool wants_check(const EnvSpec *spec, const Wants *w, Error *err);
// Warns when the environment takes more or fewer steps a second than the policy was trained at.
void wants_warn_rate(const EnvSpec *spec, const Wants *w);

// ---- closed_loop_actor.c ------------------------------------------------------------------------
typedef struct Actor {
    const ClosedLoopOptions *options;
    const tact_policy *first; // another actor's, whose weights this one shares; or NULL
    Env *env;
    const EnvSpec *spec;
    tact_policy *policy;
    uint8_t *frames[ENV_MAX_CAMERAS];
    tact_image images[ENV_MAX_CAMERAS];
    uint8_t *picture;            // of a video
    double action[ENV_DIM];      // the one before
    int64_t first_chunk, chunks; // of the policy's: the episode's first, and the one played
    int place;                   // in that
} Actor;

// `options` and `first` are set already. The caller calls actor_close, after a failure too.
CHECKED bool actor_open(Actor *a, Error *err);
void actor_close(Actor *a);
// Whether options->stop asks to return soon.
bool actor_stopping(const Actor *a);
// Runs the episode of e->seed and fills in the rest of *e; video may be NULL. After a stop the
// episode is unfinished.
CHECKED bool actor_run_episode(Actor *a, ClosedLoopEpisode *e, VideoWriter *video, Error *err);
// The same, with a video in options->videos, whose file name is put into *e. After a stop there is
// no video.
CHECKED bool actor_film_episode(Actor *a, ClosedLoopEpisode *e, Error *err);

#endif
