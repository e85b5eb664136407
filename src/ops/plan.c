// SPDX-License-Identifier: Apache-2.0
// A device that does nothing and counts: a model built and run on it tells how much memory the same
// model takes on another device, in a few milliseconds and without that memory. Addresses are made
// up and never looked at.
#include "base/memory.h"
#include "ops/ops.h"

typedef struct Plan {
    size_t bytes;    // given out so far
    Backend backend; // the one to estimate for, but for where its memory is: here it is nowhere
} Plan;

static void *plan_alloc(Device *d, size_t bytes) {
    Plan *p = d->impl;
    uintptr_t at = ((uintptr_t)1 << 40) + p->bytes;
    p->bytes += (bytes + 255) / 256 * 256;
    return (void *)at;
}

static size_t plan_image_bytes(Device *d, int64_t n, int64_t c, int64_t h, int64_t w) {
    int64_t stored = c == 3 ? d->backend->picture_channels : c;
    return (size_t)(n * stored * h * w) * dtype_size(d->images);
}

static Conv *plan_conv_new(Device *d, ConvSpec s) {
    size_t weights = (size_t)(s.out_c * (s.in_c + 1) * s.kernel * s.kernel) * dtype_size(d->images);
    if (d->backend->packs_weights) plan_alloc(d, weights * (s.train ? 2 : 1));
    return NULL;
}
static Pool *plan_pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train) {
    if (train) plan_alloc(d, (size_t)(n * c * ((h - 1) / 2 + 1) * ((w - 1) / 2 + 1)));
    return NULL;
}

// ---- everything else ----------------------------------------------------------------------------
#define UNUSED __attribute__((unused))
static void release(UNUSED Device *d, UNUSED void *p) {
}
static void transfer(UNUSED Device *d, UNUSED void *to, UNUSED const void *from, UNUSED size_t n) {
}
static void nothing(UNUSED Device *d) {
}
static void close_plan(Device *d) {
    mem_free(d->impl);
    mem_free(d);
}
static void one(UNUSED Device *d, UNUSED Tensor a) {
}
static void two(UNUSED Device *d, UNUSED Tensor a, UNUSED Tensor b) {
}
static void three(UNUSED Device *d, UNUSED Tensor a, UNUSED Tensor b, UNUSED Tensor c) {
}
static void four(UNUSED Device *d, UNUSED Tensor a, UNUSED Tensor b, UNUSED Tensor c,
                 UNUSED Tensor e) {
}
static void lerp(UNUSED Device *d, UNUSED Tensor y, UNUSED Tensor x, UNUSED Tensor halt,
                 UNUSED float weight) {
}
static void random_normal(UNUSED Device *d, UNUSED Tensor y, UNUSED RngKey key) {
}
static void image_normalize(UNUSED Device *d, UNUSED Tensor y, UNUSED Tensor x,
                            UNUSED const float mean[3], UNUSED const float std[3]) {
}
static void conv_free(UNUSED Device *d, UNUSED Conv *c) {
}
static void conv_load(UNUSED Device *d, UNUSED Conv *c, UNUSED Tensor w, UNUSED Tensor scale,
                      UNUSED Tensor shift) {
}
static void conv_forward(UNUSED Device *d, UNUSED Conv *c, UNUSED Tensor y, UNUSED Tensor x,
                         UNUSED Tensor r) {
}
static void conv_backward(UNUSED Device *d, UNUSED Conv *c, UNUSED Tensor dx, UNUSED Tensor dw,
                          UNUSED Tensor dz, UNUSED Tensor x) {
}
static void pool_free(UNUSED Device *d, UNUSED Pool *p) {
}
static void pool_run(UNUSED Device *d, UNUSED Pool *p, UNUSED Tensor a, UNUSED Tensor b) {
}
static void linear_backward(UNUSED Device *d, UNUSED Tensor dx, UNUSED Tensor dw, UNUSED Tensor db,
                            UNUSED Tensor dy, UNUSED Tensor x, UNUSED Tensor w,
                            UNUSED bool accumulate) {
}
static void activation_forward(UNUSED Device *d, UNUSED Tensor y, UNUSED Tensor x,
                               UNUSED Activation act, UNUSED Dropout drop) {
}
static void activation_backward(UNUSED Device *d, UNUSED Tensor dx, UNUSED Tensor dy,
                                UNUSED Tensor x, UNUSED Tensor y, UNUSED Activation act,
                                UNUSED Dropout drop) {
}
static void dropout_add_forward(UNUSED Device *d, UNUSED Tensor r, UNUSED Tensor x, UNUSED Tensor s,
                                UNUSED Dropout drop) {
}
static void dropout_add_backward(UNUSED Device *d, UNUSED Tensor ds, UNUSED Tensor dr,
                                 UNUSED Dropout drop) {
}
static void layernorm_forward(UNUSED Device *d, UNUSED Tensor y, UNUSED Tensor mean,
                              UNUSED Tensor rstd, UNUSED Tensor x, UNUSED Tensor gamma,
                              UNUSED Tensor beta) {
}
static void layernorm_backward(UNUSED Device *d, UNUSED Tensor dx, UNUSED Tensor dgamma,
                               UNUSED Tensor dbeta, UNUSED Tensor dy, UNUSED Tensor x,
                               UNUSED Tensor mean, UNUSED Tensor rstd, UNUSED Tensor gamma,
                               UNUSED bool accumulate) {
}
static void attention_forward(UNUSED Device *d, UNUSED Tensor o, UNUSED Tensor lse, UNUSED Tensor q,
                              UNUSED Tensor k, UNUSED Tensor v, UNUSED Tensor pad, UNUSED int heads,
                              UNUSED Dropout drop) {
}
static void attention_backward(UNUSED Device *d, UNUSED Tensor dq, UNUSED Tensor dk,
                               UNUSED Tensor dv, UNUSED Tensor dout, UNUSED Tensor o,
                               UNUSED Tensor lse, UNUSED Tensor q, UNUSED Tensor k, UNUSED Tensor v,
                               UNUSED Tensor pad, UNUSED int heads, UNUSED Dropout drop) {
}
static void vae_sample_backward(UNUSED Device *d, UNUSED Tensor dparams, UNUSED Tensor dz,
                                UNUSED Tensor params, UNUSED Tensor eps, UNUSED float kl_weight) {
}
static void act_loss_forward(UNUSED Device *d, UNUSED Tensor losses, UNUSED Tensor prediction,
                             UNUSED Tensor target, UNUSED Tensor pad, UNUSED Tensor params,
                             UNUSED float kl_weight) {
}

