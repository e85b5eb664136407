// SPDX-License-Identifier: Apache-2.0
// A source as the dataset that a conversion would make of it, in memory: for what looks at rows and
// writes nothing.
#ifndef TACT_IMPORT_SOURCE_DATASET_H
#define TACT_IMPORT_SOURCE_DATASET_H

#include "dataset/dataset.h"
#include "import/convert.h"

// Reads the rows of the episodes that options name, as convert_source would write them: the same
// features, names, order of cameras, actions and times; of the options root, images and what comes
// behind next_action do not matter. Of the dataset version is the source's form, an episode's index
// its number in the source, stats are NULL, and there are no files, so that frames are the source's
// own to be read.
//
// An episode that cannot be read, as where a value is no number, is left out, and `refused` is told
// its number and why. *out is NULL where none is left. For dataset_close; the source has to stay.
// Fails where neither source nor options say how many frames a second there are.
CHECKED bool source_dataset_open(ImportSource *source, const ConvertOptions *options,
                                 void (*refused)(void *user, int64_t episode, const char *why),
                                 void *user, Dataset **out, Error *err);

#endif
