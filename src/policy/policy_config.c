// SPDX-License-Identifier: Apache-2.0
#include "policy/policy_config.h"

#include "base/file.h"
#include "base/log.h"
#include "config/config_json.h"
#include "formats/json.h"
#include "policy/policy_locate.h"
#include "policy/processors.h"
#include "policy/temporal_wrapper.h"
#include <stdio.h>

bool policy_read_tact(const char *dir, json_t **out, Error *err) {
    char path[2 * POLICY_PATH];
    *out = NULL;
    snprintf(path, sizeof path, "%s/tact.json", dir);
    return !file_exists(path) || json_read(path, out, err);
}

void policy_warn_of_keys(const json_t *config, const char *path) {
    char keys[512];
    if (policy_unknown_keys(config, keys, sizeof keys))
        log_warn("%s: has settings that no LeRobot's ACT has and tact does not know, and passes "
                 "over: %s",
                 path, keys);
}

bool policy_read_config(const char *dir, bool without_shapes, TrainConfig *c, Error *err) {
    char path[2 * POLICY_PATH];
    json_t *config = NULL, *tact = NULL;
    const char *rename_map = c->policy.rename_map;
    snprintf(path, sizeof path, "%s/config.json", dir);
    bool ok = json_read(path, &config, err) && policy_read_tact(dir, &tact, err) &&
              policy_from_json(c, config, tact, path, err) &&
              (tact || temporal_wrapper_settle(dir, config, path, &c->policy, err)) &&
              processors_read(dir, config, !tact, &c->policy, &c->arena, err) &&
              (without_shapes || (policy_shapes_from_json(c, config, tact, path, err) &&
                                  pipeline_check(&c->policy, dir, err) &&
                                  (!tact || frame_steps_check(&c->policy, dir, err))));
    if (ok && without_shapes) policy_warn_of_keys(config, path);
    json_decref(config);
    json_decref(tact);
    if (without_shapes) c->policy.rename_map = rename_map;
    return ok;
}
