// SPDX-License-Identifier: Apache-2.0
// Files that are missing, and what can be done about it.
#ifndef TACT_DATASET_READER_MISSING_H
#define TACT_DATASET_READER_MISSING_H

#include "dataset/reader/source.h"

// Says what to do where files are missing: the episodes that are here, as --dataset.episodes takes
// them, or with `copy` to copy what is missing.
void missing_advise(Source *s, bool copy, char *out, size_t size);
// Checks that the video files of the selection exist, where they are needed.
CHECKED bool missing_check_videos(Source *s, Error *err);

#endif
