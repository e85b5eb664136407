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

// frame_slots.c: the tokens of frames that were encoded one by one, kept on the device. Where it
// pays (frames_are_projected), what the encoder's first layer makes of its tokens
// stands behind them: queries, keys and values without positions, which alone change as the frame
// grows old. So each token has D values or, with `projected`, 4 D.
typedef struct FrameSlots {
    Tensor tokens;     // (slots, most h'*w' of a camera, D or 4 D); empty: frames come in batches
    bool projected;    // 4 D
    const int *chosen; // (cameras, T) slots of the next prediction, oldest first; borrowed
} FrameSlots;

// Whether a frame of the policy is seen often enough for that to pay: not with two observations,
// where one product over all tokens takes no longer than one over the new frame's and a small one
// over the others, each of which reads the weights.
static inline bool frames_are_projected(const PolicyConfig *c) {
    return c->obs_state_horizon > 2;
}

// Puts the tokens (1, h'*w', D) of a camera's frame into a slot.
void frame_slots_put(Net *net, const FrameSlots *s, const TokenLayout *layout, Encoder *e, int slot,
                     int camera, Tensor tokens);
// The tokens of the chosen slots into their places of x (1, tokens, D).
void frame_slots_forward(Net *net, const FrameSlots *s, const PolicyConfig *c,
                         const TokenLayout *layout, Tensor x);
// What the first layer made of them, with e->kept, into their places of qk (1, tokens, 2 D) and v
// (1, tokens, D).
void frame_slots_projections(Net *net, const FrameSlots *s, const PolicyConfig *c,
                             const TokenLayout *layout, const Encoder *e, Tensor qk, Tensor v);

#endif
