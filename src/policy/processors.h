// SPDX-License-Identifier: Apache-2.0
// LeRobot's policy_preprocessor and policy_postprocessor.
#ifndef TACT_POLICY_PROCESSORS_H
#define TACT_POLICY_PROCESSORS_H

#include "base/error.h"
#include "base/memory.h"
#include "config/config.h"
#include "formats/json.h"
#include "policy/policy_stats.h"

// ---- processors_read.c --------------------------------------------------------------------------
// What the pipelines of a pretrained_model directory do goes into p: the modes of normalisation,
// which outrank those of config.json, p->rename_map and p->pipeline; strings into arena. A
// directory without them changes nothing. A step that is enabled and that tact does not know is an
// error that names it. alone: there is no tact.json, so that what a step makes of frames becomes
// resize_shape and crop_shape; else tact.json says that, and frame_steps_check compares.
CHECKED bool processors_read(const char *dir, const json_t *config, bool alone, PolicyConfig *p,
                             Arena *arena, Error *err);
// Whether the steps that resize and crop in policy_preprocessor.json, if there are any, are those
// of the policy, whose settings are complete now. The message begins with `where`.
CHECKED bool frame_steps_check(const PolicyConfig *p, const char *where, Error *err);
// Whether a policy, whose settings are complete now, can have the pipeline that p->pipeline
// describes. The message begins with `where`.
CHECKED bool pipeline_check(const PolicyConfig *p, const char *where, Error *err);

// ---- processors_write.c -------------------------------------------------------------------------
// Both pipelines, with all steps under LeRobot's names, and their statistics, into the directory.
CHECKED bool processors_write(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                              Error *err);

#endif
