// SPDX-License-Identifier: Apache-2.0
// What lies in the folder meta/ of a dataset.
#ifndef TACT_DATASET_READER_META_H
#define TACT_DATASET_READER_META_H

#include "dataset/reader/source.h"

// info.c: reads meta/info.json into s->ds and s: version, features, templates.
CHECKED bool info_load(Source *s, Error *err);
// Refuses the label of one version on the files of another.
CHECKED bool info_check_label(Source *s, Error *err);

// meta_v30.c, meta_v21.c: fill s->listed and s->tasks.
CHECKED bool v30_list(Source *s, Error *err);
CHECKED bool v21_list(Source *s, Error *err);

// recorded_stats.c: fills ds->stats; what cannot be read is a warning, never an error.
void stats_load(Source *s);

#endif
