// SPDX-License-Identifier: Apache-2.0
// Decoded, resized frames kept for the next time they are asked for: in memory, or in files that
// later runs and other processes use too. A frame that comes out is bit for bit the one that was
// put in, or it does not come out.
#ifndef TACT_LOADER_FRAME_CACHE_H
#define TACT_LOADER_FRAME_CACHE_H

#include "dataset/frames.h"

typedef struct FrameCache FrameCache;

typedef struct FrameCacheOptions {
    const Dataset *dataset;
    const int *cameras; // positions in dataset->cameras; a cache numbers them from 0 in this order
    int n_cameras;
    const FrameSize *sizes; // (cameras) of the frames kept
    const char *mode;       // auto, file, memory, none
    const char *dir;        // of the files, made when missing; NULL: there are none
    double limit_gb;        // GB (1e9 bytes) of all files in dir, or of memory; below 0: see below
    int sharers, share;     // processes of this machine that do the same, and which this is; 0: one
} FrameCacheOptions;

// Chooses and opens: a file a camera in `dir` (auto, file), else memory. auto takes files where all
// frames fit; memory keeps as many of the first rows as fit. *out is NULL for none, or where
// nothing fits: frames are then decoded whenever they are asked for. Logs one line on what it
// chose; what goes wrong (no space, no permission, a damaged file) is at most a warning, never an
// error.
//
// Files: KEY.frames, where KEY is a digest of everything that pixels depend on: the selected
// episodes, sizes and times of change of their files, where frames lie, camera, size, decoder. Each
// frame has a checksum, written after it and checked whenever it is read, so that no crash, full
// disk or flipped bit gives a wrong frame: it is decoded again. A file of another version, size or
// key is made anew. Any number of processes may share one: all write what they decode, and equal
// frames are equal bits.
//
// Limits: files together take at most limit_gb; by default half of what the disk has free (with
// what the files take already). To make room for a new file, those used longest ago are removed,
// never one that is in use. Memory: by default a quarter of what is available, divided by the
// sharers.
void frame_cache_open(const FrameCacheOptions *options, FrameCache **out);
void frame_cache_close(FrameCache *c); // NULL allowed

// All of these: any thread. `camera` counts from 0 in the order of the options.
//
// The frame of a row into rgb (the camera's height, width, 3). False if it is not there; rgb is
// then undefined.
bool frame_cache_get(FrameCache *c, int camera, int64_t row, uint8_t *rgb);
// Keeps a frame. One that cannot be kept is dropped; a cache warns of that once.
void frame_cache_put(FrameCache *c, int camera, int64_t row, const uint8_t *rgb);
// Whether a frame is there (it may still turn out to be damaged).
bool frame_cache_has(FrameCache *c, int camera, int64_t row);
// Whether a frame would be kept.
bool frame_cache_holds(const FrameCache *c, int64_t row);

// Number of a camera's frames that are there.
int64_t frame_cache_count(FrameCache *c, int camera);
// "file", "memory" or, for NULL, "none".
const char *frame_cache_kind(const FrameCache *c);

// For those who fill the cache: hands out every (camera, episode of the dataset) once, first those
// that the other sharers come to last. False when all have been handed out.
bool frame_cache_next_episode(FrameCache *c, int *camera, int64_t *episode);

#endif
