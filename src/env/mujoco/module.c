// SPDX-License-Identifier: Apache-2.0
// The module tact_sim. Functions have the names by which the rest of the program calls them.
#include "base/module.h"
#include "env/env_module.h"
#include "env/mujoco/internal.h"

static const EnvModule table = {
    .open = world_open,
    .close = env_close,
    .spec = env_spec,
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
