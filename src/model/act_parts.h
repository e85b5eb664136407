// SPDX-License-Identifier: Apache-2.0
// Private to model/: the parts that an Act is put together from.
#ifndef TACT_MODEL_ACT_PARTS_H
#define TACT_MODEL_ACT_PARTS_H

#include "model/action_prefix.h"
#include "model/image_tokens.h"
#include "model/positions.h"
#include "model/recordings.h"
#include "model/vae.h"

struct Act {
    Device *device;
    PolicyConfig config;
    Params *params; // borrowed
    int batch;
    bool train;
    Net net;
    TensorArena fixed; // inputs and constants: live as long as the Act

    TokenLayout layout;
    ImageTokens images;
    FrameSlots slots; // of an act_new_stream: those in use
    Tensor own_slots; // those that it was made with
    Positions positions;
    Vae vae;
    Linear state_proj, env_proj, latent_proj;
    Encoder encoder;
    Decoder decoder;
    ActionPrefix prefix;
    Tensor query_pos, dquery_pos; // (Q, D)
    Linear head;

    Tensor state, env, action, pad; // inputs
    Tensor count, losses;           // (1) numbers that the step's l1 sums; (3)
    float host_count;               // what is staged into count
    float share;                    // of the batch's samples in the step's
    Tensor latent_params, z;        // saved; latent_params empty without the VAE
    Tensor decoded, prediction;     // saved
    Recordings recordings;          // of an act_new_stream
};

#endif
