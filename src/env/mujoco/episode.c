// SPDX-License-Identifier: Apache-2.0
// An environment from its opening to its closing: what is seen, and when an episode ends.
#include "env/mujoco/world.h"

#include "base/memory.h"
#include "env/mujoco/guard.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

enum { HELD_STEPS = 5 };          // that the berry is held and away for, to be picked
static const double away = 0.045; // the berry counts as pulled away at this distance

// MuJoCo's compiler and Mesa's start keep state of the whole process.
static pthread_mutex_t opening_lock = PTHREAD_MUTEX_INITIALIZER;

static const Task *task_of(const EnvSpec *spec) {
    static const Task still = {.stem = 0.10, .reach = 0.22, .opening = ENV_OPENING};
    // The opening that the expert's way begins with, 23 steps before it meets the berry.
    static const Task swing = {.stem = 0.30, .reach = 0.324, .opening = 0.044, .period = 3.2};
    return strcmp(spec->type, "strawberry_swing") == 0 ? &swing : &still;
}

static CHECKED bool open_locked(Env *env, Error *err) {
    guard_install();
    if (!model_make(&env->task, &env->original, &env->h, err)) return false;
    env->d = mj_makeData(env->original);
    if (env->task.period > 0) model_tune_swing(env->original, env->d, &env->task, &env->h);
    env->m = mj_copyModel(NULL, env->original);
    if (!env->d || !env->m) return fail(err, "not enough memory for a simulation");
    return renderer_open(env->m, env->height, env->width, &env->renderer, err);
}

bool episode_open(const EnvSpec *spec, int height, int width, Env **out, Error *err) {
    *out = NULL;
    if (height < 16 || width < 16 || height > 2048 || width > 2048)
        return fail(err, "images of %dx%d: choose 16x16 to 2048x2048", height, width);
    Env *env = NEW(Env, 1);
    env->spec = spec;
    env->task = *task_of(spec);
    env->height = height;
    env->width = width;
    pthread_mutex_lock(&opening_lock);
    bool ok;
    GUARDED(&ok, open_locked(env, err), err);
    pthread_mutex_unlock(&opening_lock);
    if (!ok) {
        env_close(&env);
        return false;
    }
    *out = env;
    return true;
}

void env_close(Env **handle) {
    Env *env = handle ? *handle : NULL;
    if (!env) return;
    pthread_mutex_lock(&opening_lock);
    renderer_close(env->renderer);
    pthread_mutex_unlock(&opening_lock);
    mj_deleteData(env->d);
    mj_deleteModel(env->m);
    mj_deleteModel(env->original);
    mem_free(env);
    *handle = NULL;
}

const EnvSpec *env_spec(const Env *env) {
    return env->spec;
}

void env_shift_start(Env *env, const double shift[3]) {
    memcpy(env->shift, shift, sizeof env->shift);
}

static CHECKED bool begin_episode(Env *env, uint64_t seed, Error *err) {
    const double *shift = env->shift;
    vary_world(env, seed);
    if (mju_norm3(shift) > 0 && world_gripper_touches(env))
        return fail(err,
                    "--env.start_shift=[%g,%g,%g]: in the episode of seed %llu the gripper would "
                    "start in something that it touches; choose a smaller shift",
                    shift[0], shift[1], shift[2], (unsigned long long)seed);
    env->seed = seed;
    env->steps = env->held = 0;
    memset(env->strain, 0, sizeof env->strain);
    memset(env->torn, 0, sizeof env->torn);
    env->done = env->success = env->dropped = false;
    env->ready = true;
    world_berry(env, env->hung);
    RngStream rng = {.key = {.seed = seed, .site = 2}};
    expert_reset(env, &rng);
    return true;
}

bool env_reset(Env *env, uint64_t seed, Error *err) {
    bool ok;
    env->ready = false;
    GUARDED(&ok, begin_episode(env, seed, err), err);
    return ok;
}

static CHECKED bool observe_world(Env *env, double *state, uint8_t *const *rgb, Error *err) {
    if (!env->ready) return fail(err, "an environment is observed before its first reset");
    if (state) {
        Pose tool = world_tool(env);
        pose_to_vector(&tool, state);
        state[6] = world_opening(env);
    }
    return !rgb || renderer_draw(env->renderer, env->m, env->d, env->h.wrist_camera, env->height,
                                 env->width, rgb[0], err);
}

bool env_observe(Env *env, double *state, uint8_t *const *rgb, Error *err) {
    bool ok;
    GUARDED(&ok, observe_world(env, state, rgb, err), err);
    return ok;
}

// What a step leads to: a berry held and away long enough, or an end that nothing can undo.
static void judge_step(Env *env) {
    double berry[3];
    world_berry(env, berry);
    bool clear = env->torn[0] && mju_dist3(berry, env->hung) > away;
    env->held = clear && world_berry_is_held(env) ? env->held + 1 : 0;
    if (env->done) return;
    env->success = env->held >= HELD_STEPS && !env->torn[1];
    env->dropped = env->torn[0] && berry[2] < env->hung[2] - 0.25 && !world_berry_is_held(env);
    env->done = env->success || env->dropped || env->torn[1] || env->steps >= env->spec->max_steps;
}

static CHECKED bool take_step(Env *env, const double *action, Error *err) {
    if (!env->ready) return fail(err, "an environment is stepped before its first reset");
    for (int i = 0; i < ENV_DIM; i++)
        if (!isfinite(action[i])) return fail(err, "action %s is not finite", env->spec->names[i]);
    world_step(env, action);
    env->steps++;
    judge_step(env);
    return true;
}

bool env_step(Env *env, const double *action, Error *err) {
    bool ok;
    GUARDED(&ok, take_step(env, action, err), err);
    return ok;
}

int env_steps(const Env *env) {
    return env->steps;
}

bool env_done(const Env *env) {
    return env->done;
}

bool env_success(const Env *env) {
    return env->success;
}

const char *env_outcome(const Env *env) {
    if (env->success) return "picked";
    if (env->torn[1]) return "neighbour torn off";
    if (env->dropped) return "berry dropped";
    return env->torn[0] ? "not pulled away" : "on the stem";
}

static CHECKED bool render_view(Env *env, const char *view, int height, int width, uint8_t *rgb,
                                Error *err) {
    if (!env->ready) return fail(err, "an environment is drawn before its first reset");
    int camera = mj_name2id(env->m, mjOBJ_CAMERA, view);
    if (camera < 0) return fail(err, "%s: no such view; there are scene, close and wrist", view);
    if (height < 16 || width < 16 || height > 2048 || width > 2048)
        return fail(err, "a picture of %dx%d: choose 16x16 to 2048x2048", height, width);
    return renderer_draw(env->renderer, env->m, env->d, camera, height, width, rgb, err);
}

bool env_render(Env *env, const char *view, int height, int width, uint8_t *rgb, Error *err) {
    bool ok;
    GUARDED(&ok, render_view(env, view, height, width, rgb, err), err);
    return ok;
}
