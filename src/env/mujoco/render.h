// SPDX-License-Identifier: Apache-2.0
// Pictures of the world.
#ifndef TACT_ENV_MUJOCO_RENDER_H
#define TACT_ENV_MUJOCO_RENDER_H

#include "base/error.h"
#include <mujoco/mujoco.h>
#include <stdint.h>

typedef struct Renderer Renderer;

// Opens an OpenGL context of its own, which is made current on a thread when it is needed there.
CHECKED bool renderer_open(mjModel *m, int height, int width, Renderer **out, Error *err);
void renderer_close(Renderer *r); // NULL allowed
// Renders into rgb, top row first. camera: its id in the model. Sets the size of the offscreen
// buffer in m.
CHECKED bool renderer_draw(Renderer *r, mjModel *m, mjData *d, int camera, int height, int width,
                           uint8_t *rgb, Error *err);

#endif
