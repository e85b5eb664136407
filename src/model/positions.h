// SPDX-License-Identifier: Apache-2.0
// Private to model/: the encoder's positions: a learned row per kind of token, a fixed 2-D sinusoid
// for image tokens, and the learned temporal table that lets attention tell timesteps apart.
#ifndef TACT_MODEL_POSITIONS_H
#define TACT_MODEL_POSITIONS_H

#include "model/layers.h"
#include "model/token_layout.h"

typedef struct Positions {
    Tensor token_table, dtoken_table;       // (1 to 3, D)
    Tensor temporal_table, dtemporal_table; // (T, D), or empty
    Tensor image_sinusoid;                  // (tokens, D), zero outside image slots
    Tensor token_index, time_index;         // I32 (tokens): rows of the tables, or -1
    Tensor kept; // (tokens, D) without training: made once, when parameters are loaded; else empty
} Positions;

// Constants are made in the arena `fixed`; a failure is the device's.
void positions_init(Positions *p, const Params *params, const PolicyConfig *c,
                    const TokenLayout *layout, bool train, TensorArena *fixed);
// To be called when parameters changed: fills p->kept, if that is there.
void positions_keep(Net *net, Positions *p);
// (tokens, D), float32.
Tensor positions_forward(Net *net, const Positions *p);
void positions_backward(Net *net, Positions *p, Tensor dpos);

#endif
