// SPDX-License-Identifier: Apache-2.0
// The reference backend, for reading and for comparing with: every function has the contract of
// the Device member of the same name in ops/ops.h. Plain loops, one thread, sums in double.
// The IMAGE layout here is plain contiguous (N, C, H, W).
//
// Every op returns at once when the device has failed: its tensors may then have no memory.
#ifndef TACT_OPS_REF_REF_H
#define TACT_OPS_REF_REF_H

#include "ops/ops.h"

// ---- helpers ----------------------------------------------------------------------------------
// A tensor seen as rows: the product of the leading dimensions, and the last one.
static inline int64_t ref_columns(Tensor t) {
    return t.shape[t.rank - 1];
}
static inline int64_t ref_rows(Tensor t) {
    int64_t n = 1;
    for (int i = 0; i < t.rank - 1; i++) n *= t.shape[i];
    return n;
}
// Offset in elements of row i of those rows, whatever the strides.
static inline int64_t ref_row_offset(Tensor t, int64_t i) {
    int64_t offset = 0;
    for (int dim = t.rank - 2; dim >= 0; dim--) {
        offset += i % t.shape[dim] * t.stride[dim];
        i /= t.shape[dim];
    }
    return offset;
}
static inline float *ref_row(Tensor t, int64_t i) {
    return f32(t) + ref_row_offset(t, i);
}
// sum of a[i] b[i]
static inline double ref_dot(const float *a, const float *b, int64_t n) {
    double sum[4] = {0}; // four chains of additions, so that one need not wait for the last
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) sum[j] += (double)a[i + j] * b[i + j];
    for (; i < n; i++) sum[0] += (double)a[i] * b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}
// sum += a x
static inline void ref_axpy(double *restrict sum, double a, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] += a * x[i];
}
// What dropout multiplies element (row, column) by: 0 or 1 / (1 - p).
static inline double ref_dropout_factor(Dropout drop, int64_t row, int64_t column) {
    if (drop.p == 0) return 1;
    uint32_t words[4];
    rng_words(words, drop.key, (uint32_t)row, (uint32_t)(column / 4));
    return rng_unit(words[column % 4]) >= drop.p ? 1 / (1 - (double)drop.p) : 0;
}

// ---- memory.c ---------------------------------------------------------------------------------
void ref_attach(Device *d);
void *ref_alloc(Device *d, size_t bytes);
void *ref_alloc_raw(Device *d, size_t bytes);
void ref_release(Device *d, void *p);
void ref_upload(Device *d, void *device_dst, const void *host_src, size_t bytes);
void ref_download(Device *d, void *host_dst, const void *device_src, size_t bytes);
void ref_synchronize(Device *d);
void ref_close(Device *d);
size_t ref_memory_free(Device *d);
void ref_pin(Device *d, void *host, size_t bytes, bool pinned);
void ref_staged(Device *d);
void ref_download_begin(Device *d, int slot, const void *device_src, size_t bytes);
void ref_download_end(Device *d, int slot, void *host_dst, size_t bytes);
bool ref_record_begin(Device *d, Record **r, StepNumbers numbers);
void ref_record_end(Device *d, Record **r);
void ref_record_free(Device *d, Record *r);
void ref_weights_load(Device *d, Tensor flat, bool lasting);

// ---- elementwise.c ----------------------------------------------------------------------------
void ref_zero(Device *d, Tensor y);
void ref_copy(Device *d, Tensor y, Tensor x);
void ref_add(Device *d, Tensor y, Tensor a, Tensor b);
void ref_lerp(Device *d, Tensor y, Tensor x, Tensor halt, float weight);
void ref_add_rows(Device *d, Tensor y, Tensor x, Tensor row);
void ref_sum_rows(Device *d, Tensor drow, Tensor dy);

// ---- embed.c, random.c ------------------------------------------------------------------------
void ref_embed_forward(Device *d, Tensor y, Tensor base, Tensor table, Tensor index);
void ref_embed_backward(Device *d, Tensor dtable, Tensor dy, Tensor index);
void ref_random_normal(Device *d, Tensor y, RngKey key);

// ---- image.c ----------------------------------------------------------------------------------
size_t ref_image_bytes(Device *d, int64_t n, int64_t c, int64_t h, int64_t w);
void ref_image_normalize(Device *d, Tensor y, Tensor x, const float mean[3], const float std[3]);
void ref_image_from_plain(Device *d, Tensor y, Tensor x);
void ref_image_to_plain(Device *d, Tensor y, Tensor x);
void ref_tokens_from_image(Device *d, Tensor y, Tensor x);
void ref_image_from_tokens(Device *d, Tensor dx, Tensor dy);

// ---- conv.c, pool.c ---------------------------------------------------------------------------
Conv *ref_conv_new(Device *d, ConvSpec spec);
void ref_conv_free(Device *d, Conv *c);
void ref_conv_load(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift);
void ref_conv_forward(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual);
void ref_conv_backward(Device *d, Conv *c, Tensor dx, Tensor dw, Tensor dz, Tensor x);
void ref_relu_backward(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y);
Pool *ref_pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train);
void ref_pool_free(Device *d, Pool *p);
void ref_pool_forward(Device *d, Pool *p, Tensor y, Tensor x);
void ref_pool_backward(Device *d, Pool *p, Tensor dx, Tensor dy);

// ---- linear.c, activation.c, layernorm.c, attention.c -----------------------------------------
void ref_linear_forward(Device *d, Tensor y, Tensor x, Tensor w, Tensor b);
void ref_linear_backward(Device *d, Tensor dx, Tensor dw, Tensor db, Tensor dy, Tensor x, Tensor w,
                         bool accumulate);
void ref_activation_forward(Device *d, Tensor y, Tensor x, Activation act, Dropout drop);
void ref_activation_backward(Device *d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act,
                             Dropout drop);
void ref_dropout_add_forward(Device *d, Tensor r, Tensor x, Tensor s, Dropout drop);
void ref_dropout_add_backward(Device *d, Tensor ds, Tensor dr, Dropout drop);
void ref_layernorm_forward(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
                           Tensor beta);
void ref_layernorm_backward(Device *d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x,
                            Tensor mean, Tensor rstd, Tensor gamma, bool accumulate);
void ref_attention_forward(Device *d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                           Tensor key_pad, int heads, Dropout drop);
void ref_attention_backward(Device *d, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor o,
                            Tensor lse, Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads,
                            Dropout drop);

// ---- vae.c, loss.c, optimizer.c ---------------------------------------------------------------
void ref_vae_sample_forward(Device *d, Tensor z, Tensor params, Tensor eps);
void ref_vae_sample_backward(Device *d, Tensor dparams, Tensor dz, Tensor params, Tensor eps,
                             float kl_weight);
void ref_act_loss_forward(Device *d, Tensor losses, Tensor prediction, Tensor target, Tensor pad,
                          Tensor params, float kl_weight);
void ref_act_loss_backward(Device *d, Tensor dprediction, Tensor prediction, Tensor target,
                           Tensor pad);
void ref_grad_norm(Device *d, Tensor norm, Tensor halt, Tensor g, Tensor losses);
void ref_adamw(Device *d, Tensor p, Tensor g, Tensor m, Tensor v, Tensor norm, Tensor halt,
               AdamW a);

#endif
