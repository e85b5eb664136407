// SPDX-License-Identifier: Apache-2.0
// tact bench: the time of a training step on synthetic batches, beside what the machine can do.
// With --infer it is the latency of a policy on a robot, with --loader how fast batches come.
#include "cli/bench.h"
#include "cli/cli.h"
#include <stdio.h>

static void print_help(const Option *options, int count) {
    printf("tact bench: time of a training step, or with --infer of a control step, on synthetic "
           "frames\n\n");
    options_print(options, count);
    printf("\nThe flags of tact train that shape the model (--policy.*), --batch_size, "
           "--threads and --seed\napply. Another benchmark: tact bench --loader (its help: "
           "--loader --help).\n");
}

int cmd_bench(int argc, char **argv) {
    if (bench_loader_wanted(argc, argv)) return bench_loader(argc, argv);
    BenchOptions o = {.cameras = 1, .image = "240x320"};
    const Option options[] = {
        {"infer", OPTION_BOOL, &o.infer, 0, 0,
         "the latency of a policy (--policy.path, or one of random weights) instead of training"},
        {"steps", OPTION_INT, &o.steps, 0, 100000,
         "steps to time, after some to warm up; 0: 5 of training, 100 with --infer"},
        {"image", OPTION_TEXT, &o.image, 0, 0,
         "size of the synthetic frames, HEIGHTxWIDTH; or one a camera: 480x640,640x480"},
        {"cameras", OPTION_INT, &o.cameras, 1, MAX_CAMERAS, "number of cameras"},
        {"ops", OPTION_BOOL, &o.ops, 0, 0, "also a table of the step's ops and their times"},
        {"json", OPTION_BOOL, &o.json, 0, 0, "print JSON"},
    };
    const int count = sizeof options / sizeof *options;
    if (cli_wants_help(argc, argv)) {
        print_help(options, count);
        return EXIT_OK;
    }
    Error err;
    TrainConfig config;
    int code = EXIT_USAGE;
    train_config_default(&config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_rest_known(options, count, argc, argv, &err) ||
        !train_config_parse(&config, argc, argv, &err) ||
        !policy_config_check(&config.policy, &err))
        goto done;
    train_config_fill(&config, 0);
    if (!o.steps) o.steps = o.infer ? 100 : 5;
    code = (o.infer ? bench_inference : bench_training)(&config, &o, &err) ? EXIT_OK : EXIT_ERROR;
done:
    train_config_free(&config);
    return code == EXIT_OK ? EXIT_OK : cli_error(&err, code);
}
