// SPDX-License-Identifier: Apache-2.0
// Private to the loader: what one thread does to make one batch.
#ifndef TACT_LOADER_BATCH_MAKER_H
#define TACT_LOADER_BATCH_MAKER_H

#include "loader/loader.h"
#include <stdatomic.h>

// A thread's own reader and scratch memory, made once.
typedef struct BatchMaker {
    const LoaderOptions *o;
    FrameReader *frames; // NULL without cameras
    int state_dim, env_dim, action_dim;
    int64_t *window; // (T)
    double *state, *env, *action;
    struct WantedFrame *wanted; // (B T) frames of a batch
    uint8_t *frame;             // one frame: read for the cache, and scratch of the transforms
    // Of frames that are cropped, else NULL: one as it was read, and one transformed.
    uint8_t *whole, *transformed;
    // The episode being put into the cache: rows fill_row .. fill_end-1 of a camera are left.
    int fill_camera;
    int64_t fill_row, fill_end;
    bool cache_filled; // no episode is left to be put into the cache
    // What it reads now: a row and a camera (batch_maker_reading), or -1. Another thread may look.
    _Atomic int64_t reading;
} BatchMaker;

CHECKED bool batch_maker_init(BatchMaker *m, const LoaderOptions *o, Error *err);
void batch_maker_free(BatchMaker *m); // a zeroed struct is allowed

// Memory for a whole batch; on failure batch_free what there is.
CHECKED bool batch_alloc(Batch *b, const LoaderOptions *o, Error *err);
void batch_free(Batch *b, const LoaderOptions *o);

// Fills everything from b->rows, b->size and b->epoch. The frames of a camera are read in the order
// they lie in, each once, whichever samples and timesteps they belong to; where one is missing from
// the cache, what decodes with it is put into the cache too.
CHECKED bool batch_maker_fill(BatchMaker *m, Batch *b, Error *err);

// The frame that the thread of this maker reads at this moment. False: none. Any thread.
bool batch_maker_reading(const BatchMaker *m, int *camera, int64_t *row);

// Whether frames may still be missing from the cache, to be put there between batches.
bool batch_maker_may_fill_cache(const BatchMaker *m);
// Puts the next few of them there. Frames that cannot be read are left to the batch that wants
// them.
void batch_maker_fill_cache(BatchMaker *m);

#endif
