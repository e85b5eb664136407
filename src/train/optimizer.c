// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

bool optimizer_init(Optimizer *o, Params *params, const TrainConfig *config, Error *err) {
    Device *d = params->device;
    const PolicyConfig *p = &config->policy;
    *o = (Optimizer){.params = params,
                     .lr = p->optimizer_lr,
                     .lr_backbone = p->optimizer_lr_backbone,
                     .weight_decay = p->optimizer_weight_decay,
                     .beta1 = config->adam_beta1,
                     .beta2 = config->adam_beta2,
                     .eps = config->adam_eps,
                     .max_norm = config->grad_clip_norm};
    o->m = params_flat(d, params->trainable);
    o->v = params_flat(d, params->trainable);
    o->norm = params_flat(d, 1);
    o->halt = params_flat(d, 1);
    if (device_check(d, err)) return true;
    optimizer_free(o);
    return false;
}

void optimizer_free(Optimizer *o) {
    if (!o->params) return;
    Device *d = o->params->device;
    d->release(d, o->m.data);
    d->release(d, o->v.data);
    d->release(d, o->norm.data);
    d->release(d, o->halt.data);
    *o = (Optimizer){0};
}

// Issues the update of one group, which is elements [start, end) of the flat arrays.
static void adamw_of_group(Optimizer *o, int group, int64_t start, int64_t end, double lr) {
    if (end <= start) return;
    const Params *p = o->params;
    int64_t n = end - start;
    AdamW a = {.lr = (float)lr,
               .beta1 = (float)o->beta1,
               .beta2 = (float)o->beta2,
               .eps = (float)o->eps,
               .weight_decay = (float)o->weight_decay,
               .max_norm = (float)o->max_norm,
               .step = o->step,
               .group = group};
    p->device->adamw(p->device, tensor_slice(p->values, 0, start, n),
                     tensor_slice(p->grads, 0, start, n), tensor_slice(o->m, 0, start, n),
                     tensor_slice(o->v, 0, start, n), o->norm, o->halt, a);
}

StepNumbers optimizer_begin(Optimizer *o) {
    o->step++;
    return (StepNumbers){.step = (uint32_t)o->step, .lr = {(float)o->lr, (float)o->lr_backbone}};
}

void optimizer_ops(Optimizer *o, Tensor losses) {
    Params *p = o->params;
    p->device->grad_norm(p->device, o->norm, o->halt, p->grads, losses);
    adamw_of_group(o, 0, 0, p->main, o->lr);
    adamw_of_group(o, 1, p->main, p->trainable, o->lr_backbone);
}
