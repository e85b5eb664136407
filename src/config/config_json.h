// SPDX-License-Identifier: Apache-2.0
// The configuration in the form of LeRobot's config.json and train_config.json and of our
// tact.json.
#ifndef TACT_CONFIG_CONFIG_JSON_H
#define TACT_CONFIG_CONFIG_JSON_H

#include "config/config.h"
#include "formats/json.h"

// Versions of tact.json: without action_down_sample_steps, and with it; with n_past_actions,
// max_action_prefix or poses relative to one that the model does not see; and with what makes other
// frames of those recorded: crop_shape, crop_ratio, a resize_filter that is not area, and a
// config.json that has the recorded sizes beside a policy that sees others (policy_to_json). A tact
// that does not know a key would play such a policy too fast, call its weights damaged or show it
// other pictures, so it has to stop and say why.
enum {
    TACT_JSON_VERSION = 1,
    TACT_JSON_VERSION_STEPS = 2,
    TACT_JSON_VERSION_PAST = 3,
    TACT_JSON_VERSION_FRAMES = 4
};

// ---- write_json.c -----------------------------------------------------------------------------
// Whether LeRobot runs the policy as it is: one observation, no table of times, an action a frame,
// none of the past, none that are given, and no poses relative to one that the model does not see
// (with a state of 10 values that LeRobot has to be given they are plain ACT to it). It would load
// any other as "act" without a word, and run another model, play its actions too fast or take
// relative poses for absolute ones; a type that it does not know makes it stop.
bool policy_is_plain(const PolicyConfig *p);
// Whether LeRobot has to be told what to make of a frame before its ACT sees it: the policy is
// plain and its frames are not as recorded.
bool policy_changes_frames(const PolicyConfig *p);
// Whether LeRobot's step for it can say that: it finds images by the word in their names, and gives
// all of them one size. *why gets what it cannot, to follow "because ".
bool policy_frames_can_be_told(const PolicyConfig *p, const char **why);
// LeRobot's config.json: type "act" and only the keys every version knows where it is plain, else
// type "tact" with the same keys. The shapes of its images are those that reach the policy's
// pipeline: as recorded where a step there changes them (processors_write.c), else what the model
// sees.
json_t *policy_to_json(const PolicyConfig *p);
// The policy's device under a name that PyTorch has, which is what LeRobot takes: "cpu" for
// cpu:blas, ref and none. Lives as long as p's texts.
const char *policy_torch_device(const PolicyConfig *p);
// Our own settings: tact.json (version, horizon, ..., cameras, fps, image size).
json_t *policy_to_tact_json(const PolicyConfig *p);
// train_config.json: the keys that all versions of LeRobot have; our own are not in it.
json_t *train_config_to_json(const TrainConfig *c);
// Our own training settings, stored in tact.json under "train".
json_t *train_config_to_tact_json(const TrainConfig *c);

// ---- read_json.c, read_shapes.c ---------------------------------------------------------------
// The settings of a checkpoint, over what c holds. A key that is missing leaves a setting as it is,
// except for normalization_mapping, which is LeRobot's default then; one that is unknown is passed
// over (policy_unknown_keys); a value that is wrong, or a setting of LeRobot or a fork that changes
// the model and that tact cannot act on, is an error that names the file and the key. `tact` is
// tact.json, or NULL where there is none: then the policy is one of LeRobot's, which sees one
// observation, and poses as the dataset has them.
//
// Reads config.json, or the policy in train_config.json. input_features gets the inputs as a flag
// would give them.
CHECKED bool policy_from_json(TrainConfig *c, const json_t *policy, const json_t *tact,
                              const char *path, Error *err);
// The keys of a config.json that no version of LeRobot's ACT has and tact does not know, as "a, b".
// Returns false where there are none.
bool policy_unknown_keys(const json_t *policy, char *out, size_t size);
// Reads train_config.json, with the policy in it.
CHECKED bool train_config_from_json(TrainConfig *c, const json_t *root, const json_t *tact,
                                    const char *path, Error *err);
// What a dataset fills in otherwise: dimensions, cameras, image size, fps, of a policy that
// policy_from_json read. A configuration that does not say is an error.
CHECKED bool policy_shapes_from_json(TrainConfig *c, const json_t *policy, const json_t *tact,
                                     const char *path, Error *err);

#endif
