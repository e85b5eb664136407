// SPDX-License-Identifier: Apache-2.0
#include "model/action_prefix.h"

#include <string.h>

void action_prefix_init(ActionPrefix *p, const Params *params, const PolicyConfig *c, int batch,
                        TensorArena *fixed) {
    *p = (ActionPrefix){.batch = batch,
                        .most = c->max_action_prefix,
                        .rows = policy_action_rows(c),
                        .width = c->action_dim};
    p->proj = (Linear){.w = value_of(params, ACTION_PREFIX_WEIGHT),
                       .dw = grad_of(params, ACTION_PREFIX_WEIGHT)};
    p->input = arena_tensor(fixed, DTYPE_F32, 3, SHAPE(batch, p->most, p->width + 1));
    p->host = TRY_NEW(float, (size_t)batch *(size_t)p->most *(size_t)(p->width + 1));
    p->marks = TRY_NEW(uint8_t, (size_t)batch * (size_t)p->rows);
    if (!p->host || !p->marks)
        device_fail_memory(params->device, "%lld actions that are given",
                           (long long)batch * p->most);
}

void action_prefix_free(ActionPrefix *p) {
    mem_free(p->host);
    mem_free(p->marks);
}

static int given_to(const ActionPrefix *p, const ActInput *in, int sample) {
    const int n = in->action_prefix ? in->action_prefix[sample] : 0;
    return n < 0 ? 0 : n < p->most ? n : p->most; // there is room for so many
}

void action_prefix_stage(ActionPrefix *p, Device *d, const ActInput *in) {
    const size_t A = (size_t)p->width, row = A + 1;
    const size_t bytes = (size_t)p->batch * (size_t)p->most * row * sizeof *p->host;
    memset(p->host, 0, bytes);
    for (int b = 0; b < p->batch; b++)
        for (int s = 0; s < given_to(p, in, b); s++) {
            float *to = p->host + ((size_t)b * (size_t)p->most + (size_t)s) * row;
            const float *action = in->action + ((size_t)b * (size_t)p->rows + (size_t)s) * A;
            memcpy(to, action, A * sizeof *to);
            to[A] = 1;
        }
    d->stage(d, p->input.data, p->host, bytes);
}

const uint8_t *action_prefix_marks(ActionPrefix *p, const ActInput *in) {
    const size_t Q = (size_t)p->rows;
    memcpy(p->marks, in->action_is_pad, (size_t)p->batch * Q);
    for (int b = 0; b < p->batch; b++)
        memset(p->marks + (size_t)b * Q, 1, (size_t)given_to(p, in, b));
    return p->marks;
}
