// SPDX-License-Identifier: Apache-2.0
// The files of rows that are here, and which episodes they hold.
#ifndef TACT_DATASET_READER_DATA_FILES_H
#define TACT_DATASET_READER_DATA_FILES_H

#include "dataset/reader/source.h"

// How many rows a file has and, in v3.0, the global number of the first. `path` is kept.
CHECKED bool data_file_describe(Source *s, const char *path, DataFile *out, Error *err);
// Whether the first row of an episode is among a file's.
bool data_file_holds_start(const DataFile *f, const Listed *e);

// Fills s->scanned with all files below data/, in the order of their names, unless it is filled
// already. Those that cannot be read are left out, and the first call tells of the first.
CHECKED bool data_files_scan(Source *s, Error *err);
// Makes s->by_first of s->scanned, as data_files_scan does.
void data_files_index(Source *s);
// The file of s->scanned in which an episode begins, or -1 where it is not all there. Looks at few
// files but those that hold its first row.
int64_t data_files_find(Source *s, const Listed *e);

// Whether all rows of a listed episode are in the files here.
bool source_rows_there(Source *s, int64_t listed);

#endif
