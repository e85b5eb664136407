// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "cli/cli.h"
#include "dataset/dataset.h"
#include <stdio.h>
#include <string.h>

static void print_help(const Option *options, int count) {
    fputs("usage: tact info DATASET [--flag=value ...]\n\n", stdout);
    help_wrapped(
        0, "DATASET is a directory, or a name that is looked for in $HF_LEROBOT_HOME. Without "
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

// Takes DATASET out of the arguments: the first one that is neither a flag nor, after `--flag`, a
// value. A directory is a root, anything else a name.
static CHECKED bool take_dataset(TrainConfig *c, int *argc, char **argv, Error *err) {
    int at = 0;
    bool value = false; // whether argv[at] belongs to the flag before it
    for (; at < *argc; at++) {
        bool flag = strncmp(argv[at], "--", 2) == 0;
        if (!flag && !value) {
            break;
        }
        value = flag && !strchr(argv[at], '=');
    }
    if (at == *argc) {
        return true;
    }
    const char *name = argv[at];
    (*argc)--;
    memmove(argv + at, argv + at + 1, (size_t)(*argc - at) * sizeof(char *));
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
        !options_rest_known(options, count, argc, argv, &err) ||
        !take_dataset(&config, &argc, argv, &err) ||
        !train_config_parse(&config, argc, argv, &err) || !train_config_check_data(&config, &err)) {
        goto error;
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
