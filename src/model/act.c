// SPDX-License-Identifier: Apache-2.0
// The temporal ACT policy, put together from layers.h:
//
//   images (cameras, B, T, 3, h, w) -> ResNet -> (cameras, B, T*h'*w', D) --+   one batch a size
//   states (B, T, ds) -> linear -> (B, T, D) ------------------------------+-> tokens (B, L, D)
//   VAE: [cls, state, actions] -> encoder -> mu, log sigma^2 -> z -> linear-+
//   tokens -> encoder -> decoder (S learned queries) -> linear -> actions (B, S, A)
//
// Token order: [latent, state_0 .. state_{T-1}, env?, cam0 t0 .., cam0 t1 .., cam1 t0 ..].
#include "model/act.h"

#include "base/log.h"
#include "model/act_internal.h"
#include <string.h>

// ---- construction -----------------------------------------------------------------------------

static Tensor on_device(Act *a, DType dtype, int rank, const int64_t *shape) {
    return arena_tensor(&a->fixed, dtype, rank, shape);
}

static void init_projections(Act *a) {
    const Params *p = a->params;
    const PolicyConfig *c = &a->config;
    if (c->use_vae) {
        encoder_init(&a->vae_encoder, p, c, "vae_encoder", c->n_vae_encoder_layers);
        a->vae_cls = value_of(p, "model.vae_encoder_cls_embed.weight");
        a->dvae_cls = grad_of(p, "model.vae_encoder_cls_embed.weight");
        if (c->state_dim) a->vae_state = linear_of(p, "model.vae_encoder_robot_state_input_proj");
        a->vae_action = linear_of(p, "model.vae_encoder_action_input_proj");
        a->vae_out = linear_of(p, "model.vae_encoder_latent_output_proj");
        Tensor pos = value_of(p, "model.vae_encoder_pos_enc");
        a->vae_pos = tensor_reshape(pos, 2, SHAPE(pos.shape[1], pos.shape[2]));
    }
    encoder_init(&a->encoder, p, c, "encoder", c->n_encoder_layers);
    decoder_init(&a->decoder, p, c);
    if (c->state_dim) a->state_proj = linear_of(p, "model.encoder_robot_state_input_proj");
    if (c->env_dim) a->env_proj = linear_of(p, "model.encoder_env_state_input_proj");
    a->latent_proj = linear_of(p, "model.encoder_latent_input_proj");
    if (c->n_cameras) {
        Linear l = linear_of(p, "model.encoder_img_feat_input_proj");
        // A 1x1 convolution is a linear layer on tokens.
        const int64_t *shape = SHAPE(l.w.shape[0], l.w.shape[1]);
        l.w = tensor_reshape(l.w, 2, shape);
        if (l.dw.data) l.dw = tensor_reshape(l.dw, 2, shape);
        a->image_proj = l;
    }
    a->token_table = value_of(p, "model.encoder_1d_feature_pos_embed.weight");
    a->dtoken_table = grad_of(p, "model.encoder_1d_feature_pos_embed.weight");
    a->query_pos = value_of(p, "model.decoder_pos_embed.weight");
    a->dquery_pos = grad_of(p, "model.decoder_pos_embed.weight");
    a->head = linear_of(p, "model.action_head");
    if (strcmp(c->temporal_pos_embed, "none") != 0) {
        a->temporal_table = value_of(p, "temporal_pos_embed.weight");
        a->dtemporal_table = grad_of(p, "temporal_pos_embed.weight");
    }
}

// Device memory for what a batch brings in.
static void init_inputs(Act *a, bool train) {
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, T = c->obs_state_horizon, S = c->chunk_size;
    if (c->state_dim) a->state = on_device(a, DTYPE_F32, 3, SHAPE(B, T, c->state_dim));
    if (c->env_dim) a->env = on_device(a, DTYPE_F32, 2, SHAPE(B, c->env_dim));
    for (int i = 0; i < a->n_groups; i++) {
        ImageGroup *g = &a->groups[i];
        g->frames = on_device(a, DTYPE_U8, 4, SHAPE(g->images, g->height, g->width, 3));
    }
    // Evaluation with a loss reads actions too.
    a->action = on_device(a, DTYPE_F32, 3, SHAPE(B, S, c->action_dim));
    a->pad = on_device(a, DTYPE_U8, 2, SHAPE(B, S));
    a->losses = on_device(a, DTYPE_F32, 1, SHAPE(3));
    if (train && c->use_vae) {
        a->eps = on_device(a, DTYPE_F32, 2, SHAPE(B, c->latent_dim));
        a->vae_pad = on_device(a, DTYPE_U8, 2, SHAPE(B, a->vae_tokens));
        a->host_vae_pad = NEW(uint8_t, B * a->vae_tokens);
    }
}

