// SPDX-License-Identifier: Apache-2.0
// Private to the loader: what one thread does to make one batch.
#ifndef TACT_LOADER_PREPARE_H
#define TACT_LOADER_PREPARE_H

#include "loader/loader.h"

// A thread's own reader and scratch, made once.
typedef struct Preparer {
    const LoaderOptions *o;
    FrameReader *frames; // NULL without cameras
    int state_dim, env_dim, action_dim;
    int64_t *window;     // (T)
    double *state, *env, *action;
} Preparer;

// tables: shared by the threads of one loader.
CHECKED bool preparer_init(Preparer *p, const LoaderOptions *o, VideoTables *tables, Error *err);
void preparer_free(Preparer *p); // a zeroed struct is allowed

// Memory for a whole batch; on failure batch_free what there is.
CHECKED bool batch_alloc(Batch *b, const LoaderOptions *o, Error *err);
void batch_free(Batch *b, const LoaderOptions *o);

// Fills everything from b->rows and b->size.
CHECKED bool preparer_fill(Preparer *p, Batch *b, Error *err);

#endif
