// SPDX-License-Identifier: Apache-2.0
// Where a device's time goes: its table of ops is replaced by one that measures each and calls the
// other.
#include "ops/profile.h"

#include "base/log.h"
#include "base/memory.h"

// name, parameters, arguments
#define OPS(OP)                                                                                    \
    OP(upload, (Device * d, void *device_dst, const void *host_src, size_t bytes),                 \
       (d, device_dst, host_src, bytes))                                                           \
    OP(download, (Device * d, void *host_dst, const void *device_src, size_t bytes),               \
       (d, host_dst, device_src, bytes))                                                           \
    OP(weights_load, (Device * d, Tensor flat, bool lasting), (d, flat, lasting))                  \
    OP(zero, (Device * d, Tensor y), (d, y))                                                       \
    OP(copy, (Device * d, Tensor y, Tensor x), (d, y, x))                                          \
    OP(add, (Device * d, Tensor y, Tensor a, Tensor b), (d, y, a, b))                              \
    OP(lerp, (Device * d, Tensor y, Tensor x, Tensor halt, float weight), (d, y, x, halt, weight)) \
    OP(add_rows, (Device * d, Tensor y, Tensor x, Tensor row), (d, y, x, row))                     \
    OP(sum_rows, (Device * d, Tensor drow, Tensor dy), (d, drow, dy))                              \
    OP(embed_forward, (Device * d, Tensor y, Tensor base, Tensor table, Tensor index),             \
       (d, y, base, table, index))                                                                 \
    OP(embed_backward, (Device * d, Tensor dtable, Tensor dy, Tensor index),                       \
       (d, dtable, dy, index))                                                                     \
    OP(random_normal, (Device * d, Tensor y, RngKey key), (d, y, key))                             \
    OP(image_normalize, (Device * d, Tensor y, Tensor x, const float mean[3], const float std[3]), \
       (d, y, x, mean, std))                                                                       \
    OP(image_from_plain, (Device * d, Tensor y, Tensor x), (d, y, x))                              \
    OP(image_to_plain, (Device * d, Tensor y, Tensor x), (d, y, x))                                \
    OP(tokens_from_image, (Device * d, Tensor y, Tensor x), (d, y, x))                             \
    OP(image_from_tokens, (Device * d, Tensor dx, Tensor dy), (d, dx, dy))                         \
    OP(conv_load, (Device * d, Conv * c, Tensor w, Tensor scale, Tensor shift),                    \
       (d, c, w, scale, shift))                                                                    \
    OP(conv_forward, (Device * d, Conv * c, Tensor y, Tensor x, Tensor residual),                  \
       (d, c, y, x, residual))                                                                     \
    OP(conv_backward, (Device * d, Conv * c, Tensor dx, Tensor dw, Tensor dz, Tensor x),           \
       (d, c, dx, dw, dz, x))                                                                      \
    OP(relu_backward, (Device * d, Tensor dz, Tensor dy, Tensor dskip, Tensor y),                  \
       (d, dz, dy, dskip, y))                                                                      \
    OP(pool_forward, (Device * d, Pool * p, Tensor y, Tensor x), (d, p, y, x))                     \
    OP(pool_backward, (Device * d, Pool * p, Tensor dx, Tensor dy), (d, p, dx, dy))                \
    OP(linear_forward, (Device * d, Tensor y, Tensor x, Tensor w, Tensor b), (d, y, x, w, b))      \
    OP(linear_backward,                                                                            \
       (Device * d, Tensor dx, Tensor dw, Tensor db, Tensor dy, Tensor x, Tensor w,                \
        bool accumulate),                                                                          \
       (d, dx, dw, db, dy, x, w, accumulate))                                                      \
    OP(activation_forward, (Device * d, Tensor y, Tensor x, Activation act, Dropout drop),         \
       (d, y, x, act, drop))                                                                       \
    OP(activation_backward,                                                                        \
       (Device * d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act, Dropout drop),       \
       (d, dx, dy, x, y, act, drop))                                                               \
    OP(dropout_add_forward, (Device * d, Tensor r, Tensor x, Tensor s, Dropout drop),              \
       (d, r, x, s, drop))                                                                         \
    OP(dropout_add_backward, (Device * d, Tensor ds, Tensor dr, Dropout drop), (d, ds, dr, drop))  \
    OP(layernorm_forward,                                                                          \
       (Device * d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma, Tensor beta),      \
       (d, y, mean, rstd, x, gamma, beta))                                                         \
    OP(layernorm_backward,                                                                         \
       (Device * d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x, Tensor mean,      \
        Tensor rstd, Tensor gamma, bool accumulate),                                               \
       (d, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, accumulate))                               \
    OP(attention_forward,                                                                          \
       (Device * d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads, \
        Dropout drop),                                                                             \
       (d, o, lse, q, k, v, key_pad, heads, drop))                                                 \
    OP(attention_backward,                                                                         \
       (Device * d, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor o, Tensor lse, Tensor q,  \
        Tensor k, Tensor v, Tensor key_pad, int heads, Dropout drop),                              \
       (d, dq, dk, dv, dout, o, lse, q, k, v, key_pad, heads, drop))                               \
    OP(vae_sample_forward, (Device * d, Tensor z, Tensor params, Tensor eps), (d, z, params, eps)) \
    OP(vae_sample_backward,                                                                        \
       (Device * d, Tensor dparams, Tensor dz, Tensor params, Tensor eps, float kl_weight),        \
       (d, dparams, dz, params, eps, kl_weight))                                                   \
    OP(act_loss_forward,                                                                           \
       (Device * d, Tensor losses, Tensor prediction, Tensor target, Tensor pad, Tensor params,    \
        float kl_weight),                                                                          \
       (d, losses, prediction, target, pad, params, kl_weight))                                    \
    OP(act_loss_backward,                                                                          \
       (Device * d, Tensor dprediction, Tensor prediction, Tensor target, Tensor pad),             \
       (d, dprediction, prediction, target, pad))                                                  \
    OP(grad_norm, (Device * d, Tensor norm, Tensor halt, Tensor g, Tensor losses),                 \
       (d, norm, halt, g, losses))                                                                 \
    OP(adamw,                                                                                      \
       (Device * d, Tensor p, Tensor g, Tensor m, Tensor v, Tensor norm, Tensor halt, AdamW a),    \
       (d, p, g, m, v, norm, halt, a))

