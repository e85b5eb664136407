// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "cli/cli.h"
#include "cli/source.h"
#include "cli/stop.h"
#include "eval/closed_loop.h"
#include "train/settings.h"
#include "train/train.h"
#include <stdio.h>
#include <string.h>

static bool check_env(void *user, const TrainConfig *c, Error *err) {
    (void)user;
    return closed_loop_check(c->env_type, &c->policy, err);
}

static void show_rollouts(void *user, int64_t done, int64_t total) {
    Progress *bar = user;
    if (progress_due(bar, done, total))
        progress_draw(bar, done, total, "episodes in the simulation");
}

// Evaluates the policy with the device and the number of threads of the training.
static bool roll_out(void *user, const TrainConfig *c, const char *policy, const char *videos,
                     TrainRollouts *out, Error *err) {
    const ClosedLoopOptions options = {.policy_path = policy,
                                       .inference_delay = -1,
                                       .env_type = c->env_type,
                                       .device = c->policy.device,
                                       .dtype = c->policy.dtype,
                                       .threads = c->threads,
                                       .episodes = c->eval_n_episodes,
                                       .temporal_ensemble_coeff = CONFIG_NULL_NUMBER,
                                       .seed = CLOSED_LOOP_SEED,
                                       .videos = videos,
                                       .max_videos = c->eval_max_videos,
                                       .stop = stop_signal,
                                       .progress = show_rollouts,
                                       .user = user};
    ClosedLoopResult result;
    if (!eval_closed_loop(&options, &result, err)) return false;
    *out =
        (TrainRollouts){result.count, result.succeeded, result.low, result.high, result.mean_steps};
    closed_loop_free(&result);
    return true;
}

int cmd_train(int argc, char **argv) {
    Error err;
    TrainConfig config;
    TrainResult result = {0};
    int code = EXIT_OK;
    if (!train_settings(&config, argc, argv, time(NULL), &err) ||
        !source_refuse_as_dataset(config.dataset.root, &err)) {
        code = cli_error(&err, EXIT_USAGE);
        goto done;
    }
    Progress progress = progress_new();
    const TrainHooks hooks = {progress_show, progress_clear, stop_signal,
                              &progress,     check_env,      roll_out};
    stop_catch("\ntact: finishing this step and saving; once more to stop at once\n");
    bool ok = train_run(&config, &hooks, &result, &err);
    progress_clear(&progress);
    if (!ok) {
        code = cli_error(&err, EXIT_ERROR);
        goto done;
    }
    if (result.stopped) code = stop_code();
    if (result.checkpoint[0]) printf("%s\n", result.checkpoint);
done:
    train_config_free(&config);
    return code;
}
