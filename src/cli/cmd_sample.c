// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "dataset/sample.h"
#include <stdio.h>
#include <string.h>

enum { MOST_OPTIONS = 16 };

typedef struct SampleFlags {
    const char *root;
    int64_t episodes, frames, height, width, cameras, fps, seed, env_dim;
    bool images_in_parquet, joints, turned;
} SampleFlags;

static const SampleFlags defaults = {
    .episodes = 5, .frames = 40, .height = 96, .width = 128, .cameras = 1, .fps = 10, .seed = 1000};

// The flags, whose values go into *f; returns how many there are.
static int list_options(SampleFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"root", OPTION_FOLDER, &f->root, 0, 0, NULL, "directory to write; must not exist"},
        {"episodes", OPTION_INT, &f->episodes, 1, 100000, NULL, "number of episodes"},
        {"frames", OPTION_INT, &f->frames, 2, 100000, NULL,
         "frames of episode 0; episode n has n more"},
        {"height", OPTION_INT, &f->height, 64, 4096, NULL, "of the images, even"},
        {"width", OPTION_INT, &f->width, 64, 4096, NULL, "of the images, even"},
        {"cameras", OPTION_INT, &f->cameras, 0, MAX_CAMERAS, NULL, "number of cameras"},
        {"turned", OPTION_BOOL, &f->turned, 0, 0, NULL,
         "every second camera is turned: its height and width are exchanged"},
        {"fps", OPTION_INT, &f->fps, 1, 1000, NULL, "frames per second"},
        {"seed", OPTION_INT, &f->seed, 0, INT64_MAX, NULL, "of the random motion"},
        {"env_dim", OPTION_INT, &f->env_dim, 0, 1024, NULL,
         "values of observation.environment_state, 0: none"},
        {"images_in_parquet", OPTION_BOOL, &f->images_in_parquet, 0, 0, NULL,
         "PNGs instead of videos"},
        {"joints", OPTION_BOOL, &f->joints, 0, 0, NULL,
         "joint angles as state and action instead of poses"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_sample(const PageWriter *w) {
    SampleFlags f = defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "sample --root=DIR [--flag=value ...]");
    page_text(w, "Writes a small synthetic LeRobot v3.0 dataset: a gripper moves to a coloured "
                 "target and closes on it.");
    page_options(w, options, list_options(&f, options));
}

int cmd_sample(int argc, char **argv) {
    SampleFlags f = defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&f, options);
    Error err;
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_none_left(options, count, argc, argv, &err))
        return cli_error(&err, EXIT_USAGE);
    if (!f.root) {
        (void)fail(&err, "no --root=DIR given: where to write the dataset");
        return cli_error(&err, EXIT_USAGE);
    }
    const SampleOptions sample = {
        .root = f.root,
        .episodes = (int)f.episodes,
        .frames = (int)f.frames,
        .height = (int)f.height,
        .width = (int)f.width,
        .cameras = (int)f.cameras,
        .turned = f.turned,
        .fps = (int)f.fps,
        .seed = (uint64_t)f.seed,
        .env_dim = (int)f.env_dim,
        .images_in_parquet = f.images_in_parquet,
        .joints = f.joints,
    };
    if (!sample_dataset_write(&sample, &err)) return cli_error(&err, EXIT_ERROR);
    printf("%s\n", f.root);
    return EXIT_OK;
}
