// SPDX-License-Identifier: Apache-2.0
// The public interface: opening, closing and describing a policy.
#include "base/log.h"
#include "base/processor.h"
#include "image/image.h"
#include "model/memory.h"
#include "pose/pose.h"
#include "runtime/actions.h"
#include "runtime/handle.h"
#include "runtime/versions.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

// The only place to keep the message of a handle that is not there.
static _Thread_local Error open_error;

// ---- opening ------------------------------------------------------------------------------------

static tact_options default_options(void) {
    return (tact_options){.size = sizeof(tact_options),
                          .temporal_ensemble_coeff = NAN,
                          .frame_cache = 1,
                          .chunk_size_threshold = 0.5,
                          .rate_check = 1,
                          .workspace_min = {-INFINITY, -INFINITY, -INFINITY},
                          .workspace_max = {INFINITY, INFINITY, INFINITY},
                          .max_translation = INFINITY,
                          .max_rotation = INFINITY};
}

void tact_options_default(tact_options *options, size_t size) {
    tact_options o = default_options();
    if (!options) return;
    memset(options, 0, size);
    memcpy(options, &o, size < sizeof o ? size : sizeof o);
    if (size >= sizeof o.size) options->size = size;
}

// What the caller's version of the struct lacks keeps its default.
CHECKED static bool take_options(const tact_options *given, tact_options *o, Error *err) {
    *o = default_options();
    return !given || struct_take(o, sizeof *o, OPTIONS_LEAST, given, "tact_options", err);
}

static void write_to_caller(void *policy, LogLevel level, const char *line) {
    const tact_policy *p = policy;
    p->log(p->log_user, level == LOG_LEVEL_WARNING ? TACT_LOG_WARNING : TACT_LOG_INFO, line);
}

LogSink log_to_handle(tact_policy *p) {
    return log_to((LogSink){p->log ? write_to_caller : NULL, p});
}

// How actions come from chunks: the caller's wish, else the checkpoint's.
CHECKED static bool choose_actions(tact_policy *p, const tact_options *o, Error *err) {
    const PolicyConfig *c = p->config;
    double coeff = o->temporal_ensemble_coeff;
    // LeRobot demands both together, the first as 1.
    if (o->n_action_steps > 1 && !isnan(coeff))
        return fail(
            err,
            "n_action_steps %d: temporal_ensemble_coeff asks for a new chunk every step; leave "
            "n_action_steps out, or set it to 1",
            o->n_action_steps);
    if (o->n_action_steps < 0 || o->n_action_steps > c->chunk_size)
        return fail(err, "n_action_steps %d: the policy's chunks have %d actions",
                    o->n_action_steps, c->chunk_size);
    bool as_trained = isnan(coeff) && o->n_action_steps == 0;
    if (as_trained && c->temporal_ensemble_coeff != CONFIG_NULL_NUMBER)
        coeff = c->temporal_ensemble_coeff;
    p->ensembles = !isnan(coeff);
    if (p->ensembles && !ensemble_possible(c->chunk_size, coeff))
        return fail(
            err,
            "temporal_ensemble_coeff %g: the weights exp(-coeff * i) of %d predictions are beyond "
            "all numbers; LeRobot's is 0.01",
            coeff, c->chunk_size);
    p->n_action_steps = p->ensembles        ? 1
                        : o->n_action_steps ? o->n_action_steps
                                            : c->n_action_steps;
    if (p->n_action_steps < 1 || p->n_action_steps > c->chunk_size)
        return fail(err, "%s: n_action_steps %d, but chunks have %d actions", p->policy->dir,
                    p->n_action_steps, c->chunk_size);
    if (o->asynchronous && p->ensembles)
        return fail(err, "asynchronous: temporal ensembling needs a prediction every step; leave "
                         "temporal_ensemble_coeff out and set n_action_steps");
    if (!(o->chunk_size_threshold >= 0 && o->chunk_size_threshold <= 1))
        return fail(err, "chunk_size_threshold %g: must be from 0 to 1", o->chunk_size_threshold);
    p->worker.threshold = o->chunk_size_threshold;
    int width = c->arms ? LINEAR_ARM * c->arms : c->action_dim;
    if (!p->ensembles) return true;
    p->linear = NEW(double, (size_t)c->chunk_size *(size_t)width);
    ensemble_init(&p->ensemble, c->chunk_size, width, coeff);
    return true;
}

CHECKED static bool allocate(tact_policy *p, bool asynchronous, Error *err) {
    const PolicyConfig *c = p->config;
    size_t T = (size_t)c->obs_state_horizon, S = (size_t)c->chunk_size, scratch = 0;
    p->env_row = NEW(double, c->env_dim);
    p->queue = NEW(double, S * p->action_size);
    p->last = NEW(double, p->action_size);
    p->action = NEW(double, p->action_size);
    p->rows = NEW(double, T *(size_t)c->state_dim);
    p->predicted = NEW(float, S *(size_t)c->action_dim);
    p->row = NEW(double, c->action_dim);
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        size_t needed = image_resize_scratch(camera->height, camera->width, camera->image_height,
                                             camera->image_width);
        scratch = needed > scratch ? needed : scratch;
    }
    p->resize = mem_try_raw(scratch);
    if (!p->resize) return fail_memory(err, "%zu bytes to resize images in", scratch);
    return history_init(&p->history, c, p->state_size, err) && snapshot_init(p, asynchronous, err);
}

