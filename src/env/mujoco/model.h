// SPDX-License-Identifier: Apache-2.0
// The compiled model of a task, before a seed varies it.
#ifndef TACT_ENV_MUJOCO_MODEL_H
#define TACT_ENV_MUJOCO_MODEL_H

#include "base/error.h"
#include "env/mujoco/scene.h"
#include <mujoco/mujoco.h>

// Where things are in the model.
typedef struct Handles {
    int gripper, stem, berry, neighbour, neighbour_stem, gutter; // bodies
    int leaf[LEAVES];
    int finger_joint[2], finger_body[2], finger_act[2]; // left, right
    int swing_joint, gripper_joint, berry_joint, neighbour_joint;
    int hold, berry_weld, neighbour_weld; // equality constraints
    int light, wrist_camera, wall_material, berry_material, leaf_material[2], floor_material;
    int wall_texture[BACKGROUNDS];
} Handles;

// Compiles and paints the scene of a task, and finds things in it. *out is the caller's.
CHECKED bool model_make(const Task *task, mjModel **out, Handles *handles, Error *err);
// Sets the period of the swing, in a task that has one. d: any data of the model.
void model_tune_swing(mjModel *m, mjData *d, const Task *task, const Handles *h);

// textures.c: paints over the flat textures that the model was compiled with.
void textures_paint(mjModel *m);

#endif
