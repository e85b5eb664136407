// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "model/act.h"
#include "model/act_parts.h"

struct ActSlots {
    TensorArena memory;
    Tensor tokens; // as FrameSlots has them
};

// What a slot has of a camera's frame, (1, h'*w', n D): of every token the D values numbered
// `first` (0 the token itself, 1 queries, 2 keys, 3 values) and those behind them.
static Tensor frame_slot(const FrameSlots *s, const TokenLayout *layout, int slot, int camera,
                         int first, int n) {
    int64_t D = s->projected ? s->tokens.shape[2] / 4 : s->tokens.shape[2];
    Tensor t = tensor_slice(s->tokens, 0, slot, 1);
    t = tensor_slice(t, 1, 0, layout->cameras[camera].cells);
    return tensor_slice(t, 2, first * D, n * D);
}

void frame_slots_put(Net *net, const FrameSlots *s, const TokenLayout *layout, Encoder *e, int slot,
                     int camera, Tensor tokens) {
    Device *d = net->device;
    d->copy(d, frame_slot(s, layout, slot, camera, 0, 1), tokens);
    if (!s->projected) return;
    Tensor qkv = net_tensor(net, 3, SHAPE(1, tokens.shape[1], 3 * tokens.shape[2]));
    encoder_project(net, e, qkv, tokens);
    d->copy(d, frame_slot(s, layout, slot, camera, 1, 3), qkv);
}

// Where camera i's frame t of the window stands among all tokens.
static Tensor frame_places(const TokenLayout *layout, Tensor all, int i, int t) {
    const CameraTokens *camera = &layout->cameras[i];
    return tensor_slice(all, 1, camera->start + t * camera->cells, camera->cells);
}

void frame_slots_forward(Net *net, const FrameSlots *s, const PolicyConfig *c,
                         const TokenLayout *layout, Tensor x) {
    int T = c->obs_state_horizon;
    for (int i = 0; i < c->n_cameras; i++)
        for (int t = 0; t < T; t++)
            net->device->copy(net->device, frame_places(layout, x, i, t),
                              frame_slot(s, layout, s->chosen[i * T + t], i, 0, 1));
}

void frame_slots_projections(Net *net, const FrameSlots *s, const PolicyConfig *c,
                             const TokenLayout *layout, const Encoder *e, Tensor qk, Tensor v) {
    Device *d = net->device;
    int T = c->obs_state_horizon;
    for (int i = 0; i < c->n_cameras; i++)
        for (int t = 0; t < T; t++) {
            const CameraTokens *camera = &layout->cameras[i];
            int slot = s->chosen[i * T + t];
            Tensor pos = tensor_slice(e->kept, 0, camera->start + t * camera->cells, camera->cells);
            d->add_rows(d, frame_places(layout, qk, i, t), frame_slot(s, layout, slot, i, 1, 2),
                        pos);
            d->copy(d, frame_places(layout, v, i, t), frame_slot(s, layout, slot, i, 3, 1));
        }
}

bool act_slots_new(const Act *a, int slots, ActSlots **out, Error *err) {
    const Tensor *own = &a->own_slots;
    ActSlots *s = TRY_NEW(ActSlots, 1);
    *out = NULL;
    if (!s) return fail_memory(err, "tokens of frames");
    s->memory.device = a->device;
    if (own->data) // else the policy has no cameras
        s->tokens =
            arena_tensor(&s->memory, own->dtype, 3, SHAPE(slots, own->shape[1], own->shape[2]));
    if (!device_check(a->device, err)) {
        act_slots_free(s);
        return false;
    }
    *out = s;
    return true;
}

void act_slots_free(ActSlots *s) {
    if (!s) return;
    tensor_arena_free(&s->memory);
    mem_free(s);
}

void act_use_slots(Act *a, const ActSlots *s) {
    a->slots.tokens = s ? s->tokens : a->own_slots;
}
