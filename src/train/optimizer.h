// SPDX-License-Identifier: Apache-2.0
// AdamW over a model's two parameter groups, with clipping by the global norm.
#ifndef TACT_TRAIN_OPTIMIZER_H
#define TACT_TRAIN_OPTIMIZER_H

#include "model/params.h"

typedef struct Optimizer {
    Params *params;
    Tensor m, v, norm; // moments (params->trainable) and the last gradient norm (1), on the device
    Tensor halt;       // (1) not 0 after a step whose loss or gradient was not finite
    double lr, lr_backbone, weight_decay, beta1, beta2, eps, max_norm;
    int64_t step; // steps taken
} Optimizer;

// The moments start at zero, on the params' device. params are borrowed. Error: no memory.
CHECKED bool optimizer_init(Optimizer *o, Params *params, const TrainConfig *config, Error *err);
void optimizer_free(Optimizer *o); // a zeroed struct is allowed
// What the next step's ops depend on; counts the step as taken.
StepNumbers optimizer_begin(Optimizer *o);
// Issues the ops of that step from params->grads, and nothing else. With losses (the first of which
// is looked at): nothing is updated, now or later, once a loss or norm was not finite.
void optimizer_ops(Optimizer *o, Tensor losses);

#endif
