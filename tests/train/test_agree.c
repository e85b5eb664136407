// SPDX-License-Identifier: Apache-2.0
// What the processes of a run agree on, and who tells of what went wrong, in real processes.
#include "../ranks/free_port.h"
#include "../ranks/need.h"
#include "train/evaluate.h"
#include "train/run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { COUNT = 2, PARAMS = 100 };

typedef int (*Work)(Run *r);

static int run_process(int rank, int port, Work work) {
    RanksOptions o = {.backend = "auto", .timeout_s = 20};
    TrainHooks hooks = {0};
    TrainConfig config;
    Error err;
    Run r = {.config = &config, .hooks = &hooks, .sound = true, .output = {.lock = -1}};
    o.place = (RanksPlace){
        .starter = STARTED_TORCHRUN, .count = COUNT, .rank = rank, .local_rank = -1, .port = port};
    snprintf(o.place.master, sizeof o.place.master, "localhost");
    snprintf(o.place.key, sizeof o.place.key, "test %d", port);
    train_config_default(&config);
    config.output_dir = "none";
    NEED(ranks_open(&o, &r.ranks, &err));
    NEED(device_open("ref", PRECISION_FLOAT32, 1, &r.device, &err));
    r.model.params.values = params_flat(r.device, PARAMS);
    int status = work(&r);
    ranks_close(r.ranks);
    return status;
}

static void all_give(Work work, int expected) {
    pid_t pids[COUNT];
    int status;
    const int port = free_port();
    for (int i = 0; i < COUNT; i++) {
        pids[i] = fork();
        if (pids[i] == 0) _exit(run_process(i, port, work));
    }
    for (int i = 0; i < COUNT; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, expected);
    }
}

// ---- weights ------------------------------------------------------------------------------------

static int drift(Run *r) {
    Error err;
    NEED(run_ranks_same_weights(r, &err) && r->sound);
    if (ranks_rank(r->ranks)) f32(r->model.params.values)[PARAMS - 1] = 1;
    NEED(!run_ranks_same_weights(r, &err));
    NEED(strstr(err.text, "rank 1 (") && strstr(err.text, "has not the same weights as rank 0"));
    NEED(!r->sound); // no one saves them
    ranks_fail(r->ranks, err.text);
    NEED(ranks_tells(r->ranks) == (ranks_rank(r->ranks) == 0)); // one line, not one of each
    return 0;
}

// A process that is lost leaves the weights as good as they were.
static int lost(Run *r) {
    Error err;
    if (ranks_rank(r->ranks)) {
        ranks_fail(r->ranks, "its disk is full");
        return 0;
    }
    NEED(!run_ranks_same_weights(r, &err) && strstr(err.text, "disk is full"));
    return !r->sound;
}

static void weights_that_differ_are_not_saved(void **state) {
    (void)state;
    all_give(drift, 0);
}

static void weights_of_a_run_that_lost_one_are(void **state) {
    (void)state;
    all_give(lost, 0);
}

// ---- an evaluation ------------------------------------------------------------------------------

static bool no_simulation(void *user, const TrainConfig *c, const char *policy, const char *videos,
                          TrainRollouts *out, Error *err) {
    (void)user, (void)c, (void)policy, (void)videos, (void)out;
    snprintf(err->text, sizeof err->text, "the simulation is broken");
    return false;
}

// In one process alone, which is not the one that writes.
static int broken_rollouts(Run *r) {
    Error err;
    TrainRollouts found;
    const TrainHooks hooks = {.env_rollouts = no_simulation};
    if (ranks_rank(r->ranks) == 0) {
        NEED(ranks_gather(r->ranks, NULL, 0, NULL, &err)); // the policy is there
        NEED(!run_agree_to_stop(r, &err));
        return !strstr(err.text, "the simulation is broken");
    }
    r->hooks = &hooks;
    r->config->eval_max_videos = 0;
    NEED(!run_rollouts(r, 1, &r->model.params, "", &found, &err));
    NEED(strcmp(err.text, "the simulation is broken") == 0);
    ranks_fail(r->ranks, err.text);
    return 0;
}

static void errors_of_rollouts_are_told(void **state) {
    (void)state;
    all_give(broken_rollouts, 0);
}

// ---- stopping -----------------------------------------------------------------------------------

static int stop_one(Run *r) {
    Error err;
    atomic_int stop = 0;
    const TrainHooks hooks = {.stop = &stop};
    r->hooks = &hooks;
    NEED(run_agree_to_stop(r, &err) && !r->stopping);
    stop = ranks_rank(r->ranks) == 0;
    NEED(run_agree_to_stop(r, &err) && r->stopping);
    stop = 0;
    NEED(run_agree_to_stop(r, &err) && r->stopping); // it stays so
    return !ranks_leave(r->ranks, &err);
}

static void one_stops_all(void **state) {
    (void)state;
    all_give(stop_one, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_that_differ_are_not_saved),
                                       cmocka_unit_test(weights_of_a_run_that_lost_one_are),
                                       cmocka_unit_test(errors_of_rollouts_are_told),
                                       cmocka_unit_test(one_stops_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
