// SPDX-License-Identifier: Apache-2.0
#include "policy/convert.h"

#include "base/file.h"
#include "base/log.h"
#include "policy/policy_locate.h"
#include "policy/policy_stats.h"
#include "policy/policy_write.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char position_table[] = "model.encoder_1d_feature_pos_embed.weight";

// Copies every tensor that both have.
static void copy_common(const Params *to, const Params *from) {
    for (int i = 0; i < to->count; i++) {
        const Param *q = &to->list[i], *same = params_find(from, q->name);
        if (!same) continue;
        float *values = NEW(float, q->count);
        param_get(from, same, values);
        param_set(to, q, values);
        mem_free(values);
    }
}

static float *param_values(const Params *p, const char *name) {
    const Param *q = params_find(p, name);
    float *values = NEW(float, q->count);
    param_get(p, q, values);
    return values;
}

// Adds the embedding of the only timestep to what the state's token has anyway.
CHECKED static bool fold_temporal_table(const Policy *in, const Params *out, Error *err) {
    const PolicyConfig *p = &in->config.policy;
    const int64_t D = p->dim_model;
    if (!params_find(&in->params, TEMPORAL_TABLE)) return true;
    float *row = param_values(&in->params, TEMPORAL_TABLE);
    bool zero = true, images = strcmp(p->temporal_pos_embed, "all") == 0 && p->n_cameras > 0;
    for (int64_t i = 0; i < D; i++) zero = zero && row[i] == 0;
    if (!zero && images) {
        mem_free(row);
        return fail(
            err,
            "%s: its image tokens have a learned embedding of their timestep, and plain ACT has "
            "no place for one; only temporal_pos_embed=state can become plain ACT",
            in->dir);
    }
    if (!zero && p->state_dim) {
        float *table = param_values(out, position_table);
        for (int64_t i = 0; i < D; i++) table[D + i] += row[i]; // row 1 is the state's
        param_set(out, params_find(out, position_table), table);
        mem_free(table);
    }
    mem_free(row);
    return true;
}

bool policy_convert(const Policy *in, bool to_act, PolicyConfig *config, Params *out, Error *err) {
    *config = in->config.policy;
    *out = (Params){0};
    if (to_act && config->obs_state_horizon != 1)
        return fail(err,
                    "%s: sees %d observations; LeRobot's ACT sees one and would run another model",
                    in->dir, config->obs_state_horizon);
    if (to_act && config->action_down_sample_steps != 1)
        return fail(err,
                    "%s: its actions are %d frames apart (action_down_sample_steps); LeRobot's ACT "
                    "would play one a frame",
                    in->dir, config->action_down_sample_steps);
    if (to_act && policy_hides_pose(config))
        return fail(err,
                    "%s: its poses are relative to one that it does not see (use_state); LeRobot's "
                    "ACT would take them for absolute ones",
                    in->dir);
    if (to_act && config->n_past_actions)
        return fail(err,
                    "%s: also predicts %d past actions (n_past_actions); LeRobot's ACT has no "
                    "place for them",
                    in->dir, config->n_past_actions);
    // What is given comes from the asynchronous mode alone; a policy that is given nothing computes
    // the same with its projection and without.
    if (to_act && config->max_action_prefix) {
        log_info("plain ACT is never given actions: what the policy learnt to do with up to %d of "
                 "them is left out",
                 config->max_action_prefix);
        config->max_action_prefix = 0;
    }
    // A table that is there stays on the tokens that it was trained for.
    if (to_act)
        config->temporal_pos_embed = "none";
    else if (config->obs_state_horizon == 1 && strcmp(config->temporal_pos_embed, "none") == 0)
        config->temporal_pos_embed = "all";
    Device *d = in->params.device;
    if (!params_init(out, d, config, false, err)) return false;
    copy_common(out, &in->params); // an embedding that is new stays zero
    if (to_act && !fold_temporal_table(in, out, err)) {
        params_free(out);
        return false;
    }
    return true;
}

bool policy_export(const char *dir, const PolicyConfig *config, const Params *params,
                   const PolicyStats *stats, Error *err) {
    char parent[POLICY_PATH], temporary[POLICY_PATH + 64];
    PathKind there;
    if (!path_look(dir, &there, err)) return false;
    if (there == AT_FILE || there == AT_DIR)
        return fail(err, "%s: exists already; choose another name", dir);
    path_parent(parent, sizeof parent, dir);
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", dir, (long)getpid());
    bool ok = make_dirs(temporary, err) &&
              policy_write(temporary, config, params, stats, NULL, err) && sync_dir(temporary, err);
    if (ok && rename(temporary, dir) != 0) ok = fail_errno(err, "%s: cannot move into place", dir);
    if (ok) return sync_dir(parent, err);
    Error ignored;
    bool removed = remove_tree(temporary, &ignored);
    (void)removed;
    return false;
}
