// SPDX-License-Identifier: Apache-2.0
// From the episodes that meta/ lists to those that were asked for.
#ifndef TACT_DATASET_READER_SELECTION_H
#define TACT_DATASET_READER_SELECTION_H

#include "dataset/reader/source.h"

// Fills s->selected, and checks it and the totals of info.json against the list of episodes.
CHECKED bool selection_make(Source *s, const DatasetOptions *options, Error *err);
// Fills ds->episodes from s->selected and s->places: first rows, places, video times.
CHECKED bool selection_fill(Source *s, Error *err);

#endif
