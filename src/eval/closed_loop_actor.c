// SPDX-License-Identifier: Apache-2.0
// One thread's simulation and policy, and how they run an episode.
#include "eval/closed_loop_internal.h"

#include "base/memory.h"
#include "image/image.h"
#include "policy/policy_config.h"
#include "policy/policy_locate.h"
#include "runtime/handle.h"
#include "runtime/open.h"
#include <math.h>
#include <string.h>

enum { VIDEO_HEIGHT = 240, VIDEO_WIDTH = 320, VIDEO_GOP = 10, VIDEO_CRF = 32 };

// tact_options counts steps, and an action of a chunk may stand for several. With an ensemble both
// are 1.
CHECKED static bool action_steps(const ClosedLoopOptions *o, tact_options *t, Error *err) {
    char dir[POLICY_PATH];
    TrainConfig config;
    const bool ensemble = o->temporal_ensemble_coeff != CONFIG_NULL_NUMBER;
    t->n_action_steps = o->n_action_steps;
    t->max_action_prefix = o->max_action_prefix;
    if (ensemble || (o->n_action_steps == 0 && o->max_action_prefix <= 0)) return true;
    train_config_default(&config);
    bool ok =
        policy_resolve(o->policy_path, dir, err) && policy_read_config(dir, false, &config, err);
    const PolicyConfig *p = &config.policy;
    t->n_action_steps *= p->action_down_sample_steps;
    if (o->max_action_prefix > 0) t->max_action_prefix *= p->action_down_sample_steps;
    if (ok && o->max_action_prefix > p->max_action_prefix)
        ok = fail(err, "--policy.max_action_prefix=%d: %s was trained for at most %d",
                  o->max_action_prefix, dir, p->max_action_prefix);
    train_config_free(&config);
    return ok;
}

CHECKED static bool actor_open_policy(Actor *a, Error *err) {
    const ClosedLoopOptions *o = a->options;
    tact_options t;
    tact_options_default(&t, sizeof t);
    t.device = o->device;
    t.dtype = o->dtype;
    t.threads = 1;
    if (!action_steps(o, &t, err)) return false;
    if (o->temporal_ensemble_coeff != CONFIG_NULL_NUMBER)
        t.temporal_ensemble_coeff = o->temporal_ensemble_coeff;
    t.blend_steps = o->blend_steps;
    t.asynchronous = o->inference_delay >= 0;
    t.rate_check = 0; // the simulation waits for the policy
    tact_status status = a->first ? policy_open_beside(a->first, &t, &a->policy)
                                  : tact_open(o->policy_path, &t, &a->policy);
    if (status != TACT_OK) return fail(err, "%s", tact_message(NULL));
    if (t.asynchronous)
        async_simulate_delay(a->policy, (int)ceil(o->inference_delay * a->spec->fps - 1e-9));
    return true;
}

bool actor_open(Actor *a, Error *err) {
    const ClosedLoopOptions *o = a->options;
    if (!env_find(o->env_type, &a->spec, err) || !actor_open_policy(a, err)) return false;
    Wants wants = wants_of_handle(a->policy, o->policy_path);
    const int height = wants.height, width = wants.width;
    if (!wants_check(a->spec, &wants, err) || !env_open(o->env_type, height, width, &a->env, err))
        return false;
    env_shift_start(a->env, o->start_shift);
    for (int c = 0; c < a->spec->n_cameras; c++) {
        a->frames[c] = NEW(uint8_t, image_rgb_bytes(height, width));
        a->images[c] =
            (tact_image){sizeof(tact_image), a->spec->cameras[c], a->frames[c], height, width, 0};
    }
    a->picture = NEW(uint8_t, image_rgb_bytes(VIDEO_HEIGHT, VIDEO_WIDTH));
    return true;
}

void actor_close(Actor *a) {
    env_close(&a->env);
    tact_close(&a->policy);
    for (int c = 0; c < ENV_MAX_CAMERAS; c++) mem_free(a->frames[c]);
    mem_free(a->picture);
}

// ---- episodes -----------------------------------------------------------------------------------

CHECKED static bool film_scene(Actor *a, VideoWriter *video, Error *err) {
    return !video || (env_render(a->env, "scene", VIDEO_HEIGHT, VIDEO_WIDTH, a->picture, err) &&
                      video_writer_add(video, a->picture, err));
}

// Notes how far the newest action is from the one before.
static void note_move(Actor *a, ClosedLoopEpisode *e, const double *action) {
    const int64_t chunks = a->policy->chunks;
    if (e->n_moves < 0) // the first action
        a->first_chunk = chunks;
    a->place = chunks == a->chunks ? a->place + 1 : 0;
    a->chunks = chunks;
    if (e->n_moves >= 0)
        e->moves[e->n_moves] =
            seam_step(a->action, action, 1, chunks == a->first_chunk ? -1 : a->place);
    e->n_moves++;
    memcpy(a->action, action, sizeof a->action);
}

CHECKED static bool act_one_step(Actor *a, ClosedLoopEpisode *e, Error *err) {
    double state[ENV_DIM], action[ENV_DIM];
    tact_observation seen = {.size = sizeof seen,
                             .state = state,
                             .state_size = tact_state_size(a->policy) ? ENV_DIM : 0,
                             .images = a->images,
                             .n_images = (size_t)a->spec->n_cameras};
    if (!env_observe(a->env, state, a->frames, err)) return false;
    if (tact_step(a->policy, &seen, action) != TACT_OK)
        return fail(err, "%s", tact_message(a->policy));
    note_move(a, e, action);
    return env_step(a->env, action, err);
}

bool actor_stopping(const Actor *a) {
    return a->options->stop && *a->options->stop;
}

bool actor_run_episode(Actor *a, ClosedLoopEpisode *e, VideoWriter *video, Error *err) {
    if (!env_reset(a->env, e->seed, err)) return false;
    if (tact_reset(a->policy) != TACT_OK) return fail(err, "%s", tact_message(a->policy));
    if (!e->moves) e->moves = NEW(SeamStep, a->spec->max_steps);
    e->n_moves = -1; // one less than actions
    bool ok = film_scene(a, video, err);
    while (ok && !env_done(a->env) && !actor_stopping(a))
        ok = act_one_step(a, e, err) && film_scene(a, video, err);
    if (e->n_moves < 0) e->n_moves = 0;
    e->success = env_success(a->env);
    e->outcome = env_outcome(a->env);
    e->steps = env_steps(a->env);
    return ok;
}

bool actor_film_episode(Actor *a, ClosedLoopEpisode *e, Error *err) {
    char path[4096];
    VideoWriter *video;
    snprintf(e->video, sizeof e->video, "episode_%06llu.mp4", (unsigned long long)e->seed);
    snprintf(path, sizeof path, "%s/%s", a->options->videos, e->video);
    if (!video_writer_open(path, NULL, VIDEO_HEIGHT, VIDEO_WIDTH, a->spec->fps, VIDEO_GOP,
                           VIDEO_CRF, &video, err))
        return false;
    bool ok = actor_run_episode(a, e, video, err);
    if (ok && !actor_stopping(a)) return video_writer_close(video, err);
    video_writer_abort(video);
    return ok;
}
