// SPDX-License-Identifier: Apache-2.0
// Which directory a user means by the name of a run, a checkpoint, or a file in one.
#ifndef TACT_POLICY_POLICY_LOCATE_H
#define TACT_POLICY_POLICY_LOCATE_H

#include "base/error.h"
#include <stdint.h>

enum { POLICY_PATH = 4096 }; // room for a path that policy_locate gives

// Finds the pretrained_model directory that `path` means: itself, its config.json or
// train_config.json, a checkpoint (holds pretrained_model/) or a run (checkpoints/last). Where
// `last` is no link to a checkpoint (a folder, a file with the name, dangling, gone), as in a run
// that was copied without links, it means the checkpoint with the highest step. What is no path but
// may be a name on the Hub is looked for in its cache on this machine (formats/hub_cache.h).
CHECKED bool policy_locate(const char *path, char out[POLICY_PATH], Error *err);
// The same with all links followed. While a training goes on `last` moves to the next checkpoint;
// this name stays the one's that was found.
CHECKED bool policy_resolve(const char *path, char out[POLICY_PATH], Error *err);
// Whether policy_locate would find one.
bool policy_is_one(const char *path);
// The RUN of RUN/checkpoints/STEP/pretrained_model, links followed where the directory is there;
// false: it lies somewhere else.
bool policy_run(const char *dir, char run[POLICY_PATH]);
// The step that a checkpoint's name stands for, made of digits; -1: another name.
int64_t checkpoint_step(const char *name);
// The step that a checkpoint's directory says it is of; -1: it does not.
int64_t checkpoint_step_inside(const char *dir);
// The same of the checkpoint that a pretrained_model directory lies in.
int64_t policy_step(const char *dir);

#endif
