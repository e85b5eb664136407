// SPDX-License-Identifier: Apache-2.0
// Private to model/: the actions that a chunk has to go on from. The decoder's queries, which start
// as zeros, start as W [action, 1] where an action is given: what is given is told from what is
// not, and two given ones from each other.
//
// B batch, Q actions of the chunk and past ones, A action width, P max_action_prefix.
#ifndef TACT_MODEL_ACTION_PREFIX_H
#define TACT_MODEL_ACTION_PREFIX_H

#include "model/act.h"
#include "model/layers.h"

typedef struct ActionPrefix {
    int batch, most, rows, width; // B, P, Q, A
    Linear proj;                  // (D, A + 1), without a bias
    Tensor input;                 // (B, P, A + 1): rows of [action, 1], of zeros where none is
    float *host;                  // what it is staged from
    uint8_t *marks;               // (B, Q)
} ActionPrefix;

// Finds the parameter and takes memory, in `fixed` what the device reads.
void action_prefix_init(ActionPrefix *p, const Params *params, const PolicyConfig *c, int batch,
                        TensorArena *fixed);
void action_prefix_free(ActionPrefix *p); // a zeroed struct is allowed
void action_prefix_stage(ActionPrefix *p, Device *d, const ActInput *in);
// (B, Q) which actions are not in the loss: padded or given. Until the next call.
const uint8_t *action_prefix_marks(ActionPrefix *p, const ActInput *in);

#endif
