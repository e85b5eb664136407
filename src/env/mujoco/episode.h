// SPDX-License-Identifier: Apache-2.0
// Opening an environment whose type is known. episode.c and expert.c also define the functions of
// env.h under their own names, for the table of the module.
#ifndef TACT_ENV_MUJOCO_EPISODE_H
#define TACT_ENV_MUJOCO_EPISODE_H

#include "env/env.h"

// What env_open does when the type is known.
CHECKED bool episode_open(const EnvSpec *spec, int height, int width, Env **out, Error *err);

#endif
