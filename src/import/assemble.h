// SPDX-License-Identifier: Apache-2.0
// The files of the dataset, put together from parts: a file a camera with videos, or a data file
// with images. A file takes whole episodes until the next would make it larger than LeRobot's
// limit. Which episodes a file has follows from the parts' sizes alone, so one that is there need
// not be made again, and its parts can be removed.
#ifndef TACT_IMPORT_ASSEMBLE_H
#define TACT_IMPORT_ASSEMBLE_H

#include "formats/video.h"
#include "import/parts.h"

// The place of an episode in files that follow each other.
typedef struct Roll {
    int64_t file;
    int64_t first; // episode of the file
    int64_t bytes, frames;
} Roll;

// One row of files: those of a camera's video, or of data (camera -1).
typedef struct Stream {
    int camera;
    Roll roll;
    bool open, there; // a file is being made; it is there already
    VideoJoin *video;
} Stream;

typedef struct Assembly {
    const Plan *plan;
    Parts *parts;
    DatasetWriter *writer;
    int n_streams;
    Stream *streams;
} Assembly;

// Finds which files are there from an earlier run, and marks their parts as done.
void assembly_new(Assembly *a, const Plan *plan, Parts *parts, DatasetWriter *writer);
// Adds an episode, the next one, whose parts are done.
CHECKED bool assembly_add(Assembly *a, int64_t episode, Error *err);
// Ends all files; with videos also writes the data files.
CHECKED bool assembly_finish(Assembly *a, Error *err);
void assembly_free(Assembly *a);

#endif
