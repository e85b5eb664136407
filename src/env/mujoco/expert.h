// SPDX-License-Identifier: Apache-2.0
// The scripted expert of env_expert.
#ifndef TACT_ENV_MUJOCO_EXPERT_H
#define TACT_ENV_MUJOCO_EXPERT_H

#include "env/mujoco/world.h"

// Begins an episode; the natural variation is drawn from rng.
void expert_reset(Env *env, RngStream *rng);

#endif
