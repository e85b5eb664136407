// SPDX-License-Identifier: Apache-2.0
// From the path templates of info.json to the paths of files.
#ifndef TACT_DATASET_READER_PATHS_H
#define TACT_DATASET_READER_PATHS_H

#include "dataset/reader/source.h"

typedef struct PathValue {
    const char *name;
    const char *text; // NULL: a number
    int64_t number;
} PathValue;

// Expands a template such as "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet". The
// result is a relative path without ".." in it, in `arena`. `info` is the file named in errors.
CHECKED bool path_expand(const char *info, const char *pattern, const PathValue *values,
                         int n_values, Arena *arena, const char **out, Error *err);
// Path of the data file that the table of episodes names for one of them.
CHECKED bool source_data_path(Source *s, const Listed *e, Arena *arena, const char **out,
                              Error *err);
// Path of one of the files with the frames of a camera.
CHECKED bool source_video_path(Source *s, int camera, int64_t chunk, int64_t file, Arena *arena,
                               const char **out, Error *err);

#endif
