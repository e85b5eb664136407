// SPDX-License-Identifier: Apache-2.0
// The settings of a run: defaults, a checkpoint's, a file's, flags.
#ifndef TACT_TRAIN_SETTINGS_H
#define TACT_TRAIN_SETTINGS_H

#include "config/config.h"
#include <time.h>

// The configuration that the flags of `tact train` (argv without program and command) ask for:
// defaults, then the settings of the checkpoint that --config_path or --policy.path names, then the
// flags. Filled in and checked. With --resume=true output_dir is the run that the checkpoint lies
// in.
CHECKED bool train_settings(TrainConfig *config, int argc, char **argv, time_t now, Error *err);

// The folder of a policy whose weights and statistics a run starts with: its own checkpoint's, that
// of another run, or NULL for a run that starts from nothing.
const char *train_first_policy(const TrainConfig *config);

#endif
