// SPDX-License-Identifier: Apache-2.0
// OUTPUT_DIR/track.json: what python/libtact/track.py has to know of a run that has no checkpoint
// yet.
#ifndef TACT_CURVES_TRACK_FILE_H
#define TACT_CURVES_TRACK_FILE_H

#include "config/config.h"

// Writes it whole or not at all: {"version": 1, "train_config": as in a checkpoint, "tact": its
// settings that are tact's own}.
CHECKED bool track_file_write(const TrainConfig *c, Error *err);

#endif
