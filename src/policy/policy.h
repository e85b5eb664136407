// SPDX-License-Identifier: Apache-2.0
// A policy on disk: LeRobot's pretrained_model directory, written and read without the trainer.
#ifndef TACT_POLICY_POLICY_H
#define TACT_POLICY_POLICY_H

#include "base/stats.h"
#include "config/config.h"
#include "formats/json.h"
#include "model/act.h"
#include "model/params.h"
#include "normalize/normalize.h"

enum { POLICY_PATH = 4096 };

// What a policy's inputs and outputs are normalised with. dim 0: the policy has no such vector.
// Arrays that a checkpoint does not hold are NULL.
typedef struct PolicyStats {
    Stats state, action, env;
    Stats cameras[MAX_CAMERAS];     // of the three channels, in the policy's order
    ImageStats images[MAX_CAMERAS]; // what that makes of frames: policy_images
} PolicyStats;
void policy_stats_free(PolicyStats *s); // a zeroed struct is allowed
// Rounds to float32, which is what checkpoints hold: who trains with the rounded ones gets the same
// numbers after a resume.
void policy_stats_round(PolicyStats *s);
// Makes the normalizers of the vectors that the policy has. Statistics that are missing, of another
// length or not finite are an error that names the feature.
CHECKED bool policy_normalizers(const PolicyConfig *p, const PolicyStats *s, Normalizer *state,
                                Normalizer *env, Normalizer *action, Error *err);
// Fills in s->images from s->cameras, by the mode of VISUAL. The same errors.
CHECKED bool policy_images(const PolicyConfig *p, PolicyStats *s, Error *err);
// ImageNet's mean and deviation of a camera, in place of what it had; the rest stays.
void policy_camera_imagenet(Stats *camera);

// ---- policy_locate.c --------------------------------------------------------------------------
// Finds the pretrained_model directory that `path` means: itself, its config.json or
// train_config.json, a checkpoint (holds pretrained_model/) or a run (checkpoints/last). Where
// `last` is no link to a checkpoint (a folder, a file with the name, dangling, gone), as in a run
// that was copied without links, it means the checkpoint with the highest step. What is no path but
// may be a name on the Hub is looked for in its cache on this machine (formats/hub_cache.h).
CHECKED bool policy_locate(const char *path, char out[POLICY_PATH], Error *err);
// Whether policy_locate would find one.
bool policy_is_one(const char *path);
// The step that a checkpoint's name stands for, made of digits; -1: another name.
int64_t checkpoint_step(const char *name);
// The step that a checkpoint's directory says it is of; -1: it does not.
int64_t checkpoint_step_inside(const char *dir);

// ---- policy_read.c ----------------------------------------------------------------------------
// config.json, tact.json and the processor pipelines of a pretrained_model directory, over what c
// holds; without_shapes: what a dataset decides stays open, as in a training that starts from this
// policy; rename_map too, which is of the other dataset.
CHECKED bool policy_read_config(const char *dir, bool without_shapes, TrainConfig *c, Error *err);
// One warning that names the settings of a config.json that are passed over, if there are any.
// Whoever opens a policy for good does it once: policy_load, and policy_read_config without shapes.
void policy_warn_of_keys(const json_t *config, const char *path);
// tact.json, or NULL where there is none. New reference.
CHECKED bool policy_read_tact(const char *dir, json_t **out, Error *err);

typedef struct WeightsOptions {
    // A temporal table that the file lacks keeps its values (fine-tuning plain ACT); one of a
    // single observation is that of every one.
    bool new_times;
    bool check_only; // nothing is copied
} WeightsOptions;
// Weights of model.safetensors into params. Strict: a tensor that is missing, of another shape or
// not finite is an error that names it, as is one that the policy does not have, except for the
// normalisation buffers of LeRobot before 0.4. Other floating types are converted.
CHECKED bool policy_read_weights(const char *dir, const Params *params, WeightsOptions o,
                                 Error *err);

// All at once, for who runs a policy. dataset: a dataset's directory, whose statistics are used
// when the checkpoint has none, or NULL. Params have no gradients and are not to be changed: where
// the device computes in host memory they are the file's bytes as they were read. What becomes of
// the files afterwards changes nothing.
typedef struct Policy {
    char dir[POLICY_PATH];
    TrainConfig config; // config.policy is complete
    PolicyStats stats;
    Params params;
    struct Safetensors *file; // what params lie in, or NULL
} Policy;
CHECKED bool policy_load(const char *path, const char *dataset, Device *device, Policy *out,
                         Error *err);
void policy_free(Policy *p); // a zeroed struct is allowed

// ---- policy_stats.c ---------------------------------------------------------------------------
// Statistics of a checkpoint of any age: its processor files; else the buffers that LeRobot before
// 0.4 kept among the weights; else meta/stats.json of `dataset`, unless that is NULL. Checked as
// policy_normalizers does.
CHECKED bool policy_read_stats(const char *dir, const char *dataset, const PolicyConfig *p,
                               PolicyStats *out, Error *err);

// ---- policy_write.c ---------------------------------------------------------------------------
// Writes config.json, tact.json, model.safetensors and the processor files into a directory that
// exists. `training` goes into tact.json as "train"; borrowed, may be NULL.
CHECKED bool policy_write(const char *dir, const PolicyConfig *p, const Params *params,
                          const PolicyStats *stats, const json_t *training, Error *err);
// processors.c: LeRobot's pre- and postprocessor, with all steps under its names.
CHECKED bool processors_write(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                              Error *err);
// processors_read.c: what the pipelines of a pretrained_model directory do goes into p: the modes
// of normalisation, which outrank those of config.json, p->rename_map and p->pipeline; strings into
// arena. A directory without them changes nothing. A step that is enabled and none that tact knows
// is an error that names it.
CHECKED bool processors_read(const char *dir, const json_t *config, PolicyConfig *p, Arena *arena,
                             Error *err);
// Whether the policy, complete now, can have such a pipeline. `where` begins the message.
CHECKED bool pipeline_check(const PolicyConfig *p, const char *where, Error *err);

#endif
