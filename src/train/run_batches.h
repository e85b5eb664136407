// SPDX-License-Identifier: Apache-2.0
// Private to train/: the batches of a run, from its dataset to what the model is given.
#ifndef TACT_TRAIN_RUN_BATCHES_H
#define TACT_TRAIN_RUN_BATCHES_H

#include "loader/sampler.h"
#include "model/act.h"
#include "ranks/ranks.h"
#include "train/policy_from_dataset.h"
#include "train/run_data.h"

typedef struct RunBatches {
    int cameras[MAX_CAMERAS];     // positions in the dataset, in the policy's order
    FrameSize sizes[MAX_CAMERAS]; // what frames of each are resized to,
    FrameCrop crops[MAX_CAMERAS]; // and what the policy sees of that
    ImageTransforms transforms;   // of the training frames
    RepeatFrames repeat;          // of the training frames, likewise
    FrameCache *cache;            // of the policy's cameras; NULL: none
    LoaderOptions options;        // of the training
    Loader *loader;               // of the training
} RunBatches;

// The rows of a step of the training, of all processes; n of them, in memory of the sampler, which
// is made here and freed by the caller.
const int64_t *run_batches_step_rows(const RunBatches *b, int64_t step, Sampler *sampler,
                                     int64_t *n);
// Reads the transforms of --dataset.image_transforms.
CHECKED bool run_batches_transforms(RunBatches *b, const TrainConfig *config, Error *err);
// Fills in the options of the training's loader, as far as they need nothing to be open. Everything
// is borrowed, here and below.
void run_batches_plan(RunBatches *b, const TrainConfig *config, const RunData *data,
                      const RunStatistics *statistics);
// Once planned: a loader whose first batch has the frames of --policy.backbone_norm_frames for
// every camera, as recorded, of rows drawn by the run's seed; fewer where there are fewer rows. The
// same in all processes. loader_close ends it and frees the batch.
CHECKED bool run_batches_norm_frames(const RunBatches *b, const TrainConfig *config,
                                     Loader **loader, const Batch **out, Error *err);
// Opens the frame cache and starts the training's loader at batch number first_batch.
CHECKED bool run_batches_open(RunBatches *b, const TrainConfig *config, const Ranks *ranks,
                              const RunData *data, Device *d, int64_t first_batch, Error *err);
void run_batches_close(RunBatches *b); // a zeroed struct is allowed
// The options of a loader that goes over some rows in order, with their frames as they are.
LoaderOptions run_batches_in_order(const RunBatches *b, const int64_t *rows, int64_t n_rows);
// A batch as the model's input.
ActInput run_batches_input(const Batch *b);

#endif
