// SPDX-License-Identifier: Apache-2.0
// From a dataset and the user's wishes to a policy that fits the data. Training and `tact info`
// share it.
#ifndef TACT_TRAIN_POLICY_FROM_DATASET_H
#define TACT_TRAIN_POLICY_FROM_DATASET_H

#include "config/config.h"
#include "dataset/window.h"
#include "loader/loader.h"

// The dataset that a configuration names, with its episodes, renamed features and tolerance.
DatasetOptions dataset_options_of(const TrainConfig *config, bool need_videos);

// Fills in policy->state_dim ... fps from the dataset: resolves pose_repr, normalization_mapping,
// inputs (all of the dataset's but a state that use_state leaves out, or exactly those of
// input_features, or, when policy->n_cameras > 0 already, those cameras: one that is absent is an
// error), and each camera's image size (as recorded, or resize_shape: one size for all, or one for
// each in the policy's order; of that crop_shape or crop_ratio), and how frames are resized to it.
// use_state is false afterwards where the dataset has a state that the policy does not see, however
// that was asked for. Names of cameras that come from the dataset stay borrowed from it. Errors: no
// action, neither camera nor environment state, settings of a state that is not seen, and what is
// said above.
CHECKED bool policy_from_dataset(PolicyConfig *policy, const Dataset *ds, Error *err);
// Warns of the vectors that no policy sees, naming each: nothing is lost without a word.
void policy_warn_unused(const Dataset *ds);
WindowSpec policy_window(const PolicyConfig *policy);
// For the loader: where the policy's cameras stand in ds->cameras, the size that frames of each are
// read at, and what of them is seen. All have policy->n_cameras. Only for cameras that
// policy_from_dataset has found.
void policy_find_cameras(const PolicyConfig *policy, const Dataset *ds, int *cameras,
                         FrameSize *sizes, FrameCrop *crops);
// Of the loader's options what the configuration says of a training with shuffled whole batches,
// with a policy whose shapes are filled in, and of the normalisers those whose vectors the policy
// has. They are borrowed. The dataset, rows, cameras, sizes, cache and transforms are the caller's
// to fill in.
LoaderOptions loader_options_of(const TrainConfig *config, const Normalizer *state,
                                const Normalizer *env, const Normalizer *action);
// The transforms of --dataset.image_transforms, whether they are enabled or not. Error: tfs that
// cannot be read.
CHECKED bool image_transforms_of(const TrainConfig *config, ImageTransforms *out, Error *err);
// "240x320" where all cameras are seen at one size, else "240x320, 320x240": what to print.
enum { IMAGE_SIZES_TEXT = 14 * MAX_CAMERAS };
void policy_image_sizes(const PolicyConfig *policy, char *out, size_t size);

#endif
