// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "cli/cli.h"
#include "cli/info.h"
#include "cli/source.h"
#include "dataset/dataset.h"
#include "formats/hub_cache.h"
#include "policy/policy_locate.h"
#include "train/policy_from_dataset.h"
#include <stdio.h>
#include <string.h>

// Whether the name stands for a policy. Where both a dataset and a policy on the Hub have this
// name, the dataset is meant.
static bool is_checkpoint(const char *name) {
    char ignored[4096];
    Error none;
    bool path = dir_exists(name) || file_exists(name) || !hub_is_name(HUB_DATASET, name);
    return (path || !hub_find(HUB_DATASET, name, NULL, ignored, sizeof ignored, &none)) &&
           policy_is_one(name);
}

enum { NO_FRAME = -1 };

// What the flags ask for.
typedef struct InfoFlags {
    bool json, stats;
    int64_t frame;
    const char *images;
} InfoFlags;

static CHECKED bool open_and_print_dataset(TrainConfig *c, const InfoFlags *asked, Error *err) {
    Dataset *ds = NULL;
    DatasetOptions open = dataset_options_of(c, false);
    open.overview = !asked->stats && asked->frame == NO_FRAME;
    if (!dataset_open(&open, &ds, err)) return false;
    policy_warn_unused(ds);
    bool ok = asked->stats               ? info_print_stats(ds, c, err)
              : asked->frame != NO_FRAME ? info_print_frame(ds, c, asked->frame, asked->images, err)
                                         : info_print_dataset(ds, asked->json, err);
    dataset_close(ds);
    return ok;
}

// Reads the settings among the flags, and refuses flags that do not go with each other or with what
// the name stands for.
static CHECKED bool parse_info_flags(TrainConfig *c, int argc, char **argv, const char *name,
                                     bool checkpoint, const InfoFlags *asked, Error *err) {
    if (name && !checkpoint && !cli_name_dataset(c, name, err)) return false;
    if (!train_config_parse(c, argc, argv, err) ||
        (!checkpoint && !train_config_check_data(c, err)))
        return false;
    if (checkpoint && (asked->stats || asked->images || asked->frame != NO_FRAME))
        return fail(err, "%s: a checkpoint; --frame, --images and --stats are for datasets", name);
    if ((asked->stats && asked->frame != NO_FRAME) || (asked->images && asked->frame == NO_FRAME)) {
        return fail(err, asked->images ? "--images: needs --frame=INDEX"
                                       : "--stats and --frame: ask for one");
    }
    return true;
}

enum { MOST_OPTIONS = 8 };

// The flags, whose values go into *f; returns how many there are.
static int list_options(InfoFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"json", OPTION_BOOL, &f->json, 0, 0, NULL, "the overview as JSON"},
        {"frame", OPTION_INT, &f->frame, 0, INT64_MAX, NULL,
         "show what the policy sees at this global frame"},
        {"images", OPTION_FOLDER, &f->images, 0, 0, NULL,
         "with --frame: directory for the chosen frames as PNG, CAMERA_tK.png, K counting from the "
         "oldest"},
        {"stats", OPTION_BOOL, &f->stats, 0, 0, NULL,
         "the statistics a training would use (of relative poses over --num_stat_samples windows, "
         "0: all)"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_info(const PageWriter *w) {
    InfoFlags f = {.frame = NO_FRAME};
    Option options[MOST_OPTIONS];
    page_usage(w, "info DATASET [--flag=value ...]");
    page_usage(w, "info CHECKPOINT [--json] [--dataset.root=DIR]");
    page_usage(w, "info SOURCE [--json]");
    page_argument(w, NULL);
    page_text(
        w,
        "CHECKPOINT is a run's directory, a checkpoint's or its pretrained_model: "
        "settings, parameters, statistics and how far the training got. --dataset.root: "
        "whose statistics it has, where it holds none itself. Both are a directory or a "
        "name on the Hub, looked for where LeRobot and `hf download` put it. Without "
        "--frame or --stats: an overview of the dataset. SOURCE is what `tact import` reads: its "
        "episodes, vectors and cameras, and what would be made of them. All --policy.* and "
        "--dataset.* "
        "flags of `tact train` apply.");
    page_options(w, options, list_options(&f, options));
    page_borrowed(w, "policy.|dataset.|rename_map|tolerance_s|num_stat_samples|seed");
    page_text(w, "--frame prints {\"index\": I, \"state\": [T][D], \"action\": [H][A], "
                 "\"action_is_pad\": [H], \"frames\": [T]}: what the policy sees before "
                 "normalisation; frames are global numbers, oldest first. With "
                 "--policy.n_past_actions=N also \"past_action\": [N][A] and "
                 "\"past_action_is_pad\": [N], newest first. With --images also "
                 "\"image_mean\": the mean RGB over a grid of every chosen frame, [T][12][16][3] "
                 "for one camera, an object of those by camera name for several. --stats prints "
                 "{\"state\": {\"min\", \"max\", \"mean\", \"std\"}, \"action\": {...}, CAMERA: "
                 "{\"mean\", \"std\"}, \"samples\": N}.");
}

// What is neither a dataset nor a checkpoint: what it is, or why it is none of these.
static int print_source(const char *name, int argc, char **argv, const InfoFlags *asked,
                        Error *err) {
    if (argc > 0 || asked->stats || asked->images || asked->frame != NO_FRAME) {
        const char *form = import_look(name), *flag = argc > 0 ? argv[0] : "--frame and --stats";
        (void)fail(err, "%s: %s; %s: for LeRobot datasets, which `tact import` makes", name,
                   form ? form : "no LeRobot dataset", flag);
        return EXIT_USAGE;
    }
    return info_print_source(name, asked->json, err) ? EXIT_OK : EXIT_ERROR;
}

int cmd_info(int argc, char **argv) {
    InfoFlags asked = {.frame = NO_FRAME};
    Option options[MOST_OPTIONS];
    const int count = list_options(&asked, options);
    Error err;
    TrainConfig config;
    int code = EXIT_USAGE;
    train_config_default(&config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_rest_known(options, count, argc, argv, &err))
        goto done;
    const char *name = options_take_name(&argc, argv);
    if (name && source_is_one(name)) {
        code = print_source(name, argc, argv, &asked, &err);
        goto done;
    }
    bool checkpoint = name && is_checkpoint(name);
    if (!parse_info_flags(&config, argc, argv, name, checkpoint, &asked, &err)) goto done;
    bool ok = checkpoint ? info_print_checkpoint(name, config.dataset.root, asked.json, &err)
                         : open_and_print_dataset(&config, &asked, &err);
    code = ok ? EXIT_OK : EXIT_ERROR;
done:
    train_config_free(&config);
    return code == EXIT_OK ? EXIT_OK : cli_error(&err, code);
}
