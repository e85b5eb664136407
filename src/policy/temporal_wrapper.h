// SPDX-License-Identifier: Apache-2.0
// temporal_wrapper.pt of the relative-pose fork of LeRobot.
#ifndef TACT_POLICY_TEMPORAL_WRAPPER_H
#define TACT_POLICY_TEMPORAL_WRAPPER_H

#include "config/config.h"
#include "formats/json.h"
#include "formats/weights.h"

// Whether the pretrained_model directory has one; out: its path.
bool temporal_wrapper_find(const char *dir, char *out, size_t size);
// What the file's presence says of the policy in config.json (path), which p was read from.
CHECKED bool temporal_wrapper_settle(const char *dir, const json_t *config, const char *path,
                                     PolicyConfig *p, Error *err);
// The only tensor in it, which is our temporal_pos_embed.weight; borrowed from *out.
CHECKED bool temporal_wrapper_open(const char *file, Weights **out, const SafetensorsEntry **e,
                                   Error *err);

#endif
