// SPDX-License-Identifier: Apache-2.0
// Private to model/: the VAE encoder, which only runs in training: [cls, newest state, actions] ->
// mu, log sigma^2 -> z.
#ifndef TACT_MODEL_VAE_H
#define TACT_MODEL_VAE_H

#include "model/layers.h"

typedef struct Vae {
    const PolicyConfig *config; // borrowed
    int batch;
    int64_t tokens; // 1 + (1 with a state) + S
    Encoder encoder;
    Linear state_proj, action_proj, latent_proj;
    Tensor cls, dcls, positions; // (1, D), (1, D), (tokens, D)

    Tensor pad, eps;   // inputs: U8 (B, tokens), (B, Z)
    uint8_t *host_pad; // (B, tokens) what pad is staged from

    Tensor newest_state, action, cls_out; // saved
    Tensor latent_params;                 // (B, 2 Z): mu, log sigma^2; saved
} Vae;

// Finds the parameters; train: takes memory in `fixed` for what a batch brings in.
void vae_init(Vae *v, const Params *p, const PolicyConfig *c, int batch, bool train,
              TensorArena *fixed);
void vae_free(Vae *v); // a zeroed struct is allowed
// Which actions (B, Q) are padding.
void vae_stage(Vae *v, Device *d, const uint8_t *action_is_pad);
// state (B, T, ds) or empty, action (B, Q, A), of which the encoder sees the S of the chunk: z is
// what they are done with, and past actions, which the decoder is to find in its observations,
// would be given away by it. eps (B, Z) on the host, or NULL to draw it. Returns z (B, Z).
Tensor vae_forward(Net *net, Vae *v, Tensor state, Tensor action, const float *eps);
// share: of the batch's samples in the step's.
void vae_backward(Net *net, Vae *v, Tensor dz, float share);

#endif
