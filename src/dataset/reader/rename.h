// SPDX-License-Identifier: Apache-2.0
// LeRobot's rename_map: other names for the features of a dataset.
#ifndef TACT_DATASET_READER_RENAME_H
#define TACT_DATASET_READER_RENAME_H

#include "dataset/reader/source.h"

// Parses DatasetOptions.rename into s.
CHECKED bool rename_parse(Source *s, const DatasetOptions *options, Error *err);
// The name that a feature of the files goes by.
const char *rename_of(const Source *s, const char *disk_name);
// Whether the map fits the features that info.json lists: names that are there, and new ones that
// differ.
CHECKED bool rename_check(const Source *s, const char *info, const json_t *features, Error *err);
// Gives the statistics their new names.
void rename_stats(const Source *s);

#endif
