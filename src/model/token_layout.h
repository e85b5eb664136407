// SPDX-License-Identifier: Apache-2.0
// Private to model/: where the encoder's tokens stand. Their order does not depend on the cameras'
// sizes: [latent, state_0 .. state_{T-1}, env?, cam0 t0 .., cam0 t1 .., cam1 t0 ..].
#ifndef TACT_MODEL_TOKEN_LAYOUT_H
#define TACT_MODEL_TOKEN_LAYOUT_H

#include "model/layers.h"

typedef struct CameraTokens {
    int64_t start;         // first slot
    int64_t height, width; // of the feature map of one frame
    int64_t cells;         // tokens of one frame, height * width
} CameraTokens;

typedef struct TokenLayout {
    int64_t tokens;                              // of a sample
    int64_t state_start, env_start, image_start; // first slots
    CameraTokens cameras[MAX_CAMERAS];           // in the policy's order
} TokenLayout;

// frame_slots.c: the tokens of frames that were encoded one by one, kept on the device.
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
