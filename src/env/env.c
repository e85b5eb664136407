// SPDX-License-Identifier: Apache-2.0
// Simulation is the work of MuJoCo, in a module that is loaded here and called.
#include "env/env_module.h"

#include "base/module.h"
#include <stddef.h>

static Module module = {
    .name = "tact_sim",
    .what = "simulation",
    .built = "MuJoCo and EGL (libmujoco-dev, libegl-dev)",
    .needs = {{"libEGL.so", "libegl1 libegl-mesa0 libgl1-mesa-dri"},
              {"libmujoco.so", "libmujoco-dev"}},
};

// The module of an Env that is open: only it can have made one.
static const EnvModule *sim_functions(void) {
    return module_table(&module);
}

bool env_open(const char *type, int height, int width, Env **out, Error *err) {
    const EnvSpec *spec;
    Error why;
    *out = NULL;
    if (!env_find(type, &spec, err)) return false;
    if (!module_load(&module, &why)) return fail(err, "--env.type=%s: %.900s", type, why.text);
    return sim_functions()->open(spec, height, width, out, err);
}

void env_close(Env **env) {
    if (env && *env) sim_functions()->close(env);
}

const EnvSpec *env_spec(const Env *env) {
    return sim_functions()->spec(env);
}

void env_shift_start(Env *env, const double shift[3]) {
    sim_functions()->shift_start(env, shift);
}

bool env_reset(Env *env, uint64_t seed, Error *err) {
    return sim_functions()->reset(env, seed, err);
}

bool env_observe(Env *env, double *state, uint8_t *const *rgb, Error *err) {
    return sim_functions()->observe(env, state, rgb, err);
}

bool env_step(Env *env, const double *action, Error *err) {
    return sim_functions()->step(env, action, err);
}

int env_steps(const Env *env) {
    return sim_functions()->steps(env);
}

bool env_done(const Env *env) {
    return sim_functions()->done(env);
}

bool env_success(const Env *env) {
    return sim_functions()->success(env);
}

const char *env_outcome(const Env *env) {
    return sim_functions()->outcome(env);
}

void env_expert(Env *env, double *action) {
    sim_functions()->expert(env, action);
}

bool env_render(Env *env, const char *view, int height, int width, uint8_t *rgb, Error *err) {
    return sim_functions()->render(env, view, height, width, rgb, err);
}
