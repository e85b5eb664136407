// SPDX-License-Identifier: Apache-2.0
// Converts between plain ACT, which LeRobot runs, and the temporal policy, where both compute the
// same.
#ifndef TACT_POLICY_CONVERT_H
#define TACT_POLICY_CONVERT_H

#include "policy/policy_load.h"
#include "policy/policy_stats.h"

// Makes `out` from `in`: the same function in the other form. To act: only with one observation;
// the embedding of its one timestep is added to the state's position, and where images have one too
// it must be zero, since the positions of image tokens are fixed. To tact: one observation and an
// embedding that is zero. What cannot be is refused with the reason. in stays as it is; out's
// strings are borrowed from it.
CHECKED bool policy_convert(const Policy *in, bool to_act, PolicyConfig *config, Params *out,
                            Error *err);
// Writes a converted policy as a pretrained_model directory that appears whole or not at all; dir
// must not exist.
CHECKED bool policy_export(const char *dir, const PolicyConfig *config, const Params *params,
                           const PolicyStats *stats, Error *err);

#endif