// Of the cameras; vectors have no names here.
static void take_names(tact_policy *p) {
    json_t *map = p->config->rename_map ? json_loads(p->config->rename_map, 0, NULL) : NULL, *to;
    Arena *arena = &p->names;
    const char *from;
    size_t n = json_object_size(map);
    p->robot_names = arena_alloc(arena, (n + 1) * sizeof *p->robot_names);
    p->policy_names = arena_alloc(arena, (n + 1) * sizeof *p->policy_names);
    json_object_foreach(map, from, to) {
        p->robot_names[p->n_renamed] = arena_strdup(arena, from);
        p->policy_names[p->n_renamed++] = arena_strdup(arena, json_string_value(to));
    }
    json_decref(map);
}

CHECKED static bool open_device(tact_policy *p, const tact_options *o, Error *err) {
    const char *name = o->device ? o->device : "cpu";
    Precision precision;
    int threads = o->threads;
    if (o->asynchronous && threads <= 0) threads = omp_get_num_procs() - 1; // one for the caller
    if (o->asynchronous && threads < 1) threads = 1;
    return precision_named(o->dtype, name, &precision, err) &&
           device_open(name, precision, threads, &p->device, err);
}

// Beside the blocks that are planned: what JSON, oneDNN's kernels and scratch take.
enum { SMALL_BLOCKS = 24 << 20 };

// The stacks of OpenMP's threads, which the compiler's library ends the process without.
static size_t stack_bytes(int threads) {
    pthread_attr_t attributes;
    size_t stack = 8 << 20;
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &stack);
        pthread_attr_destroy(&attributes);
    }
    return (size_t)threads * stack;
}

// Whether there is memory for so much, and for the small blocks, whose lack would end the process.
// Nobody keeps it for us; but who has too little is told in time.
CHECKED static bool check_memory(size_t bytes, const char *for_what, Error *err) {
    size_t wanted = bytes + SMALL_BLOCKS;
    return mem_could(wanted) ||
           fail_memory(err, "%s needs %.0f MiB more", for_what, (double)wanted / (1 << 20));
}

bool memory_for_first(const tact_policy *p, Error *err) {
    return p->settled || check_memory(p->first_bytes, "the first prediction", err);
}

// The model looks at one history, of which a frame is one slot.
CHECKED static bool plan(tact_policy *p, bool asynchronous, Error *err) {
    int slots = p->history.length * p->history.cameras;
    if (slots < 1) slots = 1;
    StreamEstimate e;
    const Device *d = p->device;
    if (d->backend->host_memory) {
        if (!estimate_stream(p->config, slots, d->backend, d->precision, &e, err)) return false;
        p->first_bytes = e.first;
        // The asynchronous worker has threads of its own.
        size_t stacks = stack_bytes(d->threads - 1 + (asynchronous ? d->threads : 0));
        if (!check_memory(e.made + e.first + stacks, p->policy->dir, err)) return false;
    }
    return act_new_stream(p->device, p->config, &p->shared->policy.params, slots,
                          p->policy->stats.images, &p->act, err);
}

// first: a handle to share a policy with, or NULL.
CHECKED static bool share_policy(tact_policy *p, const char *path, const char *dataset,
                                 const tact_policy *first, Error *err) {
    bool host = p->device->backend->host_memory;
    if (first && host && first->device->backend->host_memory) {
        p->shared = first->shared;
        atomic_fetch_add(&p->shared->users, 1);
        return true;
    }
    p->shared = NEW(SharedPolicy, 1);
    atomic_init(&p->shared->users, 1);
    p->shared->device = p->device;
    return policy_load(path, dataset, p->device, &p->shared->policy, err);
}

// With the last user's handle the device that the parameters belong to is closed as well.
static void leave_shared(tact_policy *p) {
    SharedPolicy *s = p->shared;
    if (p->device && (!s || s->device != p->device)) device_close(p->device);
    if (!s || atomic_fetch_sub(&s->users, 1) != 1) return;
    policy_free(&s->policy);
    device_close(s->device);
    mem_free(s);
}

CHECKED static bool load(tact_policy *p, const char *path, const char *dataset,
                         const tact_policy *first, Error *err) {
    if (!share_policy(p, path, dataset, first, err)) return false;
    p->policy = &p->shared->policy;
    const PolicyConfig *c = p->config = &p->policy->config.policy;
    take_names(p);
    p->action_size = (size_t)(c->arms ? POSE_ROW * c->arms : c->action_dim);
    // Relative actions need the pose they are relative to, even where the policy does not see it.
    p->state_size = c->arms ? p->action_size : (size_t)c->state_dim;
    return policy_normalizers(c, &p->policy->stats, &p->state_norm, &p->env_norm, &p->action_norm,
                              err);
}

