// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "policy/convert.h"
#include "policy/policy_load.h"
#include <stdio.h>
#include <string.h>

enum { MOST_OPTIONS = 4 };

typedef struct ConvertFlags {
    const char *to, *output, *dataset;
} ConvertFlags;

// The flags, whose values go into *f; returns how many there are.
static int list_options(ConvertFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"to", OPTION_TEXT, &f->to, 0, 0, "act|tact", "act: for LeRobot; tact: the temporal form"},
        {"output", OPTION_FOLDER, &f->output, 0, 0, NULL, "directory to write; must not exist"},
        {"dataset.root", OPTION_TEXT, &f->dataset, 0, 0, NULL,
         "the dataset it was trained on, for a checkpoint without statistics"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_convert(const PageWriter *w) {
    ConvertFlags f = {0};
    Option options[MOST_OPTIONS];
    page_usage(w, "convert CHECKPOINT --to=act|tact --output=DIR");
    page_argument(w, NULL);
    page_text(
        w,
        "Writes a checkpoint's policy anew as a pretrained_model directory, in today's layout: an "
        "old LeRobot checkpoint gets its processor files, a temporal policy with one observation "
        "becomes plain ACT, plain ACT a temporal policy with one observation. CHECKPOINT is a "
        "run's directory, a checkpoint's or its pretrained_model. Both compute the same; what "
        "has no equal in the other form is refused.");
    page_options(w, options, list_options(&f, options));
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
    ConvertFlags f = {0};
    Option options[MOST_OPTIONS];
    const int count = list_options(&f, options);
    Error err;
    if (!options_take(options, count, &argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    const char *path = options_take_name(&argc, argv);
    if (!options_none_left(options, count, argc, argv, &err)) return cli_error(&err, EXIT_USAGE);
    if (!path || !f.output || !f.to) {
        (void)fail(&err, "usage: tact convert CHECKPOINT --to=act|tact --output=DIR");
        return cli_error(&err, EXIT_USAGE);
    }
    if (!convert_checkpoint(path, strcmp(f.to, "act") == 0, f.output, f.dataset, &err))
        return cli_error(&err, EXIT_ERROR);
    printf("%s\n", f.output);
    return EXIT_OK;
}
