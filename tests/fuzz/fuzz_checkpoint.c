// SPDX-License-Identifier: Apache-2.0
// Any files as the pretrained_model of a checkpoint: settings, processors, statistics and weights
// are refused, or fit each other. The checkpoint is a policy that runs, the start of a new
// training, and one that goes on. Policies of the seeds have no cameras, so that their weights are
// few.
#include "base/memory.h"
#include "config/config_json.h"
#include "driver.h"
#include "normalize/normalize.h"
#include "policy/policy_config.h"
#include "policy/policy_load.h"
#include "policy/policy_locate.h"
#include "policy/policy_stats.h"
#include "policy/policy_weights.h"
#include "train/settings.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char place[] = "checkpoints/000002/pretrained_model";

// What is written of settings that were read reads back.
static void write_again(const PolicyConfig *p) {
    json_t *config = policy_to_json(p), *tact = policy_to_tact_json(p);
    TrainConfig again;
    Error err = {""};
    if (!config || !tact) abort();
    train_config_default(&again);
    if (!fuzz_ok(policy_from_json(&again, config, tact, "again", &err), &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    if (again.policy.chunk_size != p->chunk_size || again.policy.dim_model != p->dim_model ||
        again.policy.obs_state_horizon != p->obs_state_horizon)
        abort();
    train_config_free(&again);
    json_decref(config);
    json_decref(tact);
}

static void read_policy(const char *dir, const char *dataset) {
    TrainConfig c;
    PolicyStats stats = {0};
    Normalizer state = {0}, env = {0}, action = {0};
    Error err = {""};
    train_config_default(&c);
    const PolicyConfig *p = &c.policy;
    const bool ok = fuzz_ok(policy_read_config(dir, false, &c, &err), &err) &&
                    fuzz_ok(policy_config_check(p, &err), &err);
    if (ok) write_again(p);
    if (ok && fuzz_ok(policy_read_stats(dir, dataset, p, &stats, &err), &err) &&
        fuzz_ok(policy_normalizers(p, &stats, &state, &env, &action, &err), &err)) {
        if (state.dim != p->state_dim || action.dim != p->action_dim) abort();
        for (int i = 0; i < action.dim; i++) fuzz_use(action.scale[i] + action.inverse_offset[i]);
    }
    normalizer_free(&state);
    normalizer_free(&env);
    normalizer_free(&action);
    if (ok) (void)fuzz_ok(policy_check_size(dir, p, &err), &err);
    policy_stats_free(&stats);
    train_config_free(&c);
}

static void run_policy(const char *dir) {
    static Device *device;
    Policy policy;
    Error err = {""};
    if (!device && !device_open("ref", PRECISION_FLOAT32, 1, &device, &err)) abort();
    if (!fuzz_ok(policy_load(dir, NULL, device, &policy, &err), &err)) return;
    for (int i = 0; i < policy.params.count; i++) {
        const Param *p = &policy.params.list[i];
        float *values = malloc((size_t)p->count * sizeof *values);
        param_get(&policy.params, p, values);
        for (int64_t k = 0; k < p->count; k++)
            if (!isfinite(values[k])) abort();
        free(values);
    }
    policy_free(&policy);
}

static void read_settings(const char *flag, const char *value, const char *more) {
    char first[POLICY_PATH], root[] = "--dataset.root=data", rest[64];
    char *argv[] = {first, root, rest};
    TrainConfig c = {0};
    Error err = {""};
    snprintf(first, sizeof first, "--%s=%s", flag, value);
    snprintf(rest, sizeof rest, "%s", more);
    (void)fuzz_ok(train_settings(&c, 3, argv, 0, &err), &err);
    train_config_free(&c);
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const char *run = fuzz_folder(parts, n, place);
    char dir[POLICY_PATH];
    snprintf(dir, sizeof dir, "%s/%s", run, place);
    read_policy(dir, dir);
    run_policy(dir);
    read_settings("policy.path", run, "--policy.obs_state_horizon=2");
    read_settings("config_path", dir, "--resume=true");
    fuzz_use((double)policy_step(dir));
}