const ImageStats image_stats_imagenet = {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

// Lays the tokens out. Returns the most tokens that one frame has.
static int64_t place_tokens(Act *a) {
    const PolicyConfig *c = &a->config;
    int64_t most = 0;
    a->vae_tokens = 1 + (c->state_dim > 0) + c->chunk_size;
    a->state_start = 1;
    a->env_start = a->state_start + (c->state_dim ? c->obs_state_horizon : 0);
    a->image_start = a->tokens = a->env_start + (c->env_dim > 0);
    for (int i = 0; i < c->n_cameras; i++) {
        CameraTokens *t = &a->camera_tokens[i];
        const ImageGroup *g = &a->groups[t->group];
        t->start = a->tokens;
        t->cells = g->feature_h * g->feature_w;
        a->tokens += c->obs_state_horizon * t->cells;
        most = t->cells > most ? t->cells : most;
    }
    return most;
}

// slots: 0, or those of an act_new_stream.
CHECKED static bool new_act(Device *d, const PolicyConfig *config, Params *params, int batch,
                            bool train, int slots, const ImageStats *image_stats, Act **out,
                            Error *err) {
    *out = NULL;
    Act *a = NEW(Act, 1);
    *a = (Act){.device = d, .config = *config, .params = params, .batch = batch, .train = train};
    a->fixed.device = a->net.acts.device = a->net.device = d;
    a->net.dropout = (float)config->dropout;
    const PolicyConfig *c = &a->config;
    for (int i = 0; i < c->n_cameras; i++) a->image_stats[i] = image_stats[i];
    if (!act_plan_images(a, slots > 0, err)) goto error;
    int64_t cells = place_tokens(a);
    init_projections(a);
    init_inputs(a, train);
    if (slots && c->n_cameras)
        a->slot_tokens = on_device(a, d->activations, 3, SHAPE(slots, cells, c->dim_model));
    act_init_positions(a);
    if (!train) {
        a->kept_pos = on_device(a, DTYPE_F32, 2, SHAPE(a->tokens, c->dim_model));
        a->decoder.kept =
            on_device(a, d->activations, 3, SHAPE(batch, c->chunk_size, c->dim_model));
    }
    if (!device_check(d, err)) goto error;
    act_load_params(a);
    if (!device_check(d, err)) goto error;
    *out = a;
    return true;
error:
    act_free(a);
    return false;
}

bool act_new(Device *d, const PolicyConfig *config, Params *params, int batch, bool train,
             const ImageStats *image_stats, Act **out, Error *err) {
    return new_act(d, config, params, batch, train, 0, image_stats, out, err);
}

bool act_new_stream(Device *d, const PolicyConfig *config, Params *params, int slots,
                    const ImageStats *image_stats, Act **out, Error *err) {
    return new_act(d, config, params, 1, false, slots, image_stats, out, err);
}

void act_free(Act *a) {
    if (!a) return;
    for (int i = 0; i < a->n_groups; i++) resnet_free(a->groups[i].resnet);
    encoder_free(&a->vae_encoder);
    encoder_free(&a->encoder);
    decoder_free(&a->decoder);
    tensor_arena_free(&a->fixed);
    tensor_arena_free(&a->net.acts);
    mem_free(a->host_vae_pad);
    mem_free(a);
}

void act_begin_step(Act *a, bool train, uint64_t seed, uint32_t step) {
    arena_reset(&a->net.acts);
    a->net.train = train;
    a->net.key = (RngKey){.seed = seed, .step = step, .site = 0};
}

void act_load_params(Act *a) {
    a->device->weights_load(a->device, a->params->values, !a->train);
    for (int i = 0; i < a->n_groups; i++) resnet_load(a->groups[i].resnet);
    if (a->train) return;
    act_begin_step(a, false, 0, 0);
    act_positions(a, a->kept_pos);
    decoder_keep(&a->net, &a->decoder, a->query_pos);
}

// ---- inputs -----------------------------------------------------------------------------------

static void upload(Act *a, Tensor t, const void *host) {
    a->device->upload(a->device, t.data, host, (size_t)tensor_count(t) * dtype_size(t.dtype));
}

static void stage(Act *a, Tensor t, const void *host) {
    a->device->stage(a->device, t.data, host, (size_t)tensor_count(t) * dtype_size(t.dtype));
}

void act_stage(Act *a, const ActInput *in) {
    const PolicyConfig *c = &a->config;
    int64_t S = c->chunk_size;
    if (c->state_dim) stage(a, a->state, in->state);
    if (c->env_dim) stage(a, a->env, in->env);
    if (in->images) act_stage_images(a, in->images);
    if (in->action) {
        stage(a, a->action, in->action);
        stage(a, a->pad, in->action_is_pad);
    }
    if (!a->vae_pad.data || !in->action_is_pad) return;
    for (int b = 0; b < a->batch; b++) // the class token and the state are never padding
        memcpy(a->host_vae_pad + (b + 1) * a->vae_tokens - S, in->action_is_pad + b * S, (size_t)S);
    stage(a, a->vae_pad, a->host_vae_pad);
}

// ---- VAE encoder: [cls, state, actions] -> z --------------------------------------------------

static Tensor vae_forward(Act *a, const ActInput *in) {
    Device *d = a->device;
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, D = c->dim_model, S = c->chunk_size, T = c->obs_state_horizon;
    Tensor x = net_tensor(net, 3, SHAPE(B, a->vae_tokens, D));
    d->add_rows(d, tensor_slice(x, 1, 0, 1), (Tensor){0}, a->vae_cls);
    if (c->state_dim) { // the newest observation only
        Tensor row = net_tensor(net, 3, SHAPE(B, 1, D));
        a->vae_now = net_float(net, 3, SHAPE(B, 1, c->state_dim));
        d->copy(d, a->vae_now, tensor_slice(a->state, 1, T - 1, 1));
        d->linear_forward(d, row, a->vae_now, a->vae_state.w, a->vae_state.b);
        d->copy(d, tensor_slice(x, 1, 1, 1), row);
    }
    Tensor rows = net_tensor(net, 3, SHAPE(B, S, D));
    d->linear_forward(d, rows, a->action, a->vae_action.w, a->vae_action.b);
    d->copy(d, tensor_slice(x, 1, a->vae_tokens - S, S), rows);

    Tensor y = encoder_forward(net, &a->vae_encoder, x, a->vae_pos, a->vae_pad);
    a->vae_cls_out = net_tensor(net, 3, SHAPE(B, 1, D));
    d->copy(d, a->vae_cls_out, tensor_slice(y, 1, 0, 1));
    a->latent_params = net_float(net, 2, SHAPE(B, 2 * c->latent_dim));
    d->linear_forward(d, a->latent_params, tensor_reshape(a->vae_cls_out, 2, SHAPE(B, D)),
                      a->vae_out.w, a->vae_out.b);
    if (in && in->eps)
        upload(a, a->eps, in->eps);
    else
        d->random_normal(d, a->eps, net->key);
    net->key.site++;
    Tensor z = net_float(net, 2, SHAPE(B, c->latent_dim));
    d->vae_sample_forward(d, z, a->latent_params, a->eps);
    return z;
}

static void vae_backward(Act *a, Tensor dz) {
    Device *d = a->device;
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, D = c->dim_model, S = c->chunk_size;
    Tensor dparams = net_like(net, a->latent_params), none = {0};
    d->vae_sample_backward(d, dparams, dz, a->latent_params, a->eps, (float)c->kl_weight);
    Tensor dcls = net_tensor(net, 3, SHAPE(B, 1, D));
    d->linear_backward(d, tensor_reshape(dcls, 2, SHAPE(B, D)), a->vae_out.dw, a->vae_out.db,
                       dparams, tensor_reshape(a->vae_cls_out, 2, SHAPE(B, D)), a->vae_out.w,
                       false);
    Tensor dx = net_tensor(net, 3, SHAPE(B, a->vae_tokens, D));
    d->zero(d, dx);
    d->copy(d, tensor_slice(dx, 1, 0, 1), dcls);
    encoder_backward(net, &a->vae_encoder, dx, none);

    d->sum_rows(d, a->dvae_cls, tensor_slice(dx, 1, 0, 1));
    if (c->state_dim) {
        Tensor drow = net_tensor(net, 3, SHAPE(B, 1, D));
        d->copy(d, drow, tensor_slice(dx, 1, 1, 1));
        d->linear_backward(d, none, a->vae_state.dw, a->vae_state.db, drow, a->vae_now,
                           a->vae_state.w, false);
    }
    Tensor drows = net_tensor(net, 3, SHAPE(B, S, D));
    d->copy(d, drows, tensor_slice(dx, 1, a->vae_tokens - S, S));
    d->linear_backward(d, none, a->vae_action.dw, a->vae_action.db, drows, a->action,
                       a->vae_action.w, false);
}

// ---- tokens -----------------------------------------------------------------------------------

// One projected input into its slots of x (B, L, D): value (B, n, K).
static void project_forward(Act *a, Tensor x, int64_t start, Linear *l, Tensor value) {
    Tensor y = net_tensor(&a->net, 3, SHAPE(value.shape[0], value.shape[1], x.shape[2]));
    a->device->linear_forward(a->device, y, value, l->w, l->b);
    a->device->copy(a->device, tensor_slice(x, 1, start, value.shape[1]), y);
}

static void project_backward(Act *a, Tensor dvalue, Tensor dx, int64_t start, Linear *l,
                             Tensor value) {
    Tensor dy = net_tensor(&a->net, 3, SHAPE(value.shape[0], value.shape[1], dx.shape[2]));
    a->device->copy(a->device, dy, tensor_slice(dx, 1, start, value.shape[1]));
    a->device->linear_backward(a->device, dvalue, l->dw, l->db, dy, value, l->w, false);
}

static Tensor as_token(Tensor t) { // (B, K) as one token a sample
    return tensor_reshape(t, 3, SHAPE(t.shape[0], 1, t.shape[1]));
}

// ---- the whole --------------------------------------------------------------------------------

static Tensor act_forward(Act *a, const ActInput *in) {
    Device *d = a->device;
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, D = c->dim_model;
    if (net->train && c->use_vae) {
        a->z = vae_forward(a, in);
    } else {
        a->latent_params = (Tensor){0};
        a->z = net_float(net, 2, SHAPE(B, c->latent_dim));
        d->zero(d, a->z);
    }
    Tensor x = net_tensor(net, 3, SHAPE(B, a->tokens, D));
    project_forward(a, x, 0, &a->latent_proj, as_token(a->z));
    if (c->state_dim) project_forward(a, x, a->state_start, &a->state_proj, a->state);
    if (c->env_dim) project_forward(a, x, a->env_start, &a->env_proj, as_token(a->env));
    act_image_tokens(a, in, x);

    Tensor pos = a->kept_pos;
    if (!pos.data) {
        pos = net_like(net, a->image_sinusoid);
        act_positions(a, pos);
    }
    Tensor memory = encoder_forward(net, &a->encoder, x, pos, (Tensor){0});
    Tensor memory_pos = net_like(net, memory);
    d->add_rows(d, memory_pos, memory, pos);
    a->decoded = decoder_forward(net, &a->decoder, SHAPE(B, c->chunk_size, D), a->query_pos, memory,
                                 memory_pos);
    a->prediction = net_float(net, 3, SHAPE(B, c->chunk_size, c->action_dim));
    d->linear_forward(d, a->prediction, a->decoded, a->head.w, a->head.b);
    return a->prediction;
}

static void act_backward(Act *a) {
    Device *d = a->device;
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, L = a->tokens, D = c->dim_model;
    Tensor none = {0};
    Tensor dprediction = net_like(net, a->prediction), dqueries = net_like(net, a->decoded);
    d->act_loss_backward(d, dprediction, a->prediction, a->action, a->pad);
    d->linear_backward(d, dqueries, a->head.dw, a->head.db, dprediction, a->decoded, a->head.w,
                       false);

    Tensor dx = net_tensor(net, 3, SHAPE(B, L, D)), dmemory_pos = net_like(net, dx);
    Tensor dpos = net_float(net, 2, SHAPE(L, D));
    d->zero(d, dx);
    d->zero(d, dmemory_pos);
    d->zero(d, dpos);
    decoder_backward(net, &a->decoder, dqueries, a->dquery_pos, dx, dmemory_pos);
    d->sum_rows(d, dpos, dmemory_pos);
    d->add(d, dx, dx, dmemory_pos);
    encoder_backward(net, &a->encoder, dx, dpos);
    act_positions_backward(a, dpos);

    Tensor dz = net_like(net, a->z);
    project_backward(a, as_token(dz), dx, 0, &a->latent_proj, as_token(a->z));
    if (c->state_dim) project_backward(a, none, dx, a->state_start, &a->state_proj, a->state);
    if (c->env_dim) project_backward(a, none, dx, a->env_start, &a->env_proj, as_token(a->env));
    act_image_tokens_backward(a, dx);
    if (c->use_vae) vae_backward(a, dz);
}

// ---- entry points -----------------------------------------------------------------------------

static void loss_forward(Act *a) {
    a->device->act_loss_forward(a->device, a->losses, a->prediction, a->action, a->pad,
                                a->latent_params, (float)a->config.kl_weight);
}

Tensor act_losses(const Act *a) {
    return a->losses;
}

static void read_losses(Act *a, ActLosses *losses) {
    float host[3];
    a->device->download(a->device, host, a->losses.data, sizeof host);
    *losses = (ActLosses){.total = host[0], .l1 = host[1], .kld = host[2]};
}

bool act_predict(Act *a, const ActInput *in, float *actions, ActLosses *losses, Error *err) {
    act_begin_step(a, false, 0, 0);
    act_stage(a, in);
    a->device->staged(a->device);
    act_forward(a, in);
    if (losses) {
        loss_forward(a);
        read_losses(a, losses);
    }
    if (actions) act_last_actions(a, actions);
    return device_check(a->device, err);
}

bool act_predict_slots(Act *a, const ActInput *in, const int *slots, float *actions, Error *err) {
    a->slots = slots;
    return act_predict(a, in, actions, NULL, err);
}

void act_train_ops(Act *a, uint64_t seed, uint32_t step) {
    act_begin_step(a, true, seed, step);
    act_forward(a, NULL);
    loss_forward(a);
    act_backward(a);
}

bool act_train(Act *a, const ActInput *in, uint64_t seed, uint32_t step, ActLosses *losses,
               Error *err) {
    double start = clock_seconds();
    act_begin_step(a, true, seed, step);
    act_stage(a, in);
    a->device->staged(a->device);
    a->device->synchronize(a->device);
    double uploaded = clock_seconds();
    act_forward(a, in);
    loss_forward(a);
    read_losses(a, losses);
    double forward = clock_seconds();
    act_backward(a);
    a->device->synchronize(a->device);
    double end = clock_seconds();
    a->times = (ActTimes){uploaded - start, forward - uploaded, end - forward};
    return device_check(a->device, err);
}

static void read_back(Act *a, float *host, Tensor t) {
    a->device->download(a->device, host, t.data, (size_t)tensor_count(t) * sizeof(float));
}

void act_last_actions(Act *a, float *actions) {
    read_back(a, actions, a->prediction);
}

void act_last_latent(Act *a, float *mu, float *log_sigma_x2) {
    int64_t Z = a->config.latent_dim;
    float *both = NEW(float, 2 * Z * a->batch);
    read_back(a, both, a->latent_params);
    for (int64_t b = 0; b < a->batch; b++) {
        memcpy(mu + b * Z, both + 2 * b * Z, (size_t)Z * sizeof(float));
        memcpy(log_sigma_x2 + b * Z, both + (2 * b + 1) * Z, (size_t)Z * sizeof(float));
    }
    mem_free(both);
}

size_t act_activation_bytes(const Act *a) {
    return a->net.acts.total + a->fixed.total;
}

int act_image_sizes(const Act *a) {
    return a->n_groups;
}

ActTimes act_last_times(const Act *a) {
    return a->times;
}
