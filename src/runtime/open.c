// SPDX-License-Identifier: Apache-2.0
#include "runtime/open.h"

#include "base/memory.h"
#include "formats/json.h"
#include "image/image.h"
#include "model/memory.h"
#include "policy/policy_load.h"
#include "policy/policy_stats.h"
#include "pose/pose.h"
#include "runtime/calls.h"
#include "runtime/handle.h"
#include "runtime/memory_check.h"
#include "runtime/short_waits.h"
#include <omp.h>
#include <string.h>

Error *open_error(void) {
    static _Thread_local Error error;
    return &error;
}

// What tact_at needs. A plan has the two last actions and all that a chunk foresees.
CHECKED static bool handle_plan_actions(tact_policy *p, Error *err) {
    const Schedule *s = &p->schedule;
    const double ahead[FOLLOW_GROUPS] = {s->robot_action,
                                         p->config->arms ? s->gripper_action : s->robot_action};
    return plan_board_init(&p->plans, policy_chunk_steps(p->config) + 2, (int)p->action_size,
                           err) &&
           follower_init(&p->follower, (int)p->action_size, p->config->arms, ahead, p->limits.low,
                         p->limits.high, err);
}

CHECKED static bool handle_allocate(tact_policy *p, bool asynchronous, Error *err) {
    const PolicyConfig *c = p->config;
    size_t T = (size_t)c->obs_state_horizon, S = (size_t)c->chunk_size, scratch = 0;
    const size_t chunk = (size_t)policy_chunk_steps(c) * p->action_size;
    const bool spare = p->blend_steps && !asynchronous;
    p->env_row = TRY_NEW(double, c->env_dim);
    p->queue = TRY_NEW(double, chunk);
    p->last = TRY_NEW(double, p->action_size);
    p->before = TRY_NEW(double, p->action_size);
    p->blended = TRY_NEW(double, 2 * p->action_size);
    p->spare = spare ? TRY_NEW(double, chunk) : NULL;
    p->action = TRY_NEW(double, p->action_size);
    p->rows = TRY_NEW(double, T *(size_t)c->state_dim);
    p->predicted = TRY_NEW(float, S *(size_t)c->action_dim);
    p->row = TRY_NEW(double, c->action_dim);
    if (!p->env_row || !p->queue || !p->last || !p->before || !p->blended || (spare && !p->spare) ||
        !p->action || !p->rows || !p->predicted || !p->row)
        return fail_memory(err, "a chunk of %d actions", policy_chunk_steps(c));
    if (!handle_plan_actions(p, err)) return false;
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        size_t needed =
            image_resize_scratch(camera->height, camera->width, camera_resized_height(camera),
                                 camera_resized_width(camera));
        scratch = needed > scratch ? needed : scratch;
    }
    p->resize = mem_try_raw(scratch);
    if (!p->resize) return fail_memory(err, "%zu bytes to resize images in", scratch);
    return history_init(&p->history, c, p->state_size, err) &&
           snapshot_init(p, asynchronous, err) && prefix_init(p, err);
}

// Of the cameras; vectors have no names here.
CHECKED static bool handle_read_rename_map(tact_policy *p, Error *err) {
    const char *text = p->config->rename_map, *from;
    Arena *arena = &p->names;
    json_t *map = text ? json_parse_argument(text, 0, NULL) : NULL, *to;
    if (text && !map) return fail_memory(err, "the names of cameras"); // it was read before
    size_t n = json_object_size(map);
    p->robot_names = arena_try(arena, (n + 1) * sizeof *p->robot_names);
    p->policy_names = arena_try(arena, (n + 1) * sizeof *p->policy_names);
    bool ok = p->robot_names && p->policy_names;
    json_object_foreach(map, from, to) {
        if (!ok) break;
        const char *robot = arena_try_strdup(arena, from);
        const char *policy = arena_try_strdup(arena, json_string_value(to));
        p->robot_names[p->n_renamed] = robot;
        p->policy_names[p->n_renamed] = policy;
        ok = robot && policy;
        p->n_renamed += ok;
    }
    json_decref(map);
    return ok || fail_memory(err, "the names of %zu cameras", n);
}

CHECKED static bool handle_open_device(tact_policy *p, const tact_options *o, Error *err) {
    const char *name = o->device ? o->device : "cpu";
    Precision precision;
    int threads = o->threads;
    if (p->borrows) return true;
    if (o->asynchronous && threads <= 0) threads = omp_get_num_procs() - 1; // one for the caller
    if (o->asynchronous && threads < 1) threads = 1;
    return precision_named(o->dtype, name, &precision, err) &&
           device_open(name, precision, threads, &p->device, err);
}

// The model looks at one history, of which a frame is one slot.
CHECKED static bool handle_plan_model(tact_policy *p, bool asynchronous, Error *err) {
    int slots = p->history.length * p->history.cameras;
    if (slots < 1) slots = 1;
    if (p->borrows) return act_slots_new(p->act, slots, &p->slots, err);
    StreamEstimate e;
    const Device *d = p->device;
    if (d->backend->host_memory) {
        if (!estimate_stream(p->config, slots, d->backend, d->precision, &e, err)) return false;
        p->first_bytes = e.first;
        // The asynchronous worker has threads of its own.
        size_t stacks = thread_stack_bytes(d->threads - 1 + (asynchronous ? d->threads : 0));
        if (!memory_check(e.made + e.first + stacks, p->policy->dir, err)) return false;
    }
    return act_new_stream(p->device, p->config, &p->shared->policy.params, slots,
                          p->policy->stats.images, &p->act, err);
}

