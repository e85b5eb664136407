// SPDX-License-Identifier: Apache-2.0
// A source in another form (source.h) becomes a LeRobot v3.0 dataset.
//
// It grows in ROOT.partial, in parts of some hundred frames of one camera, each decoded and encoded
// by one thread and then a file of its own; the parts of whole episodes are put one behind the
// other into the dataset's files, without encoding anew. So a conversion that was stopped, at
// whatever moment, goes on with the part it was at when it is asked for again, and the files have
// the same bytes as had it not been stopped. ROOT appears by one rename when all is there.
#ifndef TACT_IMPORT_CONVERT_H
#define TACT_IMPORT_CONVERT_H

#include "base/error.h"
#include "import/source.h"
#include <stdatomic.h>
#include <stdint.h>

typedef enum ConvertImages {
    CONVERT_VIDEO, // AV1, LeRobot's settings
    CONVERT_PNG,   // in the data files, to the bit
    CONVERT_JPEG,  // in the data files
    CONVERT_COPY,  // in the data files, the bytes of the source where these are JPEG or PNG files
} ConvertImages;

typedef struct ConvertOptions {
    const char *root;        // of the dataset; must not exist yet
    double fps;              // 0: what the source says
    const char *task;        // of the episodes for which the source has none; NULL: none
    const int64_t *episodes; // numbers in the source, in their order there; NULL: all
    int64_t n_episodes;
    ConvertImages images;
    bool next_action;       // where an action is a state: that of the row after
    int threads;            // 0: one a processor
    const atomic_int *stop; // becomes non-zero: return soon, with an error; NULL: never
    // Frames of all cameras that are done; NULL allowed.
    void (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} ConvertOptions;

typedef struct ConvertResult {
    int64_t episodes, rows, frames; // frames of all cameras together
    int64_t found;                  // of the frames those that an earlier call had done
} ConvertResult;

// "video", "png", ...
extern const char *const convert_images_names[4];

// Frames a second as they are meant: 59.94 is 60000/1001, as 23.976, 29.97, 119.88 and 239.76 are
// such fractions. Other numbers are themselves.
double convert_exact_fps(double fps);

// Converts, or goes on. Another source than the one that ROOT.partial was begun with, or other
// options, are refused. After an error ROOT.partial holds what was done, if anything was.
CHECKED bool convert_source(ImportSource *source, const ConvertOptions *options, ConvertResult *out,
                            Error *err);

#endif
