// SPDX-License-Identifier: Apache-2.0
// Tries the present weights in the task of --env.type: writes the policy as a checkpoint's is
// written and gives it to the caller's hook, which can run one.
#include "train/checkpoint.h"
#include "train/evaluate.h"

#include "base/file.h"
#include <stdio.h>

enum { PATH_SIZE = 4096 };

void rollouts_video_dir(const TrainConfig *c, int64_t step, const char *suffix, char *out,
                        size_t size) {
    char name[32];
    checkpoint_step_name(name, sizeof name, step, c->steps);
    snprintf(out, size, "%s/eval/videos_step_%s%s", c->output_dir, name, suffix);
}

bool run_rollouts(Run *r, int64_t step, const Params *params, const char *suffix,
                  TrainRollouts *out, Error *err) {
    const TrainConfig *c = r->config;
    const CheckpointParts parts = {.config = c, .stats = &r->statistics.policy};
    char policy[PATH_SIZE + 32], videos[PATH_SIZE + 96];
    Error ignored;
    snprintf(policy, sizeof policy, "%s/" RUN_ROLLOUT_POLICY, c->output_dir);
    const bool filmed = c->eval_max_videos > 0, writes = ranks_rank(r->ranks) == 0;
    rollouts_video_dir(c, step, suffix, videos, sizeof videos);
    if (!run_output_owned(&r->output, c->output_dir, err)) return false;
    bool ok = (!filmed || make_dirs(videos, err)) &&
              (!writes || (remove_tree(policy, err) &&
                           checkpoint_write_policy(policy, &parts, params, err))) &&
              ranks_gather(r->ranks, NULL, 0, NULL, err) && // the others have to find it
              r->hooks->env_rollouts(r->hooks->user, c, policy, filmed ? videos : NULL, out, err);
    return (!writes || remove_tree(policy, ok ? err : &ignored)) && ok;
}
