// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include "base/file.h"
#include "config/config_json.h"
#include "formats/json.h"
#include "policy/policy_write.h"
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

void checkpoint_step_name(char *out, size_t size, int64_t step, int64_t steps) {
    int digits = snprintf(NULL, 0, "%lld", (long long)steps);
    snprintf(out, size, "%0*lld", digits > 6 ? digits : 6, (long long)step);
}

bool checkpoint_write_policy(const char *dir, const CheckpointParts *what, const Params *params,
                             Error *err) {
    char path[PATH_SIZE + 192];
    snprintf(path, sizeof path, "%s/train_config.json", dir);
    if (!make_dirs(dir, err)) return false;
    json_t *training = train_config_to_tact_json(what->config);
    json_t *config = train_config_to_json(what->config);
    bool ok = json_write(path, config, 4, err) &&
              policy_write(dir, &what->config->policy, params, what->stats, training, err);
    json_decref(config);
    json_decref(training);
    return ok && checkpoint_check_policy(dir, what, params, err) && sync_dir(dir, err);
}

CHECKED static bool write_policy(const char *parent, const char *name, const CheckpointParts *what,
                                 const Params *params, Error *err) {
    char dir[PATH_SIZE + 128];
    snprintf(dir, sizeof dir, "%s/%s", parent, name);
    return checkpoint_write_policy(dir, what, params, err);
}

CHECKED static bool write_training_state(const char *parent, const CheckpointParts *what,
                                         Error *err) {
    char dir[PATH_SIZE + 128];
    snprintf(dir, sizeof dir, "%s/training_state", parent);
    return make_dirs(dir, err) &&
           training_state_write(dir, what->config, what->optimizer, what->state, err) &&
           checkpoint_check_state(dir, what, err) && sync_dir(dir, err);
}

CHECKED static bool write_all(const char *dir, const CheckpointParts *what, Error *err) {
    if (!write_policy(dir, "pretrained_model", what, what->params, err)) return false;
    if (what->average && !write_policy(dir, "pretrained_model_ema", what, what->average, err))
        return false;
    return (!what->optimizer || write_training_state(dir, what, err)) && sync_dir(dir, err);
}

bool checkpoint_write(const CheckpointParts *what, char *path, size_t path_size, Error *err) {
    char checkpoints[PATH_SIZE], temporary[PATH_SIZE + 64], final[PATH_SIZE + 64], name[32];
    checkpoint_step_name(name, sizeof name, what->state->step, what->config->steps);
    int n = snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", what->config->output_dir);
    if (n < 0 || (size_t)n >= sizeof checkpoints - 64)
        return fail(err, "%s: the path is too long", what->config->output_dir);
    snprintf(temporary, sizeof temporary, "%s/.%s.tmp", checkpoints, name);
    snprintf(final, sizeof final, "%s/%s", checkpoints, name);
    if (!remove_tree(temporary, err) || !make_dirs(temporary, err)) return false;
    if (!write_all(temporary, what, err) || !checkpoint_publish(temporary, final, err) ||
        !sync_dir(checkpoints, err)) {
        Error ignored; // the first error is the one to tell
        bool removed = remove_tree(temporary, &ignored);
        (void)removed;
        return false;
    }
    snprintf(path, path_size, "%s", final);
    return checkpoint_point_last(checkpoints, name, err);
}
