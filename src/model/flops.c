// SPDX-License-Identifier: Apache-2.0
// Arithmetic of a step, counted from shapes: 2 operations a multiply-add.
#include "model/act_parts.h"

static double attention_flops(double B, double Lq, double Lk, double D) {
    double projections = 2 * B * D * D * (2 * Lq + 2 * Lk); // q and out, k and v
    return projections + 4 * B * Lq * Lk * D;               // scores and their product with v
}

static double feed_forward_flops(double B, double L, double D, double F) {
    return 4 * B * L * D * F;
}

// What a model without training has kept of the decoder since its parameters were loaded: the first
// layer's self-attention, and the queries of its cross-attention.
static double kept_flops(const Act *a) {
    const PolicyConfig *c = &a->config;
    double B = a->batch, D = c->dim_model, Q = policy_action_rows(c);
    return a->decoder.kept.data ? attention_flops(B, Q, Q, D) + 2 * B * Q * D * D : 0;
}

// Everything but the backbone; the VAE encoder only runs in training.
static double transformer_flops(const Act *a, bool vae) {
    const PolicyConfig *c = &a->config;
    double B = a->batch, D = c->dim_model, F = c->dim_feedforward, S = c->chunk_size;
    double L = (double)a->layout.tokens, V = (double)a->vae.tokens, total = -kept_flops(a);
    double Q = policy_action_rows(c);
    if (vae) {
        total += c->n_vae_encoder_layers *
                 (attention_flops(B, V, V, D) + feed_forward_flops(B, V, D, F));
        total += 2 * B * D * (c->state_dim + S * c->action_dim + 2 * c->latent_dim);
    }
    total += c->n_encoder_layers * (attention_flops(B, L, L, D) + feed_forward_flops(B, L, D, F));
    total += c->n_decoder_layers * (attention_flops(B, Q, Q, D) + attention_flops(B, Q, L, D) +
                                    feed_forward_flops(B, Q, D, F));
    double images = (double)(a->layout.tokens - a->layout.image_start);
    total += 2 * B * D *
             (images * (double)a->images.feature_c + c->latent_dim + Q * c->action_dim +
              (double)c->obs_state_horizon * c->state_dim + c->env_dim +
              (double)c->max_action_prefix * (c->action_dim + 1));
    return total;
}

// Of the tokens of one frame of each camera, what is made once (frame_slots.c): the ResNet, the
// projection to the model's width, and the first layer's queries, keys and values.
static double frames_flops(const Act *a) {
    double D = a->config.dim_model, T = a->config.obs_state_horizon;
    double tokens = (double)(a->layout.tokens - a->layout.image_start) / T;
    double projections = frames_are_projected(&a->config, a->device->precision) ? 3 * D : 0;
    return image_tokens_flops(&a->images, false) / T +
           2 * a->batch * tokens * D * ((double)a->images.feature_c + projections);
}

double act_forward_flops(const Act *a) {
    return transformer_flops(a, false) + image_tokens_flops(&a->images, false);
}

double act_cached_flops(const Act *a) {
    return act_forward_flops(a) - (a->config.obs_state_horizon - 1) * frames_flops(a);
}

double act_step_flops(const Act *a) {
    return 3 * transformer_flops(a, a->config.use_vae) + image_tokens_flops(&a->images, true);
}
