// SPDX-License-Identifier: Apache-2.0
#include "model/vae.h"

#include <string.h>

void vae_init(Vae *v, const Params *p, const PolicyConfig *c, int batch, bool train,
              TensorArena *fixed) {
    *v = (Vae){.config = c, .batch = batch, .tokens = 1 + (c->state_dim > 0) + c->chunk_size};
    encoder_init(&v->encoder, p, c, "vae_encoder", c->n_vae_encoder_layers);
    v->cls = value_of(p, "model.vae_encoder_cls_embed.weight");
    v->dcls = grad_of(p, "model.vae_encoder_cls_embed.weight");
    if (c->state_dim) v->state_proj = linear_of(p, "model.vae_encoder_robot_state_input_proj");
    v->action_proj = linear_of(p, "model.vae_encoder_action_input_proj");
    v->latent_proj = linear_of(p, "model.vae_encoder_latent_output_proj");
    Tensor pos = value_of(p, "model.vae_encoder_pos_enc");
    v->positions = tensor_reshape(pos, 2, SHAPE(pos.shape[1], pos.shape[2]));
    if (!train) return;
    v->eps = arena_tensor(fixed, DTYPE_F32, 2, SHAPE(batch, c->latent_dim));
    v->pad = arena_tensor(fixed, DTYPE_U8, 2, SHAPE(batch, v->tokens));
    v->host_pad = TRY_NEW(uint8_t, batch * v->tokens);
    if (!v->host_pad)
        device_fail_memory(p->device, "marks of %lld tokens", (long long)(batch * v->tokens));
}

void vae_free(Vae *v) {
    encoder_free(&v->encoder);
    mem_free(v->host_pad);
}

void vae_stage(Vae *v, Device *d, const uint8_t *action_is_pad) {
    int64_t S = v->config->chunk_size, Q = policy_action_rows(v->config);
    for (int b = 0; b < v->batch; b++) // the class token and the state are never padding
        memcpy(v->host_pad + (b + 1) * v->tokens - S, action_is_pad + b * Q, (size_t)S);
    d->stage(d, v->pad.data, v->host_pad, (size_t)(v->batch * v->tokens));
}

Tensor vae_forward(Net *net, Vae *v, Tensor state, Tensor action, const float *eps) {
    Device *d = net->device;
    const PolicyConfig *c = v->config;
    int64_t B = v->batch, D = c->dim_model, S = c->chunk_size, T = c->obs_state_horizon;
    Tensor x = net_tensor(net, 3, SHAPE(B, v->tokens, D));
    d->add_rows(d, tensor_slice(x, 1, 0, 1), (Tensor){0}, v->cls);
    if (c->state_dim) { // the newest observation only
        Tensor row = net_tensor(net, 3, SHAPE(B, 1, D));
        v->newest_state = net_float(net, 3, SHAPE(B, 1, c->state_dim));
        d->copy(d, v->newest_state, tensor_slice(state, 1, T - 1, 1));
        linear_forward(net, &v->state_proj, row, v->newest_state);
        d->copy(d, tensor_slice(x, 1, 1, 1), row);
    }
    v->action = action;
    if (c->n_past_actions) { // of the chunk only
        v->action = net_float(net, 3, SHAPE(B, S, c->action_dim));
        d->copy(d, v->action, tensor_slice(action, 1, 0, S));
    }
    Tensor rows = net_tensor(net, 3, SHAPE(B, S, D));
    linear_forward(net, &v->action_proj, rows, v->action);
    d->copy(d, tensor_slice(x, 1, v->tokens - S, S), rows);

    Tensor y = encoder_forward(net, &v->encoder, x, v->positions, v->pad);
    v->cls_out = net_tensor(net, 3, SHAPE(B, 1, D));
    d->copy(d, v->cls_out, tensor_slice(y, 1, 0, 1));
    v->latent_params = net_float(net, 2, SHAPE(B, 2 * c->latent_dim));
    linear_forward(net, &v->latent_proj, v->latent_params,
                   tensor_reshape(v->cls_out, 2, SHAPE(B, D)));
    RngKey key = net_key(net, 1);
    if (eps)
        d->upload(d, v->eps.data, eps, (size_t)tensor_count(v->eps) * sizeof *eps);
    else
        d->random_normal(d, v->eps, key);
    Tensor z = net_float(net, 2, SHAPE(B, c->latent_dim));
    d->vae_sample_forward(d, z, v->latent_params, v->eps);
    return z;
}

void vae_backward(Net *net, Vae *v, Tensor dz, float share) {
    Device *d = net->device;
    const PolicyConfig *c = v->config;
    int64_t B = v->batch, D = c->dim_model, S = c->chunk_size;
    Tensor dparams = net_like(net, v->latent_params), none = {0};
    d->vae_sample_backward(d, dparams, dz, v->latent_params, v->eps, share * (float)c->kl_weight);
    Tensor dcls = net_tensor(net, 3, SHAPE(B, 1, D));
    linear_backward(net, &v->latent_proj, tensor_reshape(dcls, 2, SHAPE(B, D)), dparams,
                    tensor_reshape(v->cls_out, 2, SHAPE(B, D)), false);
    Tensor dx = net_tensor(net, 3, SHAPE(B, v->tokens, D));
    d->zero(d, dx);
    d->copy(d, tensor_slice(dx, 1, 0, 1), dcls);
    encoder_backward(net, &v->encoder, dx, none);

    d->sum_rows(d, v->dcls, tensor_slice(dx, 1, 0, 1));
    if (c->state_dim) {
        Tensor drow = net_tensor(net, 3, SHAPE(B, 1, D));
        d->copy(d, drow, tensor_slice(dx, 1, 1, 1));
        linear_backward(net, &v->state_proj, none, drow, v->newest_state, false);
    }
    Tensor drows = net_tensor(net, 3, SHAPE(B, S, D));
    d->copy(d, drows, tensor_slice(dx, 1, v->tokens - S, S));
    linear_backward(net, &v->action_proj, none, drows, v->action, false);
}
