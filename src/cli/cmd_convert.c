// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "policy/convert.h"
#include "policy/policy_load.h"
#include <stdio.h>
#include <string.h>

static void print_help(const Option *options, int count) {
    fputs("usage: tact convert CHECKPOINT --to=act|tact --output=DIR\n\n", stdout);
    help_wrapped(
        0,
        "Writes a checkpoint's policy anew as a pretrained_model directory, in today's layout: an "
        "old LeRobot checkpoint gets its processor files, a temporal policy with one observation "
        "becomes plain ACT, plain ACT a temporal policy with one observation. CHECKPOINT is a "
        "run's directory, a checkpoint's or its pretrained_model. Both compute the same; what "
        "has no equal in the other form is refused.");
    putchar('\n');
    options_print(options, count);
}

static CHECKED bool convert_checkpoint(const char *path, bool to_act, const char *output,
                                       const char *dataset, Error *err) {
    Device *device = NULL;
    Policy policy = {0};
    PolicyConfig config;
    Params params = {0};
    bool ok = device_open("ref", PRECISION_FLOAT32, 1, &device, err) &&
              policy_load(path, dataset, device, &policy, err) &&
              policy_convert(&policy, to_act, &config, &params, err) &&
              policy_export(output, &config, &params, &policy.stats, err);
    params_free(&params);
    policy_free(&policy);
    device_close(device);
    return ok;
}

int cmd_convert(int argc, char **argv) {
    const char *to = NULL, *output = NULL, *dataset = NULL;
    const Option options[] = {
        {"to", OPTION_TEXT, &to, 0, 0, "act: for LeRobot; tact: the temporal form"},
        {"output", OPTION_TEXT, &output, 0, 0, "directory to write; must not exist"},
        {"dataset.root", OPTION_TEXT, &dataset, 0, 0,
         "the dataset it was trained on, for a checkpoint without statistics"},
    };
    const int count = sizeof options / sizeof options[0];
    Error err;
    if (cli_wants_help(argc, argv)) {
        print_help(options, count);
        return EXIT_OK;
    }
    if (!options_take(options, count, &argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    const char *path = options_take_name(&argc, argv);
    if (!options_none_left(options, count, argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    bool to_act = to && strcmp(to, "act") == 0;
    if (!path || !output || !to || (!to_act && strcmp(to, "tact") != 0)) {
        (void)fail(&err, "usage: tact convert CHECKPOINT --to=act|tact --output=DIR");
        return cli_error(&err, EXIT_USAGE);
    }
    if (!convert_checkpoint(path, to_act, output, dataset, &err))
        return cli_error(&err, EXIT_ERROR);
    printf("%s\n", output);
    return EXIT_OK;
}
