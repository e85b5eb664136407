// SPDX-License-Identifier: Apache-2.0
// Private to train/: the device of a run, and the model on it with all that changes it.
#ifndef TACT_TRAIN_RUN_MODEL_H
#define TACT_TRAIN_RUN_MODEL_H

#include "ops/ops.h"
#include "ranks/ranks.h"
#include "train/ema.h"
#include "train/optimizer.h"
#include "train/step.h"
#include "train/train.h"

// run_device.c: opens the device of --policy.device; else the one the checkpoint was trained on,
// where it is there; else the CPU. Writes the choice into config->policy.
// The card of a process that trains with others is the one of its place on its host.
CHECKED bool run_device_open(TrainConfig *config, const Ranks *ranks, Device **out, Error *err);
// Logs how much memory the run will take, before it is taken. The policy's shapes are filled in.
// Error: the device has less.
CHECKED bool run_device_check_memory(const TrainConfig *config, Device *d, Error *err);

typedef struct RunModel {
    char backbone_file[4096]; // pretrained weights, or ""
    Params params;
    Act *act;
    Optimizer optimizer;
    Ema ema; // empty without --ema.enable
    Step step;
} RunModel;

// Finds the file of the pretrained backbone, which may be a download of minutes: weights that
// cannot be had end the run before statistics are computed.
CHECKED bool run_model_find_backbone(RunModel *m, const TrainConfig *config,
                                     const TrainHooks *hooks, Error *err);
// Whether the run begins with a backbone whose norms are filled from frames
// (--policy.backbone_norm_frames): one that no checkpoint brings.
bool run_model_takes_norms(const TrainConfig *config);
// Weights as they are initialised, then what the backbone's file and the checkpoint hold of them,
// and its norms from norm_frames, where that is not NULL (frame_norms.h: n of each camera); no
// steps are behind the optimiser yet. images: what each camera is normalised with.
CHECKED bool run_model_open(RunModel *m, Device *d, const TrainConfig *config,
                            const ImageStats *images, const uint8_t *const *norm_frames, int n,
                            Error *err);
void run_model_close(RunModel *m); // a zeroed struct is allowed

#endif
