// SPDX-License-Identifier: Apache-2.0
// What the commands share about sources that can be imported.
#ifndef TACT_CLI_SOURCE_H
#define TACT_CLI_SOURCE_H

#include "base/memory.h"
#include "import/convert.h"

// The flags of `tact import`, as they were given.
typedef struct ImportFlags {
    const char *root, *fps, *task, *images, *action, *episodes, *colors;
    int64_t threads;
} ImportFlags;
extern const ImportFlags import_flag_defaults;

// source_flags.c: the options that the flags ask for; sets source->red_is_blue.
CHECKED bool import_flags_read(const ImportFlags *f, ImportSource *source, Arena *arena,
                               ConvertOptions *out, Error *err);

// info_source.c: logs what is left out or put in another order; fails where nothing can be made.
CHECKED bool source_log_plan(const ImportSource *source, const ConvertOptions *options, Error *err);
// What lies at a path and what would be made of it, to stdout.
CHECKED bool info_print_source(const char *path, bool json, Error *err);

// Whether a camera's frames can become a video, which `tact import` makes where nothing is said.
bool source_camera_is_video(const ImportCamera *camera);

// Whether a path is something that `tact import` reads, or refuses with a reason, rather than a
// LeRobot dataset, a checkpoint or the name of one.
bool source_is_one(const char *path);
// For commands that need a dataset: fails where --dataset.root (NULL allowed) is a source to be
// imported, with the command that does it.
CHECKED bool source_refuse_as_dataset(const char *root, Error *err);

#endif
