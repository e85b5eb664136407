// SPDX-License-Identifier: Apache-2.0
#include "policy/policy_load.h"

#include "formats/json.h"
#include "formats/safetensors.h"
#include "policy/policy_config.h"
#include "policy/policy_stats.h"
#include "policy/policy_weights.h"
#include <stdio.h>

CHECKED static bool warn_of_unknown_keys(const char *dir, Error *err) {
    char path[POLICY_PATH + 64];
    json_t *config = NULL;
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (!json_read(path, &config, err)) return false;
    policy_warn_of_keys(config, path);
    json_decref(config);
    return true;
}

CHECKED static bool load(const char *path, const char *dataset, bool to_run, Device *device,
                         Policy *out, Error *err) {
    *out = (Policy){0};
    const PolicyConfig *p = &out->config.policy;
    bool ok = train_config_defaults(&out->config, err) && policy_locate(path, out->dir, err) &&
              policy_read_config(out->dir, false, &out->config, err) &&
              policy_config_check(p, err) &&
              policy_read_stats(out->dir, dataset, p, &out->stats, err) &&
              policy_check_size(out->dir, p, err) &&
              policy_load_weights(out->dir, p, to_run, device, &out->params, &out->file, err) &&
              warn_of_unknown_keys(out->dir, err);
    if (!ok) policy_free(out);
    return ok;
}

bool policy_load(const char *path, const char *dataset, Device *device, Policy *out, Error *err) {
    return load(path, dataset, false, device, out, err);
}

bool policy_load_to_run(const char *path, const char *dataset, Device *device, Policy *out,
                        Error *err) {
    return load(path, dataset, true, device, out, err);
}

void policy_free(Policy *p) {
    params_free(&p->params);
    safetensors_close(p->file);
    policy_stats_free(&p->stats);
    train_config_free(&p->config);
    *p = (Policy){0};
}
