// SPDX-License-Identifier: Apache-2.0
// What eval.json says of a run in both kinds of evaluation.
#ifndef TACT_EVAL_DESCRIBE_H
#define TACT_EVAL_DESCRIBE_H

#include "config/config.h"
#include "formats/json.h"
#include <stdint.h>
#include <time.h>

// All of them give a new reference.

// null for NaN and infinity, which JSON cannot write.
json_t *describe_number(double x);
// A path. JSON is UTF-8, which a path need not be: then what is not ASCII becomes '?'.
json_t *describe_path(const char *path);
// A moment in local time, "2026-11-25T10:15:42+0100".
json_t *describe_time(time_t moment);
// A policy: its pretrained_model directory, the step of its checkpoint (-1: not known), and the
// settings that tell what it sees and what it predicts.
json_t *describe_policy(const char *dir, int64_t step, const PolicyConfig *p);

#endif
