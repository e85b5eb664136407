// SPDX-License-Identifier: Apache-2.0
// What tact info prints, each to stdout.
#ifndef TACT_CLI_INFO_H
#define TACT_CLI_INFO_H

#include "config/config.h"
#include "dataset/dataset.h"

// info_table.c: the overview of a dataset as text or JSON.
CHECKED bool info_print_dataset(const Dataset *ds, bool json, Error *err);
// info_frame.c: what the policy sees at the dataset's frame number `index`; PNGs into `images`
// unless that is NULL.
CHECKED bool info_print_frame(const Dataset *ds, TrainConfig *c, int64_t index, const char *images,
                              Error *err);
// info_stats.c: the statistics that a training would use.
CHECKED bool info_print_stats(const Dataset *ds, TrainConfig *c, Error *err);
// info_checkpoint.c: a policy on disk; dataset: the one whose statistics it has, or NULL.
CHECKED bool info_print_checkpoint(const char *path, const char *dataset, bool json, Error *err);

#endif
