// SPDX-License-Identifier: Apache-2.0
// A moving average of the trained weights (LeRobot's --ema.*), on the weights' device.
#ifndef TACT_TRAIN_EMA_H
#define TACT_TRAIN_EMA_H

#include "model/act.h"

typedef struct Ema {
    const EmaConfig *config; // borrowed
    Params *params;          // borrowed
    Tensor average;          // (params->trainable)
    int64_t updates;         // optimiser steps begun
} Ema;

// The average starts as a copy of the weights. Error: no memory.
CHECKED bool ema_init(Ema *e, const EmaConfig *config, Params *params, Error *err);
void ema_free(Ema *e); // a zeroed struct is allowed
// The share of the average that is kept at update number n, counted from 1.
double ema_decay(const EmaConfig *c, int64_t n);
// To be called after every optimiser step: issues one op, which leaves the average alone where the
// step was not taken (halt is the optimiser's, and may be empty).
void ema_update(Ema *e, Tensor halt);
// ema_swap_in puts the average in the weights' place for an evaluation, ema_swap_out puts the
// weights back. In between the weights wait where the gradients lie, so no step may be under way;
// the gradients are zero afterwards.
void ema_swap_in(Ema *e, Act *act);
void ema_swap_out(Ema *e, Act *act);
// The params with the average for weights, to be saved. Everything is borrowed from the Ema.
Params ema_params(const Ema *e);

#endif