static tact_status open_all(tact_policy *p, const char *path, const tact_options *given,
                            const tact_policy *first, Error *err) {
    tact_options o;
    if (!take_options(given, &o, err)) return TACT_ERROR_ARGUMENT;
    p->log = o.log;
    p->log_user = o.log_user;
    log_to_handle(p);
    p->cache = o.frame_cache != 0;
    p->limits = (Limits){.translation = o.max_translation, .rotation = o.max_rotation};
    memcpy(p->limits.low, o.workspace_min, sizeof p->limits.low);
    memcpy(p->limits.high, o.workspace_max, sizeof p->limits.high);
    if (!check_memory(stack_bytes(o.threads > 0 ? o.threads : omp_get_num_procs()), path, err))
        return TACT_ERROR_MEMORY;
    if (!open_device(p, &o, err)) return status_of(err, TACT_ERROR_DEVICE);
    if (!load(p, path, o.dataset, first, err)) return status_of(err, TACT_ERROR_POLICY);
    if (!choose_actions(p, &o, err) || !limits_check(&p->limits, p->config->arms, err))
        return TACT_ERROR_ARGUMENT;
    p->rate = (Rate){.clock = clock_seconds, .fps = p->config->fps, .check = o.rate_check != 0};
    bool ok = allocate(p, o.asynchronous != 0, err) && plan(p, o.asynchronous != 0, err) &&
              (!o.asynchronous || worker_start(p, err));
    return ok ? TACT_OK : status_of(err, TACT_ERROR_DEVICE);
}

// Its arguments have been checked.
static tact_status open_handle(const char *path, const tact_options *options,
                               const tact_policy *first, tact_policy **policy) {
    int threads = omp_get_max_threads();
    tact_policy *p = mem_try(sizeof *p);
    if (!p) {
        (void)fail_memory(&open_error, "a handle of %zu bytes", sizeof *p);
        return TACT_ERROR_MEMORY;
    }
    LogSink before = log_to((LogSink){0});
    tact_status status = open_all(p, path, options, first, &open_error);
    log_to(before);
    omp_set_num_threads(threads); // the caller's
    if (status == TACT_OK)
        *policy = p;
    else
        tact_close(&p);
    return status;
}

tact_status tact_open(const char *path, const tact_options *options, tact_policy **policy) {
    if (policy) *policy = NULL;
    if (!path || !policy) {
        snprintf(open_error.text, sizeof open_error.text,
                 "tact_open: path and policy may not be NULL");
        return TACT_ERROR_ARGUMENT;
    }
    if (processor_lacks()) {
        snprintf(open_error.text, sizeof open_error.text, "%s", processor_lacks());
        return TACT_ERROR_DEVICE;
    }
    return open_handle(path, options, NULL, policy);
}

tact_status policy_open_beside(const tact_policy *first, const tact_options *options,
                               tact_policy **policy) {
    *policy = NULL;
    return open_handle(first->policy->dir, options, first, policy);
}

void tact_close(tact_policy **policy) {
    tact_policy *p = policy ? *policy : NULL;
    if (!p) return;
    *policy = NULL;
    worker_stop(p);
    act_free(p->act);
    normalizer_free(&p->state_norm);
    normalizer_free(&p->env_norm);
    normalizer_free(&p->action_norm);
    history_free(&p->history);
    ensemble_free(&p->ensemble);
    snapshot_free(&p->snapshot);
    void *owned[] = {p->env_row, p->queue,     p->last, p->rows,  p->action,
                     p->linear,  p->predicted, p->row,  p->resize};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) mem_free(owned[i]);
    arena_free(&p->names);
    leave_shared(p);
    mem_free(p);
}

// ---- describing ---------------------------------------------------------------------------------

const char *tact_message(const tact_policy *p) {
    return p ? p->error.text : open_error.text;
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
    struct_give(camera, &known, sizeof known);
}

double tact_fps(const tact_policy *p) {
    return p->config->fps;
}

int tact_chunk_size(const tact_policy *p) {
    return p->config->chunk_size;
}

int tact_n_action_steps(const tact_policy *p) {
    return p->n_action_steps;
}

int tact_horizon(const tact_policy *p) {
    return p->config->obs_state_horizon;
}

void tact_limits(const tact_policy *p, tact_limit_counts *counts) {
    const Limits *l = &p->limits;
    tact_limit_counts known = {
        .workspace = l->outside, .translation = l->far, .rotation = l->turned};
    struct_give(counts, &known, sizeof known);
}

void tact_async(const tact_policy *p, tact_async_counts *counts) {
    const Worker *w = &p->worker;
    tact_async_counts known = {.predictions = w->predictions,
                               .stalls = w->stalls,
                               .delay = w->delay,
                               .longest_delay = w->longest_delay};
    struct_give(counts, &known, sizeof known);
}

double tact_step_rate(const tact_policy *p) {
    return rate_now(&p->rate);
}
