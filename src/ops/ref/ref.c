// SPDX-License-Identifier: Apache-2.0
// The table of the reference device.
#include "ops/ref/ref.h"

void ref_device(Device *d) {
    d->attach = ref_attach;
    d->alloc = ref_alloc;
    d->alloc_raw = ref_alloc_raw;
    d->release = ref_release;
    d->upload = ref_upload;
    d->download = ref_download;
    d->synchronize = ref_synchronize;
    d->close = ref_close;
    d->memory_free = ref_memory_free;
    d->pin = ref_pin;
    d->stage = ref_upload;
    d->staged = ref_staged;
    d->download_begin = ref_download_begin;
    d->download_end = ref_download_end;
    d->record_begin = ref_record_begin;
    d->record_end = ref_record_end;
    d->record_free = ref_record_free;
    d->weights_load = ref_weights_load;

    d->zero = ref_zero;
    d->copy = ref_copy;
    d->add = ref_add;
    d->lerp = ref_lerp;
    d->add_rows = ref_add_rows;
    d->sum_rows = ref_sum_rows;
    d->embed_forward = ref_embed_forward;
    d->embed_backward = ref_embed_backward;
    d->random_normal = ref_random_normal;

    d->image_bytes = ref_image_bytes;
    d->image_normalize = ref_image_normalize;
    d->image_from_plain = ref_image_from_plain;
    d->image_to_plain = ref_image_to_plain;
    d->tokens_from_image = ref_tokens_from_image;
    d->image_from_tokens = ref_image_from_tokens;
    d->conv_new = ref_conv_new;
    d->conv_free = ref_conv_free;
    d->conv_load = ref_conv_load;
    d->conv_forward = ref_conv_forward;
    d->conv_backward = ref_conv_backward;
    d->relu_backward = ref_relu_backward;
    d->pool_new = ref_pool_new;
    d->pool_free = ref_pool_free;
    d->pool_forward = ref_pool_forward;
    d->pool_backward = ref_pool_backward;

    d->linear_forward = ref_linear_forward;
    d->linear_backward = ref_linear_backward;
    d->activation_forward = ref_activation_forward;
    d->activation_backward = ref_activation_backward;
    d->dropout_add_forward = ref_dropout_add_forward;
    d->dropout_add_backward = ref_dropout_add_backward;
    d->layernorm_forward = ref_layernorm_forward;
    d->layernorm_backward = ref_layernorm_backward;
    d->attention_forward = ref_attention_forward;
    d->attention_backward = ref_attention_backward;

    d->vae_sample_forward = ref_vae_sample_forward;
    d->vae_sample_backward = ref_vae_sample_backward;
    d->act_loss_forward = ref_act_loss_forward;
    d->act_loss_backward = ref_act_loss_backward;
    d->grad_norm = ref_grad_norm;
    d->adamw = ref_adamw;
}

// The table is all there is to it.
CHECKED static bool ref_open(Device *d, const char *argument, Error *err) {
    (void)d, (void)argument, (void)err;
    return true;
}

static size_t ref_keeps(Precision precision, size_t parameters) {
    (void)precision, (void)parameters;
    return 0;
}

const Backend ref_backend = {
    .name = "ref",
    .precisions = PRECISION_BIT(PRECISION_FLOAT32),
    .trains_best = PRECISION_FLOAT32,
    .host_memory = true,
    .side_by_side = true,
    .picture_channels = 3,
    .keeps = ref_keeps,
    .open = ref_open,
};
