// SPDX-License-Identifier: Apache-2.0
// The curves of a policy's training, for its report.
#ifndef TACT_EVAL_TRAINING_LOG_H
#define TACT_EVAL_TRAINING_LOG_H

#include "formats/json.h"

// Adds to an object, as "training_log", the curves in the metrics.jsonl of the run that a
// pretrained_model directory lies in: lists of [step, value] for l1_loss, eval_loss, pc_success and
// the moving average's, at most some hundred points each. Nothing is added where there is no such
// file, as for a policy that was copied out of its run; one that cannot be read is warned of.
void training_log_add(const char *dir, json_t *object);

#endif
