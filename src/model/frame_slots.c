// SPDX-License-Identifier: Apache-2.0
#include "model/token_layout.h"

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
