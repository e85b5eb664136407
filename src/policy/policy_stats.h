// SPDX-License-Identifier: Apache-2.0
// What a policy's inputs and outputs are normalised with.
#ifndef TACT_POLICY_POLICY_STATS_H
#define TACT_POLICY_POLICY_STATS_H

#include "base/error.h"
#include "base/stats.h"
#include "config/config.h"
#include "model/act.h"
#include "normalize/normalize.h"

// The four arrays of a Stats, and their names in LeRobot's files, by number.
enum { STATS_KINDS = 4, CAMERA_CHANNELS = 3 };
extern const char *const stats_kinds[STATS_KINDS];
double **stats_array(Stats *s, int kind);

// dim 0: the policy has no such vector. Arrays that a checkpoint does not hold are NULL.
typedef struct PolicyStats {
    Stats state, action, env;
    Stats cameras[MAX_CAMERAS];     // of the three channels, in the policy's order
    ImageStats images[MAX_CAMERAS]; // what that makes of frames: policy_images
} PolicyStats;
void policy_stats_free(PolicyStats *s); // a zeroed struct is allowed
// Rounds to float32, which is what checkpoints hold: a training that uses the rounded numbers has
// the same ones after a resume.
void policy_stats_round(PolicyStats *s);
// By the name in a configuration; NULL, and what is no mode: identity.
NormMode norm_mode_named(const char *name);
// Makes the normalizers of the vectors that the policy has. Statistics that are missing, of another
// length or not finite are an error that names the feature.
CHECKED bool policy_normalizers(const PolicyConfig *p, const PolicyStats *s, Normalizer *state,
                                Normalizer *env, Normalizer *action, Error *err);
// Fills in s->images from s->cameras, by the mode of VISUAL. The same errors.
CHECKED bool policy_images(const PolicyConfig *p, PolicyStats *s, Error *err);
// ImageNet's mean and deviation of a camera, in place of what it had; the rest stays.
CHECKED bool policy_camera_imagenet(Stats *camera, Error *err);

// ---- policy_stats_read.c ------------------------------------------------------------------------
// Statistics of a checkpoint of any age: its processor files; else the buffers that LeRobot before
// 0.4 kept among the weights; else meta/stats.json of `dataset`, unless that is NULL. Checked as
// policy_normalizers does.
CHECKED bool policy_read_stats(const char *dir, const char *dataset, const PolicyConfig *p,
                               PolicyStats *out, Error *err);

#endif