Device *plan_device(const Backend *backend, Precision precision) {
    Device *d = NEW(Device, 1);
    Plan *p = NEW(Plan, 1);
    ref_device(d); // what is not overwritten below copies within the host only, and is not called
    p->backend = *backend;
    p->backend.host_memory = false;
    d->backend = &p->backend;
    d->impl = p;
    d->precision = precision;
    d->images = backend->images[precision];
    d->activations = backend->activations[precision];
    d->alloc = d->alloc_raw = plan_alloc;
    d->release = release;
    d->upload = d->download = d->stage = transfer;
    d->synchronize = nothing;
    d->close = close_plan;
    d->zero = one;
    d->copy = d->sum_rows = two;
    d->add = d->add_rows = d->embed_backward = three;
    d->lerp = lerp;
    d->embed_forward = four;
    d->random_normal = random_normal;
    d->image_bytes = plan_image_bytes;
    d->image_normalize = image_normalize;
    d->image_from_plain = d->image_to_plain = two;
    d->tokens_from_image = d->image_from_tokens = two;
    d->conv_new = plan_conv_new;
    d->conv_free = conv_free;
    d->conv_load = conv_load;
    d->conv_forward = conv_forward;
    d->conv_backward = conv_backward;
    d->relu_backward = four;
    d->pool_new = plan_pool_new;
    d->pool_free = pool_free;
    d->pool_forward = d->pool_backward = pool_run;
    d->linear_forward = four;
    d->linear_backward = linear_backward;
    d->activation_forward = activation_forward;
    d->activation_backward = activation_backward;
    d->dropout_add_forward = dropout_add_forward;
    d->dropout_add_backward = dropout_add_backward;
    d->layernorm_forward = layernorm_forward;
    d->layernorm_backward = layernorm_backward;
    d->attention_forward = attention_forward;
    d->attention_backward = attention_backward;
    d->vae_sample_forward = three;
    d->vae_sample_backward = vae_sample_backward;
    d->act_loss_forward = act_loss_forward;
    d->act_loss_backward = four;
    return d;
}

size_t plan_bytes(const Device *d) {
    return ((const Plan *)d->impl)->bytes;
}
