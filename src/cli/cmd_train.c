// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "cli/cli.h"
#include "train/train.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The one thing a signal handler can reach: the signal that asked to stop, or 0.
static volatile int stop;

static void on_signal(int number) {
    static const char message[] =
        "\ntact: finishing this step and saving; once more to stop at once\n";
    if (stop) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    stop = number;
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
    (void)written;
}

static void catch_signals(void) {
    struct sigaction action = {0};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int cmd_train(int argc, char **argv) {
    if (cli_wants_help(argc, argv)) {
        help_train();
        return EXIT_OK;
    }
    Error err;
    TrainConfig config;
    TrainResult result = {0};
    int code = EXIT_OK;
    if (!train_start(&config, argc, argv, time(NULL), &err)) {
        code = cli_error(&err, EXIT_USAGE);
        goto done;
    }
    Progress progress = progress_new();
    const TrainHooks hooks = {progress_show, progress_clear, &stop, &progress};
    catch_signals();
    bool ok = train_run(&config, &hooks, &result, &err);
    progress_clear(&progress);
    if (!ok) {
        code = cli_error(&err, EXIT_ERROR);
        goto done;
    }
    // As a shell sees a program that the signal ended: what waits for the training does not go on.
    if (result.stopped) {
        code = 128 + stop;
    }
    if (result.checkpoint[0]) {
        printf("%s\n", result.checkpoint);
    }
done:
    train_config_free(&config);
    return code;
}
