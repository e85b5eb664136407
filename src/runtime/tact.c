// SPDX-License-Identifier: Apache-2.0
// The functions of include/tact.h: what a program may not give is refused here, and log lines go
// where the handle's go; the rest of the folder does the work.
#include "tact.h"

#include "base/log.h"
#include "base/signals.h"
#include "runtime/calls.h"
#include "runtime/handle.h"
#include "runtime/open.h"
#include "runtime/versions.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- opening -----------------------------------------------------------------------------------

void tact_options_default(tact_options *options, size_t size) {
    tact_options o = options_default();
    if (!options) return;
    memset(options, 0, size);
    memcpy(options, &o, size < sizeof o ? size : sizeof o);
    if (size >= sizeof o.size) options->size = size;
}

tact_status tact_open(const char *path, const tact_options *options, tact_policy **policy) {
    if (policy) *policy = NULL;
    if (!path || !policy) {
        snprintf(open_error()->text, sizeof open_error()->text,
                 "tact_open: path and policy may not be NULL");
        return TACT_ERROR_ARGUMENT;
    }
    sigset_t signals;
    signals_hold(&signals);
    tact_status status = handle_open(path, options, NULL, SHARE_WEIGHTS, policy);
    signals_release(&signals);
    return status;
}

void tact_close(tact_policy **policy) {
    tact_policy *p = policy ? *policy : NULL;
    if (!p) return;
    *policy = NULL;
    handle_close(p);
}

// ---- describing ---------------------------------------------------------------------------------

const char *tact_message(const tact_policy *p) {
    return p ? p->error.text : open_error()->text;
}

const char *tact_version(void) {
    return TACT_VERSION;
}

size_t tact_state_size(const tact_policy *p) {
    return p->state_size;
}

size_t tact_env_size(const tact_policy *p) {
    return (size_t)p->config->env_dim;
}

size_t tact_action_size(const tact_policy *p) {
    return p->action_size;
}

int tact_camera_count(const tact_policy *p) {
    return p->config->n_cameras;
}

void tact_camera_at(const tact_policy *p, int i, tact_camera *camera) {
    tact_camera known = {0};
    if (i >= 0 && i < p->config->n_cameras) {
        const CameraConfig *c = &p->config->cameras[i];
        known = (tact_camera){.name = c->name, .height = c->height, .width = c->width};
    }
    struct_to_caller(camera, &known, sizeof known);
}

double tact_fps(const tact_policy *p) {
    return p->config->fps;
}

int tact_chunk_size(const tact_policy *p) {
    return policy_chunk_steps(p->config);
}

int tact_n_action_steps(const tact_policy *p) {
    return p->n_action_steps;
}

int tact_horizon(const tact_policy *p) {
    return p->config->obs_state_horizon;
}

const char *tact_path(const tact_policy *p) {
    return p->policy->dir;
}

void tact_limits(const tact_policy *p, tact_limit_counts *counts) {
    const Limits *l = &p->limits;
    tact_limit_counts known = {
        .workspace = l->outside, .translation = l->far, .rotation = l->turned};
    struct_to_caller(counts, &known, sizeof known);
}

void tact_async(const tact_policy *p, tact_async_counts *counts) {
    const Worker *w = &p->worker;
    tact_async_counts known = {.predictions = w->predictions,
                               .stalls = w->stalls,
                               .delay = w->delay,
                               .longest_delay = w->longest_delay};
    struct_to_caller(counts, &known, sizeof known);
}

double tact_step_rate(const tact_policy *p) {
    return rate_now(&p->rate);
}

// ---- an episode --------------------------------------------------------------------------------

static tact_status refuse_call(tact_policy *p, tact_status status, const char *text) {
    snprintf(p->error.text, sizeof p->error.text, "%s", text);
    return status;
}

static tact_status refuse_unseen(tact_policy *p) {
    return refuse_call(p, TACT_ERROR_NOTHING_SEEN,
                       "no observation yet; give one before asking for an action");
}

tact_status tact_reset(tact_policy *p) {
    if (!p) return TACT_ERROR_ARGUMENT;
    p->history.count = 0;
    p->queue_left = p->ensemble.left = 0;
    p->fresh = p->has_last = p->has_before = false;
    p->rate.count = 0;
    async_reset(p);
    prefix_reset(p);
    schedule_reset(p);
    return TACT_OK;
}

static tact_status observe_checked(tact_policy *p, const tact_observation *given) {
    tact_observation o = {0};
    if (!given) return refuse_call(p, TACT_ERROR_ARGUMENT, "observation may not be NULL");
    if (!struct_from_caller(&o, sizeof o, OBSERVATION_LEAST, given, "tact_observation",
                            &p->error) ||
        !observation_check(p, &o, &p->error) || !schedule_check(p, &o, &p->error))
        return TACT_ERROR_OBSERVATION;
    if (!observation_has_memory(p, &p->error)) return TACT_ERROR_MEMORY;
    o.state = schedule_observed(p, &o);
    observation_remember(p, &o);
    if (p->worker.started) {
        async_observed(p);
        return TACT_OK;
    }
    const Computing before = compute_begin(p);
    observation_encode(p);
    compute_end(&before);
    return TACT_OK;
}

tact_status tact_observe(tact_policy *p, const tact_observation *observation) {
    if (!p) return TACT_ERROR_ARGUMENT;
    LogSink before = log_to_handle(p);
    tact_status status = observe_checked(p, observation);
    log_to(before);
    return status;
}

tact_status tact_predict_chunk(tact_policy *p, double *actions) {
    if (!p) return TACT_ERROR_ARGUMENT;
    if (!actions) return refuse_call(p, TACT_ERROR_ARGUMENT, "actions may not be NULL");
    if (p->history.count == 0) return refuse_unseen(p);
    LogSink before = log_to_handle(p);
    tact_status status = p->worker.started ? async_chunk(p, actions) : predict_now(p, actions);
    log_to(before);
    return status;
}

tact_status tact_act(tact_policy *p, double *action) {
    if (!p) return TACT_ERROR_ARGUMENT;
    if (!action) return refuse_call(p, TACT_ERROR_ARGUMENT, "action may not be NULL");
    if (p->history.count == 0) return refuse_unseen(p);
    LogSink before = log_to_handle(p);
    tact_status status = next_action(p, action);
    log_to(before);
    return status;
}

tact_status tact_step(tact_policy *p, const tact_observation *observation, double *action) {
    tact_status status = tact_observe(p, observation);
    return status == TACT_OK ? tact_act(p, action) : status;
}

// Not a word into p->error, which is the other thread's.
tact_status tact_at(tact_policy *p, double time, double *action) {
    if (!p || !action || !isfinite(time)) return TACT_ERROR_ARGUMENT;
    return follower_at(&p->follower, &p->plans, time, action);
}
