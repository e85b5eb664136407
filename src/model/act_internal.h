// SPDX-License-Identifier: Apache-2.0
// Private to model/: what an Act holds, shared by act.c, positions.c and flops.c.
#ifndef TACT_MODEL_ACT_INTERNAL_H
#define TACT_MODEL_ACT_INTERNAL_H

#include "model/act.h"
#include "model/layers.h"

struct Act {
    Device *device;
    PolicyConfig config;
    Params *params; // borrowed
    int batch;
    int64_t images; // that go through the ResNet at once
    bool train;
    ImageStats image_stats[MAX_CAMERAS];
    Net net;
    TensorArena fixed; // inputs and constants: live as long as the Act

    ResNet *resnet;
    Encoder vae_encoder, encoder;
    Decoder decoder;
    Linear vae_state, vae_action, vae_out;
    Linear state_proj, env_proj, latent_proj, image_proj, head;
    Tensor vae_cls, dvae_cls, vae_pos;            // (1, D), (1, D), (vae_tokens, D)
    Tensor token_table, dtoken_table;             // (1 to 3, D)
    Tensor temporal_table, dtemporal_table;       // (T, D), or empty
    Tensor query_pos, dquery_pos;                 // (S, D)

    int64_t tokens, vae_tokens;                   // sequence lengths
    int64_t state_start, env_start, image_start;  // first slots within tokens
    int64_t feature_c, feature_h, feature_w;      // of the ResNet's output
    Tensor image_sinusoid;                        // (tokens, D), zero outside image slots
    Tensor token_index, time_index;               // I32 (tokens): rows of the tables, or -1

    Tensor state, env, frames, action, pad, vae_pad, eps, losses;     // inputs
    uint8_t *host_vae_pad;                        // (B, vae_tokens) what vae_pad is staged from
    Tensor vae_now, vae_cls_out, latent_params, z;                    // saved by forward
    Tensor feature_map, features, decoded, prediction;
    Tensor slot_tokens; // (slots, h'*w', D): frames of an act_new_stream; else empty
    const int *slots;   // (cameras, T), borrowed for one act_predict_slots
    Tensor kept_pos;    // without training: the positions, made when parameters are loaded
    ActTimes times;
};

// positions.c: constants, and the positions (tokens, D) from the learned tables.
void act_init_positions(Act *a);
void act_positions(Act *a, Tensor pos);
void act_positions_backward(Act *a, Tensor dpos);

#endif
