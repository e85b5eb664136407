// SPDX-License-Identifier: Apache-2.0
// Private to the processors: the steps that resize and crop frames (processors_frames.c).
#ifndef TACT_POLICY_PROCESSORS_FRAMES_H
#define TACT_POLICY_PROCESSORS_FRAMES_H

#include "base/error.h"
#include "base/memory.h"
#include "config/config.h"
#include "formats/json.h"

// Whether a step of that name is one of them.
bool frame_step_is(const char *name);
// The steps that a plain policy of known shapes needs in LeRobot; an empty list where it needs
// none, or where they cannot say it. New reference.
json_t *frame_steps(const PolicyConfig *p);
// Warns, for a policy that is saved to dir, where LeRobot will not see the frames that tact sees.
void frame_steps_warn(const char *dir, const PolicyConfig *p);

// For a policy without tact.json: what such steps do becomes p->resize_shape and p->crop_shape, and
// p->pipeline.changes_frames. What tact does not do is an error.
CHECKED bool frame_steps_apply(const json_t *steps, const json_t *config, PolicyConfig *p,
                               Arena *arena, const char *path, Error *err);

#endif
