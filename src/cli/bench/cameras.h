// SPDX-License-Identifier: Apache-2.0
// What the policy of a bench sees.
#ifndef TACT_CLI_BENCH_CAMERAS_H
#define TACT_CLI_BENCH_CAMERAS_H

#include "config/config.h"

struct json_t;

// Makes config->policy one of relative poses with `cameras` synthetic cameras. image: one size for
// all of them, HEIGHTxWIDTH, or one for each with commas between them.
// Error: --image is not that, or a side is not from 32 to 8192.
CHECKED bool bench_synthetic_policy(TrainConfig *config, const char *image, int64_t cameras,
                                    Error *err);

// [[HEIGHT, WIDTH], ...] of what the policy's cameras see; a new reference.
struct json_t *bench_sizes_json(const PolicyConfig *policy);

#endif
