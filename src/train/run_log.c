// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include "base/log.h"
#include <string.h>

void log_policy_kind(const TrainConfig *c) {
    const PolicyConfig *p = &c->policy;
    bool relative = strcmp(p->pose_repr, "relative") == 0, start = c->policy.path || c->config_path;
    if (p->obs_state_horizon == 1 && p->action_down_sample_steps == 1 && !p->n_past_actions &&
        !p->max_action_prefix && !relative)
        log_info("plain ACT, as LeRobot's: one observation, poses as recorded (%s)",
                 start ? "--policy.obs_state_horizon=2 makes it temporal"
                       : "--policy.type=tact is the temporal policy");
    else
        log_info("temporal ACT: %d observation%s, %s (%s)", p->obs_state_horizon,
                 p->obs_state_horizon == 1 ? "" : "s",
                 relative ? "poses relative to the current one" : "values as recorded",
                 start ? "the checkpoint's; a new run with --policy.type=act alone is plain ACT"
                       : "--policy.type=act alone is LeRobot's plain ACT");
}

void log_run(const Run *r) {
    const TrainConfig *c = r->config;
    const PolicyConfig *p = &c->policy;
    char big[32], sizes[IMAGE_SIZES_TEXT];
    log_info("Output dir: %s", c->output_dir);
    big_number(big, sizeof big, (double)c->steps);
    log_info("cfg.steps=%lld (%s)", (long long)c->steps, big);
    big_number(big, sizeof big, (double)r->data.n_train);
    log_info("dataset.num_frames=%lld (%s)", (long long)r->data.n_train, big);
    log_info("dataset.num_episodes=%lld", (long long)r->data.train_episodes);
    if (c->env_type)
        log_info("closed loop: %lld episodes of %s", (long long)c->eval_n_episodes, c->env_type);
    policy_image_sizes(p, sizes, sizeof sizes);
    log_info("policy: T=%d, every %d frames, pose_repr=%s, temporal_pos_embed=%s, %d camera%s%s%s, "
             "state %d, action %d, chunk %d",
             p->obs_state_horizon, p->obs_down_sample_steps, p->pose_repr, p->temporal_pos_embed,
             p->n_cameras, p->n_cameras == 1 ? "" : "s", p->n_cameras ? " " : "", sizes,
             p->state_dim, p->action_dim, p->chunk_size);
    if (policy_hides_pose(p))
        log_info(
            "the policy does not see observation.state; poses are relative to it all the same");
    else if (!p->use_state)
        log_info("the policy does not see observation.state");
    if (p->state_dropout > 0)
        log_info("state_dropout=%g: so large a part of the samples is trained on without its state",
                 p->state_dropout);
    if (p->state_dropout == 1)
        log_warn("--policy.state_dropout=1: no sample shows the state that the policy will be "
                 "given when it acts; a policy without it is --policy.use_state=false");
    if (p->action_down_sample_steps > 1)
        log_info("actions: every %d frames, a chunk over %d frames", p->action_down_sample_steps,
                 policy_chunk_steps(p));
    if (p->n_past_actions > 0)
        log_info("past actions: %d before the newest observation are predicted as well",
                 p->n_past_actions);
    if (p->max_action_prefix > 0)
        log_info("actions: the first 0 to %d of a chunk are given, drawn evenly for every sample; "
                 "held-out losses are with none",
                 p->max_action_prefix);
    const NormMap *norm = &p->normalization_mapping;
    bool imagenet = c->dataset.use_imagenet_stats && strcmp(norm->visual, "MEAN_STD") == 0;
    log_info("normalization: STATE %s, ACTION %s, VISUAL %s%s", norm->state, norm->action,
             norm->visual, imagenet ? " (ImageNet)" : "");
    if (p->pipeline.relative)
        log_info("actions are differences to the state (relative_actions_processor)");
    if (c->policy.path)
        log_info("weights of %s; statistics of the %s", c->policy.path, c->policy.stats_from);
    big_number(big, sizeof big, (double)r->model.params.learnable);
    log_info("num_learnable_params=%lld (%s)", (long long)r->model.params.learnable, big);
    run_log_ranks(r);
    const Device *d = r->device;
    log_info("device %s%s%s%s, %s, %d threads, %d loader workers; %.0f GFLOP a step",
             d->backend->name, d->description[0] ? " (" : "", d->description,
             d->description[0] ? ")" : "", precision_name(d->precision), d->threads, c->num_workers,
             act_step_flops(r->model.act) / 1e9);
}
