// SPDX-License-Identifier: Apache-2.0
// tact bench: the time of a training step on synthetic batches, beside what the machine can do.
// With --infer it is the latency of a policy on a robot, with --loader how fast batches come.
#include "cli/bench.h"
#include "cli/cli.h"
#include <string.h>

enum { MOST_OPTIONS = 8 };
static const BenchOptions defaults = {.cameras = 1, .image = "240x320"};

// The flags, whose values go into *o; returns how many there are.
static int list_options(BenchOptions *o, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"infer", OPTION_BOOL, &o->infer, 0, 0, NULL,
         "the latency of a policy (--policy.path, or one of random weights) instead of training"},
        {"steps", OPTION_INT, &o->steps, 0, 100000, NULL,
         "steps to time, after some to warm up; 0: 5 of training, 100 with --infer"},
        {"image", OPTION_TEXT, &o->image, 0, 0, NULL,
         "size of the synthetic frames, HEIGHTxWIDTH; or one a camera: 480x640,640x480"},
        {"cameras", OPTION_INT, &o->cameras, 1, MAX_CAMERAS, NULL, "number of cameras"},
        {"ops", OPTION_BOOL, &o->ops, 0, 0, NULL, "also a table of the step's ops and their times"},
        {"json", OPTION_BOOL, &o->json, 0, 0, NULL, "print JSON"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_bench(const PageWriter *w) {
    BenchOptions o = defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "bench [--flag=value ...]");
    page_usage(w, "bench --infer [--flag=value ...]");
    page_usage(w, "bench --loader --dataset.root=DIR [--flag=value ...]");
    page_text(w, "The time of a training step, or with --infer of a control step, on synthetic "
                 "frames. The flags of `tact train` that shape the model (--policy.*), "
                 "--batch_size, --threads and --seed apply.");
    page_options(w, options, list_options(&o, options));
    page_borrowed(w, "policy.|batch_size|threads|seed|dataset.|num_workers|prefetch_factor");
    describe_bench_loader(w);
}

int cmd_bench(int argc, char **argv) {
    if (bench_loader_wanted(argc, argv)) return bench_loader(argc, argv);
    BenchOptions o = defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&o, options);
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
