// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "dataset/sample.h"
#include <stdio.h>

int cmd_sample(int argc, char **argv) {
    const char *root = NULL;
    int64_t episodes = 5, frames = 40, height = 96, width = 128, cameras = 1, fps = 10, seed = 1000;
    int64_t env_dim = 0;
    bool images_in_parquet = false, joints = false, turned = false;
    const Option options[] = {
        {"root", OPTION_TEXT, &root, 0, 0, "directory to write; must not exist"},
        {"episodes", OPTION_INT, &episodes, 1, 100000, "number of episodes"},
        {"frames", OPTION_INT, &frames, 2, 100000, "frames of episode 0; episode n has n more"},
        {"height", OPTION_INT, &height, 16, 4096, "of the images, even"},
        {"width", OPTION_INT, &width, 64, 4096, "of the images, even"},
        {"cameras", OPTION_INT, &cameras, 0, MAX_CAMERAS, "number of cameras"},
        {"turned", OPTION_BOOL, &turned, 0, 0,
         "every second camera is turned: its height and width are exchanged"},
        {"fps", OPTION_INT, &fps, 1, 1000, "frames per second"},
        {"seed", OPTION_INT, &seed, 0, INT64_MAX, "of the random motion"},
        {"env_dim", OPTION_INT, &env_dim, 0, 1024,
         "values of observation.environment_state, 0: none"},
        {"images_in_parquet", OPTION_BOOL, &images_in_parquet, 0, 0, "PNGs instead of videos"},
        {"joints", OPTION_BOOL, &joints, 0, 0, "joint angles as state and action instead of poses"},
    };
    const int count = sizeof options / sizeof options[0];
    Error err;
    if (cli_wants_help(argc, argv)) {
        fputs("usage: tact sample --root=DIR [--flag=value ...]\n\n", stdout);
        help_wrapped(0,
                     "Writes a small synthetic LeRobot v3.0 dataset: a gripper moves to a coloured "
                     "target and closes on it.");
        putchar('\n');
        options_print(options, count);
        return EXIT_OK;
    }
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_none_left(options, count, argc, argv, &err))
        return cli_error(&err, EXIT_USAGE);
    if (!root) {
        (void)fail(&err, "no --root=DIR given: where to write the dataset");
        return cli_error(&err, EXIT_USAGE);
    }
    const SampleOptions sample = {
        .root = root,
        .episodes = (int)episodes,
        .frames = (int)frames,
        .height = (int)height,
        .width = (int)width,
        .cameras = (int)cameras,
        .turned = turned,
        .fps = (int)fps,
        .seed = (uint64_t)seed,
        .env_dim = (int)env_dim,
        .images_in_parquet = images_in_parquet,
        .joints = joints,
    };
    if (!sample_dataset_write(&sample, &err)) return cli_error(&err, EXIT_ERROR);
    printf("%s\n", root);
    return EXIT_OK;
}
