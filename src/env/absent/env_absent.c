// SPDX-License-Identifier: Apache-2.0
// What stands in for the environments in a build without MuJoCo or EGL.
#include "env/env.h"
#include <stddef.h>

bool env_open(const char *type, int height, int width, Env **out, Error *err) {
    const EnvSpec *spec;
    (void)height;
    (void)width;
    *out = NULL;
    if (!env_find(type, &spec, err)) return false;
    return fail(
        err,
        "--env.type=%s: this tact was built without MuJoCo; install libmujoco-dev and "
        "libegl-dev (apt-get install libmujoco-dev libegl-dev), then run cmake and build again",
        type);
}

// None of these can be reached: there is no Env.
static CHECKED bool unreachable(Error *err) {
    return fail(err, "built without MuJoCo");
}

void env_close(Env **env) {
    (void)env;
}
const EnvSpec *env_spec(const Env *env) {
    (void)env;
    return NULL;
}
bool env_reset(Env *env, uint64_t seed, Error *err) {
    (void)env;
    (void)seed;
    return unreachable(err);
}
bool env_observe(Env *env, double *state, uint8_t *const *rgb, Error *err) {
    (void)env;
    (void)state;
    (void)rgb;
    return unreachable(err);
}
bool env_step(Env *env, const double *action, Error *err) {
    (void)env;
    (void)action;
    return unreachable(err);
}
int env_steps(const Env *env) {
    (void)env;
    return 0;
}
bool env_done(const Env *env) {
    (void)env;
    return true;
}
bool env_success(const Env *env) {
    (void)env;
    return false;
}
const char *env_outcome(const Env *env) {
    (void)env;
    return "";
}
void env_expert(Env *env, double *action) {
    (void)env;
    (void)action;
}
bool env_render(Env *env, const char *view, int height, int width, uint8_t *rgb, Error *err) {
    (void)env;
    (void)view;
    (void)height;
    (void)width;
    (void)rgb;
    return unreachable(err);
}
