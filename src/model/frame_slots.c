// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "model/act.h"
#include "model/act_parts.h"

struct ActSlots {
    TensorArena memory;
    Tensor tokens; // as FrameSlots has them
};

Tensor frame_slot(const FrameSlots *s, const TokenLayout *layout, int slot, int camera) {
    Tensor t = tensor_slice(s->tokens, 0, slot, 1);
    return tensor_slice(t, 1, 0, layout->cameras[camera].cells);
}

void frame_slots_forward(Net *net, const FrameSlots *s, const PolicyConfig *c,
                         const TokenLayout *layout, Tensor x) {
    int T = c->obs_state_horizon;
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraTokens *camera = &layout->cameras[i];
        for (int t = 0; t < T; t++)
            net->device->copy(net->device,
                              tensor_slice(x, 1, camera->start + t * camera->cells, camera->cells),
                              frame_slot(s, layout, s->chosen[i * T + t], i));
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
