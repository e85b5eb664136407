// SPDX-License-Identifier: Apache-2.0
// What eval.json says of a run in both kinds of evaluation.
#ifndef TACT_EVAL_DESCRIBE_H
#define TACT_EVAL_DESCRIBE_H

#include "config/config.h"
#include "report/describe.h"
#include <stdint.h>

// A policy: its pretrained_model directory, the step of its checkpoint (-1: not known), and the
// settings that tell what it sees and what it predicts. A new reference.
json_t *describe_policy(const char *dir, int64_t step, const PolicyConfig *p);

#endif
