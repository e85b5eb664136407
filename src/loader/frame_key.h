// SPDX-License-Identifier: Apache-2.0
// Private to the loader: what a cached frame depends on, as one digest.
#ifndef TACT_LOADER_FRAME_KEY_H
#define TACT_LOADER_FRAME_KEY_H

#include "dataset/frames.h"
#include "loader/frame_file.h"

// SHA-256 of one camera's frames at a size, over the selected episodes in their order: their files'
// names within the dataset, sizes and times of change, and which frame of them each row is. A
// dataset that moves as a whole keeps its key; a file that changes, or is copied anew, changes it.
CHECKED bool frame_key(const Dataset *ds, int camera, FrameSize size, char out[FRAME_KEY],
                       Error *err);

#endif
