// SPDX-License-Identifier: Apache-2.0
// The rows of the selected episodes: where they lie, and what stands in them.
#ifndef TACT_DATASET_READER_ROWS_H
#define TACT_DATASET_READER_ROWS_H

#include "dataset/reader/source.h"

// rows.c: fills s->places and ds->data_files.
CHECKED bool rows_find(Source *s, Error *err);
// columns.c: checks every selected data file and reads the columns of ds.
CHECKED bool columns_load(Source *s, Error *err);

#endif
