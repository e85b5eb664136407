// SPDX-License-Identifier: Apache-2.0
// A file of settings that somebody wrote for --config_path, in YAML or JSON: the same as flags.
#ifndef TACT_TRAIN_SETTINGS_FILE_H
#define TACT_TRAIN_SETTINGS_FILE_H

#include "base/error.h"
#include "base/memory.h"

// Whether a path is such a file, rather than a checkpoint's train_config.json or config.json.
bool settings_file_is_one(const char *path);

// Its settings as flags, {policy: {chunk_size: 50}} as "--policy.chunk_size=50", in front of the
// argc flags of argv without their --config_path. *out: (*count), in the arena, with *from_file of
// the file.
CHECKED bool settings_file_flags(const char *path, int argc, char **argv, Arena *arena, char ***out,
                                 int *count, int *from_file, Error *err);

#endif
