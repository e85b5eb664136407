// SPDX-License-Identifier: Apache-2.0
// A whole policy, read from disk without the trainer.
#ifndef TACT_POLICY_POLICY_LOAD_H
#define TACT_POLICY_POLICY_LOAD_H

#include "base/error.h"
#include "config/config.h"
#include "model/params.h"
#include "policy/policy_locate.h"
#include "policy/policy_stats.h"

// All at once, for those who run a policy. dataset: a dataset's directory, whose statistics are
// used when the checkpoint has none, or NULL. Params have no gradients and are not to be changed:
// where the device computes in host memory they are the file's bytes as they were read. What
// becomes of the files afterwards changes nothing.
typedef struct Policy {
    char dir[POLICY_PATH];
    TrainConfig config; // config.policy is complete
    PolicyStats stats;
    Params params;
    struct Safetensors *file; // what params lie in, or NULL
} Policy;
CHECKED bool policy_load(const char *path, const char *dataset, Device *device, Policy *out,
                         Error *err);
// The same for those who predict and do nothing else: values of the VAE's encoder, which
// predictions do not see, may be left out of params, and are not checked then.
CHECKED bool policy_load_to_run(const char *path, const char *dataset, Device *device, Policy *out,
                                Error *err);
void policy_free(Policy *p); // a zeroed struct is allowed

#endif
