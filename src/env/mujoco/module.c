// SPDX-License-Identifier: Apache-2.0
// The module tact_sim. Its functions have the names of env.h, by which the program calls them
// through env.c.
#include "base/module.h"
#include "env/env_module.h"
#include "env/mujoco/world.h"

static const EnvModule table = {
    .open = episode_open,
    .close = env_close,
    .spec = env_spec,
    .shift_start = env_shift_start,
    .reset = env_reset,
    .observe = env_observe,
    .step = env_step,
    .steps = env_steps,
    .done = env_done,
    .success = env_success,
    .outcome = env_outcome,
    .expert = env_expert,
    .render = env_render,
};

MODULE_ENTRY(&table)
