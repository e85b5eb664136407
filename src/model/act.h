// SPDX-License-Identifier: Apache-2.0
// The temporal ACT policy: forward and backward over one device. See docs/architecture.md for the
// token order and the maths; the parameter names are LeRobot's.
#ifndef TACT_MODEL_ACT_H
#define TACT_MODEL_ACT_H

#include "config/config.h"
#include "model/params.h"
#include "ops/ops.h"

typedef struct Act Act;

// What a step reads, in host memory. B samples, T observations, S = chunk_size, Q =
// policy_action_rows: the chunk's and behind them the past actions.
typedef struct ActInput {
    int batch;
    const float *state; // (B, T, D) normalised, or NULL without a state
    const float *env;   // (B, E), or NULL
    // Per camera, of its own size h x w: (B, T, h, w, 3) uint8. NULL when image_floats is given.
    const uint8_t *const *images;
    const float *const *image_floats; // per camera (B, T, 3, h, w), already normalised (tests)
    const float *action;              // (B, Q, A) normalised; training only
    const uint8_t *action_is_pad;     // (B, Q); training only
    // (B) how many rows of `action`, from the first on, are given to the policy, at most
    // max_action_prefix: it goes on from them, and they do not count in the loss. NULL: none. For a
    // prediction they alone are read, and action_is_pad is not wanted.
    const int *action_prefix;
    const float *eps; // (B, Z) noise of the VAE, or NULL to draw it
    // Of a step that is more than this batch, in pieces or in several processes: number of the
    // first sample here among those of the step; how many samples it has, and how many actions that
    // count: neither padded nor given.
    // The sums of the pieces' losses and gradients are then those of one large batch, and so are
    // its dropout and noise. All 0: the batch is the step.
    int first_sample, step_samples;
    int64_t step_actions;
} ActInput;

typedef struct ActLosses {
    float total, l1, kld;
} ActLosses;

// What a camera's uint8 frames are normalised with: channel means and deviations in [0, 1].
typedef struct ImageStats {
    float mean[3], std[3];
} ImageStats;

extern const ImageStats image_stats_imagenet;

// Plans the model for batches of exactly `batch` samples: cameras of one size go through the ResNet
// as one batch, and each further size is a batch of its own. The configuration must be complete
// (dimensions and cameras filled in); it is copied, its strings stay borrowed. params are borrowed.
// images: one for every camera, copied.
CHECKED bool act_new(Device *d, const PolicyConfig *config, Params *params, int batch, bool train,
                     const ImageStats *images, Act **out, Error *err);
void act_free(Act *a); // NULL allowed

// For those who see an episode frame by frame: a batch of 1 in evaluation, with a ResNet for single
// frames. A frame's tokens stay on the device, in one of `slots` slots, until another frame is put
// there.
CHECKED bool act_new_stream(Device *d, const PolicyConfig *config, Params *params, int slots,
                            const ImageStats *images, Act **out, Error *err);
// One frame (h, w, 3) of a camera into a slot.
CHECKED bool act_encode_frame(Act *a, int camera, const uint8_t *frame, int slot, Error *err);
// As act_predict, with the frames of slots (cameras, T), oldest first, instead of in->images.
CHECKED bool act_predict_slots(Act *a, const ActInput *in, const int *slots, float *actions,
                               Error *err);

// Further slots for a model of act_new_stream, so that several episodes go through one model in
// turn and each keeps its tokens. They are freed before the model.
typedef struct ActSlots ActSlots;
CHECKED bool act_slots_new(const Act *a, int slots, ActSlots **out, Error *err);
void act_slots_free(ActSlots *s); // NULL allowed
// From now on act_encode_frame and act_predict_slots mean the slots of s; NULL: those that the
// model was made with.
void act_use_slots(Act *a, const ActSlots *s);

// To be called after the parameters changed (an optimiser step, a load): packs convolution weights.
void act_load_params(Act *a);

// Forward in evaluation mode (latent zero, no dropout). actions (B, S, A) on the host: the chunk's
// alone. With `losses` non-NULL, action and action_is_pad given, the l1 loss too (kld 0), of all
// that action_is_pad leaves.
CHECKED bool act_predict(Act *a, const ActInput *in, float *actions, ActLosses *losses, Error *err);
// The losses of the prediction that was made last, over what another action_is_pad leaves; action
// as it was then.
CHECKED bool act_predict_losses(Act *a, const ActInput *in, ActLosses *losses, Error *err);

// A training step in parts, for a loop that does not wait for each step: act_stage copies a batch
// (images as uint8; its memory is in use until device->staged returns), act_train_forward issues
// forward and loss on what was staged last, act_train_backward the rest, which adds gradients to
// params->grads. Nothing else is issued, so that both may stand in a recording. seed and step drive
// dropout and the VAE's noise. in: NULL, or where the step reads eps and image_floats, which are
// not staged (tests). Losses add up from piece to piece of a step; act_train_begin makes them 0.
void act_stage(Act *a, const ActInput *in);
void act_train_begin(Act *a); // before a step's first piece; act_predict does it itself
void act_train_forward(Act *a, const ActInput *in, uint64_t seed, uint32_t step);
void act_train_backward(Act *a);
// Tells `call` of every range of params->grads, in elements, that backward is done with, while it
// goes on with others. What it is not told of is done when backward is. call NULL: no one is told.
void act_on_gradients(Act *a, void (*call)(void *user, ParamRange grads), void *user);
// Where the losses (3: total, l1, kld) of a step are on the device, laid out as ActLosses.
Tensor act_losses(const Act *a);

// Bytes of activations held.
size_t act_activation_bytes(const Act *a);
// How many sizes its images have: for each the ResNet is planned, and its weights packed, once.
int act_image_sizes(const Act *a);

// ---- flops.c ----------------------------------------------------------------------------------
// Floating-point operations of one training step (2 per multiply-add, convolutions, matrix products
// and attention; backward counted as twice forward, except for the first convolution).
double act_step_flops(const Act *a);
// The operations of a prediction.
double act_forward_flops(const Act *a);
// A prediction when of the T frames of each camera only the newest goes through the ResNet.
double act_cached_flops(const Act *a);

#endif