#define NUMBER(name, params, args) NUMBER_##name,
enum { OPS(NUMBER) OP_COUNT };

typedef struct Profile {
    Device inner;
    ProfileEntry entries[OP_COUNT];
} Profile;

static void count(Device *d, int op, double start) {
    d->profile->inner.synchronize(d); // a device that works beside the host is waited for
    ProfileEntry *e = &d->profile->entries[op];
    e->seconds += clock_seconds() - start;
    e->calls++;
}

#define WRAPPER(name, params, args)                                                                \
    static void timed_##name params {                                                              \
        double start = clock_seconds();                                                            \
        d->profile->inner.name args;                                                               \
        count(d, NUMBER_##name, start);                                                            \
    }
OPS(WRAPPER)

void profile_start(Device *d) {
    d->profile = NEW(Profile, 1);
    d->profile->inner = *d;
#define REPLACE(name, params, args)                                                                \
    d->profile->entries[NUMBER_##name].op = #name;                                                 \
    d->name = timed_##name;
    OPS(REPLACE)
}

int profile_entries(const Device *d, const ProfileEntry **out) {
    *out = d->profile->entries;
    return OP_COUNT;
}

void profile_reset(Device *d) {
    for (int i = 0; i < OP_COUNT; i++) {
        d->profile->entries[i].calls = 0;
        d->profile->entries[i].seconds = 0;
    }
}

void profile_stop(Device *d) {
    if (!d->profile) return;
#define RESTORE(name, params, args) d->name = d->profile->inner.name;
    OPS(RESTORE)
    mem_free(d->profile);
    d->profile = NULL;
}
