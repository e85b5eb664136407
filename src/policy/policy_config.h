// SPDX-License-Identifier: Apache-2.0
// The settings of a policy on disk.
#ifndef TACT_POLICY_POLICY_CONFIG_H
#define TACT_POLICY_POLICY_CONFIG_H

#include "base/error.h"
#include "config/config.h"
#include "formats/json.h"

// Reads config.json, tact.json and the processor pipelines of a pretrained_model directory over
// what c holds. without_shapes: what a dataset decides is left as it is, as in a training that
// starts from this policy; so is rename_map, which belongs to the other dataset.
CHECKED bool policy_read_config(const char *dir, bool without_shapes, TrainConfig *c, Error *err);
// One warning that names the settings of a config.json that are passed over, if there are any.
// Whoever opens a policy for good does it once: policy_load, and policy_read_config without shapes.
void policy_warn_of_keys(const json_t *config, const char *path);
// tact.json, or NULL where there is none. New reference.
CHECKED bool policy_read_tact(const char *dir, json_t **out, Error *err);

#endif
