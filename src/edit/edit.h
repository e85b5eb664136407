// SPDX-License-Identifier: Apache-2.0
// New LeRobot v3.0 datasets made of the episodes of others: some of them, parts of them, those of
// several datasets together.
//
// Every feature goes along with the values it has, also those that no policy sees; rows are
// numbered anew, statistics computed anew. Videos are cut at their keyframes and joined without
// encoding anew, so frames are the same to the bit. The originals are only read. The new dataset
// grows in ROOT.tmp.PID, is opened and checked there as a training would, and then gets its name.
#ifndef TACT_EDIT_EDIT_H
#define TACT_EDIT_EDIT_H

#include "dataset/dataset.h"
#include <stdatomic.h>

// An episode of the new dataset.
typedef struct EditPiece {
    int source;            // which dataset
    int64_t episode;       // position in its episodes
    int64_t first, length; // rows of it, at least one
    // Bit c: frames of the source's camera c are turned by half a turn, for which they are encoded
    // anew (AV1, or PNG in the data files).
    uint64_t turned;
} EditPiece;

enum { EDIT_MAX_CAMERAS = 64 };

typedef struct EditOptions {
    // Opened with need_videos and depth_maps. They must have the same features and frame rate; the
    // new dataset's are those of the first.
    Dataset *const *sources;
    int n_sources;
    const EditPiece *pieces;
    int64_t n_pieces;
    const char *root; // of the new dataset; must not exist
    // Features that are left out, by their names in the new dataset.
    const char *const *removed;
    int n_removed;
    // Timestamps become frame / fps where each row of an episode has a frame of its own in all of
    // its videos at that time; else they stay.
    bool by_frame;
    int threads;            // that decode frames for statistics; at least 1
    const atomic_int *stop; // becomes non-zero: return soon, with an error; NULL: never
    void (*progress)(void *user, int64_t done, int64_t total); // NULL allowed
    void *user;
} EditOptions;

typedef struct EditResult {
    int64_t episodes, rows;
    int64_t retimed;  // episodes whose timestamps were written anew (by_frame)
    double farthest;  // seconds by which one of these was off
    int64_t off_grid; // episodes that by_frame had to leave as they are
    int64_t video_files;
} EditResult;

// Writes the dataset, whole or not at all.
CHECKED bool edit_write(const EditOptions *options, EditResult *out, Error *err);

// Fails, naming what differs, where datasets cannot be one.
CHECKED bool edit_check_sources(Dataset *const *sources, int n, Error *err);

#endif
