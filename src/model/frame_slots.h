// SPDX-License-Identifier: Apache-2.0
// Private to model/: the tokens of frames that were encoded one by one, kept on the device.
#ifndef TACT_MODEL_FRAME_SLOTS_H
#define TACT_MODEL_FRAME_SLOTS_H

#include "model/layers.h"
#include "model/token_layout.h"

typedef struct FrameSlots {
    Tensor tokens;     // (slots, most h'*w' of a camera, D); empty: frames come in batches
    const int *chosen; // (cameras, T) slots of the next prediction, oldest first; borrowed
} FrameSlots;

// Where the tokens (1, h'*w', D) of a camera's frame stand in a slot.
Tensor frame_slot(const FrameSlots *s, const TokenLayout *layout, int slot, int camera);
// The tokens of the chosen slots into their places of x (1, tokens, D).
void frame_slots_forward(Net *net, const FrameSlots *s, const PolicyConfig *c,
                         const TokenLayout *layout, Tensor x);

#endif
