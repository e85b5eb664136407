// SPDX-License-Identifier: Apache-2.0
// Private to model/: from frames to tokens. A ResNet for every size of frame, the projection, and
// the tokens' places among all.
#ifndef TACT_MODEL_IMAGE_TOKENS_H
#define TACT_MODEL_IMAGE_TOKENS_H

#include "model/act.h"
#include "model/layers.h"
#include "model/token_layout.h"

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

typedef struct ImageTokens {
    Net *net; // borrowed, as the next two
    const PolicyConfig *config;
    const TokenLayout *layout;
    int batch;
    ImageStats stats[MAX_CAMERAS];
    int n_groups;
    ImageGroup groups[MAX_CAMERAS];
    int group_of[MAX_CAMERAS],
        place_of[MAX_CAMERAS]; // of a camera: its group, which of its cameras
    int64_t feature_c;         // channels of the ResNets' output
    Linear projection;         // (D, C)
} ImageTokens;

// Groups the cameras by size, plans a ResNet for each size and finds the projection. Everything
// above n_groups is filled in before, and the layout's cameras are filled in after, from the
// groups. one: for single frames instead of whole batches.
CHECKED bool image_tokens_plan(ImageTokens *t, const Params *p, bool train, bool one, Error *err);
// Device memory for the frames of a batch.
void image_tokens_inputs(ImageTokens *t, TensorArena *fixed);
void image_tokens_free(ImageTokens *t);
void image_tokens_load(ImageTokens *t); // packs the current weights
// Frames per camera (B, T, h, w, 3), to where image_tokens_forward reads them.
void image_tokens_stage(ImageTokens *t, const uint8_t *const *images);
// Image tokens into their places of x (B, tokens, D): of the staged frames, or of in->image_floats
// where in, which may be NULL, has these instead of images.
void image_tokens_forward(ImageTokens *t, const ActInput *in, Tensor x);
void image_tokens_backward(ImageTokens *t, Tensor dx);
// With `one`: brings one frame (h, w, 3) of a camera to the device, and makes its tokens
// (1, h'*w', D).
void image_tokens_stage_frame(ImageTokens *t, int camera, const uint8_t *frame);
Tensor image_tokens_of_frame(ImageTokens *t, int camera);
// Floating-point operations of all ResNets: of one forward, or of one forward and backward.
double image_tokens_flops(const ImageTokens *t, bool backward);

#endif
