// SPDX-License-Identifier: Apache-2.0
#include "train/step.h"

#include "base/memory.h"

void step_init(Step *s, Act *act, Optimizer *optimizer, int pieces) {
    *s = (Step){.device = optimizer->params->device,
                .act = act,
                .optimizer = optimizer,
                .pieces = pieces,
                .records = NEW(Record *, pieces)};
}

void step_free(Step *s) {
    if (!s->device) return;
    for (int i = 0; i < s->pieces; i++) s->device->record_free(s->device, s->records[i]);
    mem_free(s->records);
    *s = (Step){0};
}

void step_inputs_free(Step *s) {
    s->device->staged(s->device);
}

// The two download slots of a step: its losses and its gradient norm.
static int slot_of(int64_t step) {
    return (int)(step % 2) * 2;
}

// Gradients are 0 before the first piece: AdamW leaves them so.
static void issue_ops(Step *s, uint64_t seed) {
    if (s->piece == 0) act_train_begin(s->act);
    act_train_forward(s->act, NULL, seed, s->numbers.step);
    act_train_backward(s->act);
    if (s->piece + 1 < s->pieces) return;
    optimizer_ops(s->optimizer, act_losses(s->act));
    act_load_params(s->act);
}

void step_piece(Step *s, const ActInput *in, uint64_t seed) {
    Device *d = s->device;
    d->staged(d);
    act_stage(s->act, in);
    if (s->piece == 0) s->numbers = optimizer_begin(s->optimizer);
    if (d->record_begin(d, &s->records[s->piece], s->numbers)) issue_ops(s, seed);
    d->record_end(d, &s->records[s->piece]);
    if (++s->piece < s->pieces) return;
    s->piece = 0;
    int slot = slot_of(s->started++);
    d->download_begin(d, slot, act_losses(s->act).data, sizeof(ActLosses));
    d->download_begin(d, slot + 1, s->optimizer->norm.data, sizeof(float));
}

bool step_finish(Step *s, StepResult *out, Error *err) {
    Device *d = s->device;
    int slot = slot_of(s->finished++);
    d->download_end(d, slot, &out->losses, sizeof out->losses);
    d->download_end(d, slot + 1, &out->grad_norm, sizeof out->grad_norm);
    return device_check(d, err);
}
