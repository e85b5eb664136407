// SPDX-License-Identifier: Apache-2.0
// The parts of a training step one by one, each waited for, where a test looks at what is between.
#ifndef TACT_TESTS_TRAIN_ONE_STEP_H
#define TACT_TESTS_TRAIN_ONE_STEP_H

#include "model/act.h"
#include "train/optimizer.h"
#include <math.h>

// Forward and backward of one batch. Gradients are added to those there are.
CHECKED static inline bool train_once(Device *d, Act *act, const ActInput *in, uint64_t seed,
                                      uint32_t step, ActLosses *losses, Error *err) {
    act_stage(act, in);
    d->staged(d);
    act_train_begin(act);
    act_train_forward(act, in, seed, step);
    d->download(d, losses, act_losses(act).data, sizeof *losses);
    act_train_backward(act);
    d->synchronize(d);
    return device_check(d, err);
}

// One step from params->grads, which are cleared. Returns the norm before clipping; when it is not
// finite nothing was updated.
static inline float optimizer_once(Optimizer *o) {
    Device *d = o->params->device;
    float norm;
    optimizer_begin(o);
    optimizer_ops(o, (Tensor){0});
    d->download(d, &norm, o->norm.data, sizeof norm);
    if (isfinite(norm)) return norm;
    o->step--; // the step was not taken
    d->zero(d, o->halt);
    return norm;
}

#endif
