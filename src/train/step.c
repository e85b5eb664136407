// SPDX-License-Identifier: Apache-2.0
#include "train/step.h"

void step_init(Step *s, Act *act, Optimizer *optimizer) {
    *s = (Step){.device = optimizer->params->device, .act = act, .optimizer = optimizer};
}

void step_free(Step *s) {
    if (!s->device) return;
    s->device->record_free(s->device, s->record);
    *s = (Step){0};
}

void step_inputs_free(Step *s) {
    s->device->staged(s->device);
}

// The two download slots of a step: its losses and its gradient norm.
static int slot_of(int64_t step) {
    return (int)(step % 2) * 2;
}

void step_start(Step *s, const ActInput *in, uint64_t seed) {
    Device *d = s->device;
    d->staged(d);
    act_stage(s->act, in);
    StepNumbers numbers = optimizer_begin(s->optimizer);
    if (d->record_begin(d, &s->record, numbers)) {
        act_train_forward(s->act, NULL, seed, numbers.step);
        act_train_backward(s->act);
        optimizer_ops(s->optimizer, act_losses(s->act));
        act_load_params(s->act);
    }
    d->record_end(d, &s->record);
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
