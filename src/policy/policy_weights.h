// SPDX-License-Identifier: Apache-2.0
// The weights of a policy on disk.
#ifndef TACT_POLICY_POLICY_WEIGHTS_H
#define TACT_POLICY_POLICY_WEIGHTS_H

#include "base/error.h"
#include "config/config.h"
#include "model/params.h"

struct Safetensors;

typedef struct WeightsOptions {
    // A temporal table that the file does not have keeps its values (fine-tuning plain ACT); the
    // row of a table with a single observation is taken for every observation.
    bool new_times;
    // The policy has so many past actions more than the file's (fewer: below 0). Of the decoder's
    // queries those of the chunk are kept, and those of past actions that both have; the others
    // keep their values.
    int past_added;
    bool new_prefix; // likewise the projection of given actions (max_action_prefix)
    bool check_only; // nothing is copied
} WeightsOptions;
// Weights of model.safetensors into params. Strict: a tensor that is missing, of another shape or
// not finite is an error that names it, as is one that the policy does not have, except for the
// normalisation buffers of LeRobot before 0.4. Other floating types are converted.
CHECKED bool policy_read_weights(const char *dir, const Params *params, WeightsOptions o,
                                 Error *err);

// Before memory is asked for: a configuration that describes far more numbers than the file holds
// is damaged, or made to exhaust the machine.
CHECKED bool policy_check_size(const char *dir, const PolicyConfig *p, Error *err);
// How the names of all that the VAE's encoder has begin.
#define POLICY_VAE_ENCODER "model.vae_encoder"

// Makes params (zeroed before) for a policy that is not changed. to_run: it only predicts, which
// does not look at the VAE's encoder, a third of a default policy; its values may be missing. Where
// the device computes in host memory and the file's values can be used as they were read, params
// lie in *file, which is the caller's to close after it has freed params; else *file is NULL. After
// a failure, too.
CHECKED bool policy_load_weights(const char *dir, const PolicyConfig *p, bool to_run,
                                 Device *device, Params *params, struct Safetensors **file,
                                 Error *err);

#endif
