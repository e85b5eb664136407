// SPDX-License-Identifier: Apache-2.0
// A policy written to disk: LeRobot's pretrained_model directory.
#ifndef TACT_POLICY_POLICY_WRITE_H
#define TACT_POLICY_POLICY_WRITE_H

#include "base/error.h"
#include "config/config.h"
#include "formats/json.h"
#include "model/params.h"
#include "policy/policy_stats.h"

// Writes config.json, tact.json, model.safetensors and the processor files into a directory that
// exists. `training` goes into tact.json as "train"; borrowed, may be NULL.
CHECKED bool policy_write(const char *dir, const PolicyConfig *p, const Params *params,
                          const PolicyStats *stats, const json_t *training, Error *err);

#endif
