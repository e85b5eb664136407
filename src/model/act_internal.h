// SPDX-License-Identifier: Apache-2.0
// Private to model/: what an Act holds, shared by act.c, image_tokens.c, positions.c and flops.c.
#ifndef TACT_MODEL_ACT_INTERNAL_H
#define TACT_MODEL_ACT_INTERNAL_H

#include "model/act.h"
#include "model/layers.h"

// The cameras whose frames have one size. Their frames go through the ResNet as one batch, (cameras
// of the group, B, T) images; every group has a ResNet of its own size over the same parameters.
typedef struct ImageGroup {
    int n_cameras, cameras[MAX_CAMERAS]; // positions in the policy, in its order
    int64_t images, height, width;       // that go through the ResNet at once
    int64_t feature_h, feature_w;        // of its output
    ResNet *resnet;
    Tensor frames;   // U8 (images, h, w, 3), input
    Tensor features; // (images, h'*w', C), saved by forward
} ImageGroup;

// Where the tokens of a camera stand.
typedef struct CameraTokens {
    int group, place;     // which of the group's cameras
    int64_t start, cells; // first slot within tokens; tokens of one frame, h'*w'
} CameraTokens;

struct Act {
    Device *device;
    PolicyConfig config;
    Params *params; // borrowed
    int batch;
    bool train;
    ImageStats image_stats[MAX_CAMERAS];
    Net net;
    TensorArena fixed; // inputs and constants: live as long as the Act

    int n_groups;
    ImageGroup groups[MAX_CAMERAS];
    CameraTokens camera_tokens[MAX_CAMERAS];
    Encoder vae_encoder, encoder;
    Decoder decoder;
    Linear vae_state, vae_action, vae_out;
    Linear state_proj, env_proj, latent_proj, image_proj, head;
    Tensor vae_cls, dvae_cls, vae_pos;      // (1, D), (1, D), (vae_tokens, D)
    Tensor token_table, dtoken_table;       // (1 to 3, D)
    Tensor temporal_table, dtemporal_table; // (T, D), or empty
    Tensor query_pos, dquery_pos;           // (S, D)

    int64_t tokens, vae_tokens;                  // sequence lengths
    int64_t state_start, env_start, image_start; // first slots within tokens
    int64_t feature_c;                           // channels of the ResNet's output
    Tensor image_sinusoid;                       // (tokens, D), zero outside image slots
    Tensor token_index, time_index;              // I32 (tokens): rows of the tables, or -1

    Tensor state, env, action, pad, vae_pad, eps, losses; // inputs
    uint8_t *host_vae_pad;                         // (B, vae_tokens) what vae_pad is staged from
    Tensor vae_now, vae_cls_out, latent_params, z; // saved by forward
    Tensor decoded, prediction;
    Tensor
        slot_tokens;  // (slots, most h'*w' of a camera, D): frames of an act_new_stream; else empty
    const int *slots; // (cameras, T), borrowed for one act_predict_slots
    Tensor kept_pos;  // without training: the positions, made when parameters are loaded
    ActTimes times;
};

// act.c: forgets the activations of the step before, and sets what the next one's ops read.
void act_begin_step(Act *a, bool train, uint64_t seed, uint32_t step);

// image_tokens.c: groups the cameras by size and plans a ResNet for each; one: for single frames
// instead of whole batches.
CHECKED bool act_plan_images(Act *a, bool one, Error *err);
// Per camera (B, T, h, w, 3), to where act_image_tokens reads them.
void act_stage_images(Act *a, const uint8_t *const *images);
// Image tokens into their places of x (B, tokens, D), from what was staged, from in->image_floats,
// or from frames encoded before; and their gradient's way back, from dx.
void act_image_tokens(Act *a, const ActInput *in, Tensor x);
void act_image_tokens_backward(Act *a, Tensor dx);

// positions.c: constants, and the positions (tokens, D) from the learned tables.
void act_init_positions(Act *a);
void act_positions(Act *a, Tensor pos);
void act_positions_backward(Act *a, Tensor dpos);

#endif
