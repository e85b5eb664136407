// SPDX-License-Identifier: Apache-2.0
// Private to model/: where the encoder's tokens stand. Their order does not depend on the cameras'
// sizes: [latent, state_0 .. state_{T-1}, env?, cam0 t0 .., cam0 t1 .., cam1 t0 ..].
#ifndef TACT_MODEL_TOKEN_LAYOUT_H
#define TACT_MODEL_TOKEN_LAYOUT_H

#include "config/config.h"

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

#endif
