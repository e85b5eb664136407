// SPDX-License-Identifier: Apache-2.0
// What tact_sim, the module made of mujoco/, gives to env.c: the functions of env.h, with the same
// arguments and errors. open gets the spec that env_open has found.
#ifndef TACT_ENV_ENV_MODULE_H
#define TACT_ENV_ENV_MODULE_H

#include "env/env.h"

typedef struct EnvModule {
    bool (*open)(const EnvSpec *spec, int height, int width, Env **out, Error *err);
    void (*close)(Env **env);
    const EnvSpec *(*spec)(const Env *env);
    void (*shift_start)(Env *env, const double shift[3]);
    bool (*reset)(Env *env, uint64_t seed, Error *err);
    bool (*observe)(Env *env, double *state, uint8_t *const *rgb, Error *err);
    bool (*step)(Env *env, const double *action, Error *err);
    int (*steps)(const Env *env);
    bool (*done)(const Env *env);
    bool (*success)(const Env *env);
    const char *(*outcome)(const Env *env);
    void (*expert)(Env *env, double *action);
    bool (*render)(Env *env, const char *view, int height, int width, uint8_t *rgb, Error *err);
} EnvModule;

#endif
