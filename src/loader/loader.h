// SPDX-License-Identifier: Apache-2.0
// Worker threads that prepare batches ahead of the training step.
#ifndef TACT_LOADER_LOADER_H
#define TACT_LOADER_LOADER_H

#include "dataset/frames.h"
#include "dataset/window.h"
#include "loader/action_prefix.h"
#include "loader/frame_cache.h"
#include "loader/image_transforms.h"
#include "loader/repeat_frames.h"
#include "loader/sampler.h"
#include "loader/state_dropout.h"
#include "normalize/normalize.h"

// One ready batch. B samples, T observations, H actions, behind which stand those of the past that
// the window has.
typedef struct Batch {
    int size; // B; the last batch of an epoch may be smaller
    int64_t epoch;
    int64_t *rows;          // (B) the dataset rows
    float *state;           // (B, T, D) normalised, zeros where it is dropped, or NULL
    float *env;             // (B, E) normalised, at the current frame, or NULL
    float *action;          // (B, H, A) normalised
    uint8_t *action_is_pad; // (B, H)
    int *action_prefix;     // (B) how many actions from the first on are given; NULL: none ever
    // With drop_last, of the step that the batch is a piece of: number of the first sample here
    // among its samples, how many it has, and how many actions of theirs are neither padded nor
    // given.
    int first_sample;
    int64_t step_samples, step_actions;
    uint8_t **images; // per camera, of its own size: (B, T, h, w, 3), not normalised
} Batch;

// What of a camera's frames is given out: a part of this size, in the middle or at a random place.
typedef struct FrameCrop {
    int height, width; // 0: all of it
} FrameCrop;

typedef struct LoaderOptions {
    const Dataset *dataset;
    WindowSpec window;
    const Normalizer *state, *env, *action; // env NULL when there is none; state likewise
    const int *cameras;                     // positions in dataset->cameras, in the policy's order
    int n_cameras;
    const FrameSize *sizes; // (cameras) of the frames read and kept; borrowed
    const FrameCrop *crops; // (cameras) of what is given out of them; NULL: all. Borrowed
    bool random_crops;      // else in the middle (frame_crop.h)
    const int64_t *rows;    // rows to draw from (training part); borrowed
    int64_t n_rows;
    int batch_size;
    int pieces, processes, process; // batches of a step (sampler.h); 0: a batch is a step
    int num_workers;                // 0: prepared inside loader_next
    // With workers: after so many seconds without the next batch loader_next warns, and says which
    // file is being read; again after twice as long, and so on. 0: never.
    double warn_s;
    int prefetch;          // ready batches ahead (at least 1 with workers)
    bool shuffle;          // else rows in order
    bool drop_last;        // leave out an epoch's partial batch, so that every batch has batch_size
    int max_action_prefix; // of a sample's actions given to the policy (action_prefix.h); 0: none
    uint64_t seed;
    FrameCache *cache; // of these cameras in this order, and these sizes; NULL: none. Borrowed
    const ImageTransforms *transforms; // of the frames; NULL: none. Borrowed
    const RepeatFrames *repeat;        // of observations before a grasp; NULL: none. Borrowed
    StateDropout state_dropout;        // of whole samples' states
    int64_t first_batch; // number of the first batch to give (resume); counts over epochs
    // Told of the memory of a batch's images, when it was made and before it is freed: a device may
    // want it page-locked. NULL: nobody is told.
    void (*image_memory)(void *user, void *memory, size_t bytes, bool made);
    void *user;
} LoaderOptions;

typedef struct Loader Loader;

// The sampler of a loader of these options, before sampler_init.
Sampler loader_sampler(const LoaderOptions *options);

// Starts the workers, which fill the cache while they have no batch to prepare. Order: epoch e
// visits every row once; the permutation is a function of (seed, e) alone, so batch n is the same
// whatever the workers and the cache, and after a resume.
CHECKED bool loader_open(const LoaderOptions *options, Loader **out, Error *err);
// The next batch, in order; valid until the next call. Waits when it is not ready. A worker's error
// (a truncated video, say) comes out here, at the batch that hit it.
CHECKED bool loader_next(Loader *l, const Batch **out, Error *err);
int64_t loader_steps_per_epoch(const Loader *l);
// Stops and joins the workers. NULL allowed.
void loader_close(Loader *l);

#endif
