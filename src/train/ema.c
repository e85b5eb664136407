// SPDX-License-Identifier: Apache-2.0
#include "train/ema.h"

#include <math.h>

bool ema_init(Ema *e, const EmaConfig *config, Params *params, Error *err) {
    Device *d = params->device;
    *e = (Ema){.config = config, .params = params};
    e->average = params_flat(d, params->trainable);
    if (!device_check(d, err)) {
        ema_free(e);
        return false;
    }
    d->copy(d, e->average, params->values);
    return true;
}

void ema_free(Ema *e) {
    if (e->params) e->params->device->release(e->params->device, e->average.data);
    *e = (Ema){0};
}

double ema_decay(const EmaConfig *c, int64_t n) {
    int64_t counted = n - c->update_after_step - 1;
    if (c->decay != CONFIG_NULL_NUMBER) return n > c->update_after_step ? c->decay : 0;
    if (counted <= 0) return 0;
    double decay = 1 - pow(1 + (double)counted / c->inv_gamma, -c->power);
    return fmax(c->min_decay, fmin(c->max_decay, decay));
}

void ema_update(Ema *e, Tensor halt) {
    if (!e->params) return;
    Device *d = e->params->device;
    double decay = ema_decay(e->config, ++e->updates);
    if (decay == 0)
        d->copy(d, e->average, e->params->values);
    else
        d->lerp(d, e->average, e->params->values, halt, (float)(1 - decay));
}

void ema_swap_in(Ema *e, Act *act) {
    Params *p = e->params;
    p->device->copy(p->device, p->grads, p->values);
    p->device->copy(p->device, p->values, e->average);
    act_load_params(act);
}

void ema_swap_out(Ema *e, Act *act) {
    Params *p = e->params;
    p->device->copy(p->device, p->values, p->grads);
    p->device->zero(p->device, p->grads);
    act_load_params(act);
}

Params ema_params(const Ema *e) {
    Params average = *e->params;
    average.values = e->average;
    return average;
}