CHECKED static bool handle_load_policy(tact_policy *p, const char *path, const char *dataset,
                                       const tact_policy *first, Error *err) {
    if (!shared_policy_join(p, path, dataset, first, err)) return false;
    p->policy = &p->shared->policy;
    const PolicyConfig *c = p->config = &p->policy->config.policy;
    if (!handle_read_rename_map(p, err)) return false;
    p->action_size = (size_t)(c->arms ? POSE_ROW * c->arms : c->action_dim);
    // Relative actions need the pose they are relative to, even where the policy does not see it.
    p->state_size = c->arms ? p->action_size : (size_t)c->state_dim;
    return policy_normalizers(c, &p->policy->stats, &p->state_norm, &p->env_norm, &p->action_norm,
                              err);
}

// The handle computes as first does, whose first prediction is every handle's.
CHECKED static bool handle_borrow_model(tact_policy *p, const tact_policy *first,
                                        const tact_options *o, Error *err) {
    if (o->asynchronous || first->worker.started)
        return fail(err, "asynchronous: handles that share a model take turns");
    p->borrows = true;
    p->device = first->device;
    p->act = first->act;
    p->first_bytes = first->first_made ? 0 : first->first_bytes;
    return true;
}

static tact_status handle_set_up(tact_policy *p, const char *path, const tact_options *given,
                                 const tact_policy *first, Sharing sharing, Error *err) {
    tact_options o;
    if (!options_from_caller(given, &o, err)) return TACT_ERROR_ARGUMENT;
    if (sharing == SHARE_MODEL && !handle_borrow_model(p, first, &o, err))
        return TACT_ERROR_ARGUMENT;
    p->log = o.log;
    p->log_user = o.log_user;
    log_to_handle(p);
    p->cache = o.frame_cache != 0;
    p->limits = (Limits){.translation = o.max_translation, .rotation = o.max_rotation};
    memcpy(p->limits.low, o.workspace_min, sizeof p->limits.low);
    memcpy(p->limits.high, o.workspace_max, sizeof p->limits.high);
    int threads = p->borrows ? 0 : o.threads > 0 ? o.threads : omp_get_num_procs();
    if (!memory_check(thread_stack_bytes(threads), path, err)) return TACT_ERROR_MEMORY;
    if (!p->borrows && !threads_check(threads, err)) return TACT_ERROR_MEMORY;
    if (!handle_open_device(p, &o, err)) return status_of(err, TACT_ERROR_DEVICE);
    p->short_waits = !p->borrows && short_waits_begin(p->device->threads);
    if (!handle_load_policy(p, path, o.dataset, first, err))
        return status_of(err, TACT_ERROR_POLICY);
    if (!options_choose_actions(p, &o, err) || !limits_check(&p->limits, p->config->arms, err) ||
        !schedule_init(p, &o, err))
        return status_of(err, TACT_ERROR_ARGUMENT);
    p->rate = (Rate){.clock = clock_seconds, .fps = p->config->fps, .check = o.rate_check != 0};
    bool ok = handle_allocate(p, o.asynchronous != 0, err) &&
              handle_plan_model(p, o.asynchronous != 0, err) &&
              (!o.asynchronous || worker_start(p, err));
    return ok ? TACT_OK : status_of(err, TACT_ERROR_DEVICE);
}

tact_status handle_open(const char *path, const tact_options *options, const tact_policy *first,
                        Sharing sharing, tact_policy **policy) {
    int threads = omp_get_max_threads();
    tact_policy *p = mem_try(sizeof *p);
    if (!p) {
        (void)fail_memory(open_error(), "a handle of %zu bytes", sizeof *p);
        return TACT_ERROR_MEMORY;
    }
    LogSink before = log_to((LogSink){0});
    tact_status status = handle_set_up(p, path, options, first, sharing, open_error());
    log_to(before);
    omp_set_num_threads(threads); // the caller's
    if (status == TACT_OK)
        *policy = p;
    else
        handle_close(p);
    return status;
}

void handle_close(tact_policy *p) {
    worker_stop(p);
    act_slots_free(p->slots);
    if (!p->borrows) act_free(p->act);
    normalizer_free(&p->state_norm);
    normalizer_free(&p->env_norm);
    normalizer_free(&p->action_norm);
    history_free(&p->history);
    ensemble_free(&p->ensemble);
    schedule_free(&p->schedule);
    plan_board_free(&p->plans);
    follower_free(&p->follower);
    snapshot_free(&p->snapshot);
    prefix_free(&p->prefix);
    void *owned[] = {p->env_row,   p->queue, p->last,   p->rows,  p->action, p->linear,
                     p->predicted, p->row,   p->resize, p->spare, p->before, p->blended};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) mem_free(owned[i]);
    arena_free(&p->names);
    shared_policy_leave(p);
    if (p->short_waits) short_waits_end();
    mem_free(p);
}

tact_status policy_open_beside(const tact_policy *first, const tact_options *options,
                               tact_policy **policy) {
    *policy = NULL;
    return handle_open(first->policy->dir, options, first, SHARE_WEIGHTS, policy);
}

tact_status policy_open_episode(const tact_policy *first, const tact_options *options,
                                tact_policy **policy) {
    *policy = NULL;
    return handle_open(first->policy->dir, options, first, SHARE_MODEL, policy);
}
