// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "check/check.h"
#include "cli/cli.h"
#include "cli/source.h"
#include "cli/stop.h"
#include "eval/closed_loop.h"
#include "ranks/ranks.h"
#include "train/settings.h"
#include "train/train.h"
#include <stdio.h>
#include <string.h>

// What the hooks of a training need.
typedef struct Training {
    Progress progress;
    Ranks *ranks; // NULL: one process
} Training;

static void show_progress(void *user, const TrainProgress *p) {
    Training *t = user;
    progress_show(&t->progress, p);
}

static void clear_progress(void *user) {
    Training *t = user;
    progress_clear(&t->progress);
}

static bool check_env(void *user, const TrainConfig *c, Error *err) {
    (void)user;
    return closed_loop_check(c->env_type, &c->policy, err);
}

static void show_rollouts(void *user, int64_t done, int64_t total) {
    Training *t = user;
    if (ranks_rank(t->ranks) == 0 && progress_due(&t->progress, done, total))
        progress_draw(&t->progress, done, total, "episodes in the simulation");
}

// What the episodes of one process came to.
typedef struct Counts {
    int64_t episodes, succeeded, steps;
} Counts;

// Runs episodes [first, first + n) with the device and the number of threads of the training.
CHECKED static bool roll_out_share(Training *t, const TrainConfig *c, const char *policy,
                                   const char *videos, int64_t first, int64_t n, Counts *out,
                                   Error *err) {
    const int64_t filmed = c->eval_max_videos - first;
    const ClosedLoopOptions options = {.policy_path = policy,
                                       .inference_delay = -1,
                                       .env_type = c->env_type,
                                       .device = c->policy.device,
                                       .dtype = c->policy.dtype,
                                       .threads = c->threads,
                                       .episodes = n,
                                       .temporal_ensemble_coeff = CONFIG_NULL_NUMBER,
                                       .seed = CLOSED_LOOP_SEED + (uint64_t)first,
                                       .videos = filmed > 0 ? videos : NULL,
                                       .max_videos = filmed > 0 ? filmed : 0,
                                       .stop = stop_signal,
                                       .progress = show_rollouts,
                                       .user = t};
    ClosedLoopResult result;
    *out = (Counts){0};
    if (n == 0) return true;
    if (!eval_closed_loop(&options, &result, err)) return false;
    out->episodes = result.count;
    out->succeeded = result.succeeded;
    for (int64_t i = 0; i < result.count; i++) out->steps += result.episodes[i].steps;
    closed_loop_free(&result);
    return true;
}

// The processes share out the episodes; each learns what all of them came to.
static bool roll_out(void *user, const TrainConfig *c, const char *policy, const char *videos,
                     TrainRollouts *out, Error *err) {
    Training *t = user;
    const int rank = ranks_rank(t->ranks), count = ranks_count(t->ranks);
    const int64_t first = c->eval_n_episodes * rank / count,
                  end = c->eval_n_episodes * (rank + 1) / count;
    Counts mine, *all = NEW(Counts, count), sum = {0};
    *out = (TrainRollouts){0};
    bool ok = roll_out_share(t, c, policy, videos, first, end - first, &mine, err) &&
              ranks_gather(t->ranks, &mine, sizeof mine, all, err);
    for (int i = 0; ok && i < count; i++) {
        sum.episodes += all[i].episodes;
        sum.succeeded += all[i].succeeded;
        sum.steps += all[i].steps;
    }
    mem_free(all);
    if (!ok || sum.episodes == 0) return ok;
    *out = (TrainRollouts){.episodes = sum.episodes,
                           .succeeded = sum.succeeded,
                           .mean_steps = (double)sum.steps / (double)sum.episodes};
    wilson_interval(sum.succeeded, sum.episodes, &out->low, &out->high);
    return true;
}

// A line for each rule of `tact check` about rows that finds something severe.
static void look_at_data(void *user, const Dataset *ds, const WindowSpec *w) {
    const CheckOptions options = {.window = w, .decode = CHECK_DECODE_NONE};
    CheckReport report = {0};
    Error err;
    (void)user;
    if (!check_run(ds, &options, &report, &err)) log_warn("%s", err.text);
    for (int64_t i = 0; i < report.count; i++) {
        const CheckFinding *f = &report.findings[i];
        const CheckRule *rule = &check_rules[f->rule];
        // How much of a batch is padding and such is for `tact check` alone.
        bool told = i > 0 && report.findings[i - 1].rule == f->rule;
        if (told || rule->severity < CHECK_WARNING || strcmp(rule->group, "policy") == 0) continue;
        char place[64] = "";
        if (f->episode >= 0) snprintf(place, sizeof place, "episode %lld, ", (long long)f->episode);
        log_warn("the dataset: %s: %s%s: %s (%lld in all); `tact check %s` tells what to do",
                 rule->name, place, f->where, f->text, (long long)report.broken[f->rule], ds->root);
    }
    check_report_free(&report);
}

// Meets the other processes, where something started several. Process 0 alone logs what goes well.
CHECKED static bool meet_others(const TrainConfig *c, Ranks **out, Error *err) {
    RanksOptions o = {.backend = c->dist_backend, .timeout_s = c->dist_timeout_s};
    *out = NULL;
    if (!ranks_place(&o.place, err)) return false;
    if (o.place.count < 2) return true;
    if (o.place.rank) {
        static char prefix[32];
        snprintf(prefix, sizeof prefix, "rank %d: ", o.place.rank);
        log_as(prefix, o.place.local_rank > 0 ? LOG_LEVEL_NONE : LOG_LEVEL_WARNING);
    }
    return ranks_open(&o, out, err);
}

int cmd_train(int argc, char **argv) {
    Error err;
    TrainConfig config;
    TrainResult result = {0};
    int code = EXIT_OK;
    Training training = {.progress = progress_new()};
    if (!train_settings(&config, argc, argv, time(NULL), &err) ||
        !source_refuse_as_dataset(config.dataset.root, &err)) {
        code = cli_error(&err, EXIT_USAGE);
        goto done;
    }
    if (!meet_others(&config, &training.ranks, &err)) {
        code = cli_error(&err, EXIT_ERROR);
        goto done;
    }
    // From here on: who waits for the others has nothing to save, and ends at once.
    stop_catch("\ntact: finishing this step and saving; once more to stop at once\n");
    const bool first = ranks_rank(training.ranks) == 0;
    const TrainHooks hooks = {.progress = first ? show_progress : NULL,
                              .clear = clear_progress,
                              .stop = stop_signal,
                              .user = &training,
                              .ranks = training.ranks,
                              .env_check = check_env,
                              .env_rollouts = roll_out,
                              .look_at_data = look_at_data};
    bool ok = train_run(&config, &hooks, &result, &err);
    progress_clear(&training.progress);
    if (!ok) {
        code = ranks_tells(training.ranks) ? cli_error(&err, EXIT_ERROR) : EXIT_ERROR;
        goto done;
    }
    if (result.stopped) code = stop_code();
    if (result.checkpoint[0] && first) printf("%s\n", result.checkpoint);
done:
    ranks_close(training.ranks);
    train_config_free(&config);
    return code;
}
