// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "cli/cli.h"
#include "dataset/dataset.h"
#include "policy/policy.h"
#include <stdio.h>
#include <string.h>

static void print_help(const Option *options, int count) {
    fputs("usage: tact info DATASET [--flag=value ...]\n"
          "       tact info CHECKPOINT [--json] [--dataset.root=DIR]\n\n",
          stdout);
    help_wrapped(
        0, "CHECKPOINT is a run's directory, a checkpoint's or its pretrained_model: settings, parameters, "
           "statistics and how far the training got. --dataset.root: whose statistics it has, where it "
           "holds none itself. DATASET is a directory, or a name that is looked for in $HF_LEROBOT_HOME. Without "
           "--frame or --stats: an overview of the dataset. All --policy.* and --dataset.* "
           "flags of `tact train` apply.");
    putchar('\n');
    options_print(options, count);
    fputs("\n--frame prints {\"index\": I, \"state\": [T][D], \"action\": [H][A], "
          "\"action_is_pad\": [H],\n"
          "\"frames\": [T]}: what the policy sees before normalisation; frames are global numbers, "
          "oldest\n"
          "first. With --images also \"image_mean\": the mean RGB over a grid of every chosen "
          "frame,\n"
          "[T][12][16][3] for one camera, an object of those by camera name for several.\n"
          "--stats prints {\"state\": {\"min\", \"max\", \"mean\", \"std\"}, \"action\": {...}, "
          "CAMERA: {\"mean\",\n\"std\"}, \"samples\": N}.\n",
          stdout);
}

// Takes DATASET or CHECKPOINT out of the arguments: the first one that is neither a flag nor, after
// `--flag`, a value. NULL if there is none.
static const char *take_name(int *argc, char **argv) {
    bool value = false; // whether argv[at] belongs to the flag before it
    for (int at = 0; at < *argc; at++) {
        bool flag = strncmp(argv[at], "--", 2) == 0;
        if (!flag && !value) {
            const char *name = argv[at];
            (*argc)--;
            memmove(argv + at, argv + at + 1, (size_t)(*argc - at) * sizeof(char *));
            return name;
        }
        value = flag && !strchr(argv[at], '=');
    }
    return NULL;
}

// A directory is a root, anything else a name.
static CHECKED bool set_dataset(TrainConfig *c, const char *name, Error *err) {
    bool directory = dir_exists(name);
    // A path that is not there is not the name of a dataset.
    if (!directory && (*name == '/' || *name == '.')) {
        return fail(err, "%s: no such directory", name);
    }
    return field_set(c, field_find(directory ? "dataset.root" : "dataset.repo_id"), name, err);
}

int cmd_info(int argc, char **argv) {
    enum { NO_FRAME = -1 };
    bool json = false, stats = false;
    int64_t frame = NO_FRAME;
    const char *images = NULL;
    const Option options[] = {
        {"json", OPTION_BOOL, &json, 0, 0, "the overview as JSON"},
        {"frame", OPTION_INT, &frame, 0, INT64_MAX,
         "show what the policy sees at this global frame"},
        {"images", OPTION_TEXT, &images, 0, 0,
         "with --frame: directory for the chosen frames as PNG, CAMERA_tK.png, K counting from the "
         "oldest"},
        {"stats", OPTION_BOOL, &stats, 0, 0,
         "the statistics a training would use (--num_stat_samples=0: over all frames)"},
    };
    const int count = sizeof options / sizeof options[0];
    if (cli_wants_help(argc, argv)) {
        print_help(options, count);
        return EXIT_OK;
    }
    Error err;
    TrainConfig config;
    Dataset *ds = NULL;
    int code = EXIT_USAGE;
    train_config_default(&config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_rest_known(options, count, argc, argv, &err)) {
        goto error;
    }
    const char *name = take_name(&argc, argv);
    bool checkpoint = name && policy_is_one(name);
    if ((name && !checkpoint && !set_dataset(&config, name, &err)) ||
        !train_config_parse(&config, argc, argv, &err) ||
        (!checkpoint && !train_config_check_data(&config, &err))) {
        goto error;
    }
    if (checkpoint) {
        if (stats || images || frame != NO_FRAME) {
            (void)fail(&err, "%s: a checkpoint; --frame, --images and --stats are for datasets", name);
            goto error;
        }
        code = EXIT_ERROR;
        if (!info_print_checkpoint(name, config.dataset.root, json, &err)) goto error;
        train_config_free(&config);
        return EXIT_OK;
    }
    if ((stats && frame != NO_FRAME) || (images && frame == NO_FRAME)) {
        (void)fail(&err,
                   images ? "--images: needs --frame=INDEX" : "--stats and --frame: ask for one");
        goto error;
    }
    code = EXIT_ERROR;
    const DatasetOptions open = {
        .repo_id = config.dataset.repo_id,
        .root = config.dataset.root,
        .episodes = config.dataset.episodes.values,
        .n_episodes = config.dataset.episodes.count,
    };
    if (!dataset_open(&open, &ds, &err)) {
        goto error;
    }
    bool ok = stats               ? info_print_stats(ds, &config, &err)
              : frame != NO_FRAME ? info_print_frame(ds, &config, frame, images, &err)
                                  : info_print_dataset(ds, json, &err);
    if (!ok) {
        goto error;
    }
    dataset_close(ds);
    train_config_free(&config);
    return EXIT_OK;
error:
    dataset_close(ds);
    train_config_free(&config);
    return cli_error(&err, code);
}
