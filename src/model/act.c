// SPDX-License-Identifier: Apache-2.0
// The temporal ACT policy, put together from its parts (act_parts.h):
//
//   images (cameras, B, T, 3, h, w) -> ResNet -> (cameras, B, T*h'*w', D) --+   one batch a size
//   states (B, T, ds) -> linear -> (B, T, D) ------------------------------+-> tokens (B, L, D)
//   VAE: [cls, state, actions] -> encoder -> mu, log sigma^2 -> z -> linear-+
//   tokens -> encoder -> decoder (Q learned queries) -> linear -> actions (B, Q, A)
//   actions that are given (B, P, A + 1) -> linear -> what the first queries start as
//
// Q: the S actions of the chunk, and behind them those of the past. In the decoder's self-attention
// each query sees all others, so a policy that runs computes the past ones too, whose output nobody
// reads: without them the chunk would be another.
//
// token_layout.h has the order of the tokens.
#include "model/act.h"

#include "model/act_parts.h"

// What a recording is of, beside the number of a camera: whose frame is encoded.
enum { PREDICTION = -1 };

const ImageStats image_stats_imagenet = {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

// ---- construction -----------------------------------------------------------------------------

// Lays the tokens out. Returns the most tokens that one frame has.
static int64_t place_tokens(Act *a) {
    const PolicyConfig *c = &a->config;
    TokenLayout *l = &a->layout;
    int64_t most = 0;
    l->state_start = 1;
    l->env_start = l->state_start + (c->state_dim ? c->obs_state_horizon : 0);
    l->image_start = l->tokens = l->env_start + (c->env_dim > 0);
    for (int i = 0; i < c->n_cameras; i++) {
        const ImageGroup *g = &a->images.groups[a->images.group_of[i]];
        int64_t cells = g->feature_h * g->feature_w;
        l->cameras[i] = (CameraTokens){l->tokens, g->feature_h, g->feature_w, cells};
        l->tokens += c->obs_state_horizon * cells;
        most = cells > most ? cells : most;
    }
    return most;
}

static void init_layers(Act *a) {
    const Params *p = a->params;
    const PolicyConfig *c = &a->config;
    encoder_init(&a->encoder, p, c, "encoder", c->n_encoder_layers);
    decoder_init(&a->decoder, p, c);
    if (c->state_dim) a->state_proj = linear_of(p, "model.encoder_robot_state_input_proj");
    if (c->env_dim) a->env_proj = linear_of(p, "model.encoder_env_state_input_proj");
    a->latent_proj = linear_of(p, "model.encoder_latent_input_proj");
    a->query_pos = value_of(p, QUERY_TABLE);
    a->dquery_pos = grad_of(p, QUERY_TABLE);
    a->head = linear_of(p, "model.action_head");
}

// Device memory for what a batch brings in, beside what only the VAE sees.
static void init_inputs(Act *a) {
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, T = c->obs_state_horizon, Q = policy_action_rows(c);
    if (c->state_dim) a->state = arena_tensor(&a->fixed, DTYPE_F32, 3, SHAPE(B, T, c->state_dim));
    if (c->env_dim) a->env = arena_tensor(&a->fixed, DTYPE_F32, 2, SHAPE(B, c->env_dim));
    image_tokens_inputs(&a->images, &a->fixed);
    // Evaluation with a loss reads actions too.
    a->action = arena_tensor(&a->fixed, DTYPE_F32, 3, SHAPE(B, Q, c->action_dim));
    a->pad = arena_tensor(&a->fixed, DTYPE_U8, 2, SHAPE(B, Q));
    a->count = arena_tensor(&a->fixed, DTYPE_F32, 1, SHAPE(1));
    a->losses = arena_tensor(&a->fixed, DTYPE_F32, 1, SHAPE(3));
}

// Room for frames of so many tokens.
static void init_slots(Act *a, int slots, int64_t cells) {
    int64_t D = a->config.dim_model;
    bool projected = a->slots.projected = frames_are_projected(&a->config, a->device->precision);
    a->slots.tokens = a->own_slots = arena_tensor(&a->fixed, a->device->activations, 3,
                                                  SHAPE(slots, cells, projected ? 4 * D : D));
    if (projected)
        a->encoder.kept = arena_tensor(&a->fixed, DTYPE_F32, 2, SHAPE(a->layout.tokens, 2 * D));
}

// slots: 0, or those of an act_new_stream.
CHECKED static bool new_act(Device *d, const PolicyConfig *config, Params *params, int batch,
                            bool train, int slots, const ImageStats *image_stats, Act **out,
                            Error *err) {
    *out = NULL;
    Act *a = TRY_NEW(Act, 1);
    if (!a) return fail_memory(err, "a model");
    *a = (Act){.device = d, .config = *config, .params = params, .batch = batch, .train = train};
    a->fixed.device = a->net.acts.device = a->net.device = d;
    a->net.dropout = (float)config->dropout;
    const PolicyConfig *c = &a->config;
    a->images = (ImageTokens){.net = &a->net, .config = c, .layout = &a->layout, .batch = batch};
    for (int i = 0; i < c->n_cameras; i++) a->images.stats[i] = image_stats[i];
    if (!image_tokens_plan(&a->images, params, train, slots > 0, err)) goto error;
    int64_t cells = place_tokens(a);
    init_layers(a);
    init_inputs(a);
    if (c->use_vae) vae_init(&a->vae, params, c, batch, train, &a->fixed);
    if (c->max_action_prefix) action_prefix_init(&a->prefix, params, c, batch, &a->fixed);
    if (slots && c->n_cameras) init_slots(a, slots, cells);
    positions_init(&a->positions, params, c, &a->layout, train, &a->fixed);
    // Queries that start as what is given are not the same for every input.
    if (!train && !c->max_action_prefix) {
        const int64_t *queries = SHAPE(batch, policy_action_rows(c), c->dim_model);
        a->decoder.kept = arena_tensor(&a->fixed, d->activations, 3, queries);
        a->decoder.kept_q = arena_tensor(&a->fixed, d->activations, 3, queries);
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
    recordings_free(&a->recordings, a->device);
    image_tokens_free(&a->images);
    vae_free(&a->vae);
    action_prefix_free(&a->prefix);
    encoder_free(&a->encoder);
    decoder_free(&a->decoder);
    tensor_arena_free(&a->fixed);
    tensor_arena_free(&a->net.acts);
    mem_free(a);
}

// Forgets the activations of the step before, and sets what the next one's ops read.
static void begin_step(Act *a, bool train, uint64_t seed, uint32_t step) {
    arena_reset(&a->net.acts);
    a->net.train = train;
    a->net.key = (RngKey){.seed = seed, .step = step, .site = 0};
}

void act_load_params(Act *a) {
    a->device->weights_load(a->device, a->params->values, !a->train);
    image_tokens_load(&a->images);
    if (a->train) return;
    begin_step(a, false, 0, 0);
    positions_keep(&a->net, &a->positions);
    if (a->decoder.kept.data) decoder_keep(&a->net, &a->decoder, a->query_pos);
    if (a->encoder.kept.data) encoder_keep(&a->net, &a->encoder, a->positions.kept);
}

// ---- inputs -----------------------------------------------------------------------------------

static void stage_input(Act *a, Tensor t, const void *host) {
    a->device->stage(a->device, t.data, host, (size_t)tensor_count(t) * dtype_size(t.dtype));
}

// What part of its step the batch is. uncounted: (B, Q) the actions that are not in the loss.
static void stage_place(Act *a, const ActInput *in, const uint8_t *uncounted) {
    const int64_t Q = policy_action_rows(&a->config);
    int64_t actions = in->step_actions;
    for (int64_t i = 0; !in->step_samples && i < a->batch * Q; i++) actions += !uncounted[i];
    a->net.first_sample = in->first_sample;
    a->share = in->step_samples ? (float)a->batch / (float)in->step_samples : 1;
    a->host_count = actions ? (float)(actions * a->config.action_dim) : 1;
    stage_input(a, a->count, &a->host_count);
}

void act_stage(Act *a, const ActInput *in) {
    const PolicyConfig *c = &a->config;
    if (c->state_dim) stage_input(a, a->state, in->state);
    if (c->env_dim) stage_input(a, a->env, in->env);
    if (in->images) image_tokens_stage(&a->images, in->images);
    if (c->max_action_prefix) action_prefix_stage(&a->prefix, a->device, in);
    if (!in->action || !in->action_is_pad) return;
    const uint8_t *uncounted = in->action_is_pad;
    if (c->max_action_prefix && in->action_prefix) uncounted = action_prefix_marks(&a->prefix, in);
    stage_input(a, a->action, in->action);
    stage_input(a, a->pad, uncounted);
    stage_place(a, in, uncounted);
    if (a->vae.pad.data) vae_stage(&a->vae, a->device, in->action_is_pad);
}

// ---- tokens -----------------------------------------------------------------------------------

// One projected input into its slots of x (B, L, D): value (B, n, K).
static void project_forward(Act *a, Tensor x, int64_t start, Linear *l, Tensor value) {
    Tensor y = net_tensor(&a->net, 3, SHAPE(value.shape[0], value.shape[1], x.shape[2]));
    linear_forward(&a->net, l, y, value);
    a->device->copy(a->device, tensor_slice(x, 1, start, value.shape[1]), y);
}

// The gradient of that: dvalue (empty: it is not wanted) from dx.
static void project_backward(Act *a, Tensor dvalue, Tensor dx, int64_t start, Linear *l,
                             Tensor value) {
    Tensor dy = net_tensor(&a->net, 3, SHAPE(value.shape[0], value.shape[1], dx.shape[2]));
    a->device->copy(a->device, dy, tensor_slice(dx, 1, start, value.shape[1]));
    linear_backward(&a->net, l, dvalue, dy, value, false);
}

static Tensor as_token(Tensor t) { // (B, K) as one token a sample
    return tensor_reshape(t, 3, SHAPE(t.shape[0], 1, t.shape[1]));
}

// The projections of the tokens before those of images, into their places.
static void project_first_tokens(Act *a, Tensor x, Tensor qk, Tensor v) {
    Device *d = a->device;
    Encoder *e = &a->encoder;
    int64_t n = a->layout.image_start, D = x.shape[2];
    Tensor qkv = net_tensor(&a->net, 3, SHAPE(1, n, 3 * D));
    encoder_project(&a->net, e, qkv, tensor_view(x.data, x.dtype, 3, SHAPE(1, n, D)));
    d->add_rows(d, tensor_slice(qk, 1, 0, n), tensor_slice(qkv, 2, 0, 2 * D),
                tensor_slice(e->kept, 0, 0, n));
    d->copy(d, tensor_slice(v, 1, 0, n), tensor_slice(qkv, 2, 2 * D, D));
}

// The image tokens into x, whose other tokens are there, and all through the encoder.
static Tensor encode(Act *a, const ActInput *in, Tensor x, Tensor pos) {
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t L = x.shape[1], D = x.shape[2];
    if (!a->slots.tokens.data) {
        image_tokens_forward(&a->images, in, x);
        return encoder_forward(net, &a->encoder, x, pos, (Tensor){0});
    }
    frame_slots_forward(net, &a->slots, c, &a->layout, x);
    if (!a->slots.projected) return encoder_forward(net, &a->encoder, x, pos, (Tensor){0});
    Tensor qk = net_tensor(net, 3, SHAPE(1, L, 2 * D)), v = net_tensor(net, 3, SHAPE(1, L, D));
    project_first_tokens(a, x, qk, v);
    frame_slots_projections(net, &a->slots, c, &a->layout, &a->encoder, qk, v);
    return encoder_forward_projected(net, &a->encoder, x, qk, v, pos);
}

// What the decoder's queries (B, Q, D) start as: zeros, but for the actions that are given.
static Tensor decoder_inputs(Act *a) {
    const PolicyConfig *c = &a->config;
    Tensor x = net_tensor(&a->net, 3, SHAPE(a->batch, policy_action_rows(c), c->dim_model));
    a->device->zero(a->device, x);
    if (c->max_action_prefix) project_forward(a, x, 0, &a->prefix.proj, a->prefix.input);
    return x;
}

// ---- the whole model --------------------------------------------------------------------------

static void act_forward(Act *a, const ActInput *in) {
    Device *d = a->device;
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, D = c->dim_model, Q = policy_action_rows(c);
    if (net->train && c->use_vae) {
        a->z = vae_forward(net, &a->vae, a->state, a->action, in ? in->eps : NULL);
        a->latent_params = a->vae.latent_params;
    } else {
        a->latent_params = (Tensor){0};
        a->z = net_float(net, 2, SHAPE(B, c->latent_dim));
        d->zero(d, a->z);
    }
    Tensor x = net_tensor(net, 3, SHAPE(B, a->layout.tokens, D));
    project_forward(a, x, 0, &a->latent_proj, as_token(a->z));
    if (c->state_dim) project_forward(a, x, a->layout.state_start, &a->state_proj, a->state);
    if (c->env_dim) project_forward(a, x, a->layout.env_start, &a->env_proj, as_token(a->env));

    Tensor pos = positions_forward(net, &a->positions);
    Tensor memory = encode(a, in, x, pos);
    Tensor memory_pos = net_like(net, memory);
    d->add_rows(d, memory_pos, memory, pos);
    Tensor queries = a->decoder.kept.data ? (Tensor){0} : decoder_inputs(a);
    a->decoded = decoder_forward(net, &a->decoder, queries, a->query_pos, memory, memory_pos);
    a->prediction = net_float(net, 3, SHAPE(B, Q, c->action_dim));
    linear_forward(net, &a->head, a->prediction, a->decoded);
}

static void act_backward(Act *a) {
    Device *d = a->device;
    Net *net = &a->net;
    const PolicyConfig *c = &a->config;
    int64_t B = a->batch, L = a->layout.tokens, D = c->dim_model;
    Tensor none = {0};
    Tensor dprediction = net_like(net, a->prediction), dqueries = net_like(net, a->decoded);
    d->act_loss_backward(d, dprediction, a->prediction, a->action, a->pad, a->count);
    linear_backward(net, &a->head, dqueries, dprediction, a->decoded, false);

    Tensor dx = net_tensor(net, 3, SHAPE(B, L, D)), dmemory_pos = net_like(net, dx);
    Tensor dpos = net_float(net, 2, SHAPE(L, D));
    d->zero(d, dx);
    d->zero(d, dmemory_pos);
    d->zero(d, dpos);
    decoder_backward(net, &a->decoder, dqueries, a->dquery_pos, dx, dmemory_pos);
    if (c->max_action_prefix)
        project_backward(a, none, dqueries, 0, &a->prefix.proj, a->prefix.input);
    d->sum_rows(d, dpos, dmemory_pos);
    d->add(d, dx, dx, dmemory_pos);
    encoder_backward(net, &a->encoder, dx, dpos);
    positions_backward(net, &a->positions, dpos);

    Tensor dz = net_like(net, a->z);
    project_backward(a, as_token(dz), dx, 0, &a->latent_proj, as_token(a->z));
    if (c->state_dim)
        project_backward(a, none, dx, a->layout.state_start, &a->state_proj, a->state);
    if (c->env_dim)
        project_backward(a, none, dx, a->layout.env_start, &a->env_proj, as_token(a->env));
    // The VAE's many gradients are ready while the ResNet's backward, which takes longest, still
    // runs.
    if (c->use_vae) vae_backward(net, &a->vae, dz, a->share);
    image_tokens_backward(&a->images, dx);
}

// ---- entry points -----------------------------------------------------------------------------

static void loss_forward(Act *a) {
    a->device->act_loss_forward(a->device, a->losses, a->prediction, a->action, a->pad, a->count,
                                a->latent_params, a->share, (float)a->config.kl_weight);
}

Tensor act_losses(const Act *a) {
    return a->losses;
}

void act_train_begin(Act *a) {
    a->device->zero(a->device, a->losses);
}

// The prediction of a policy that runs, out of its frames' slots.
static void predict_forward(Act *a, const ActInput *in) {
    const PolicyConfig *c = &a->config;
    Recording *r =
        recording_for(&a->recordings, a->device, a->slots.tokens.data, PREDICTION, a->slots.chosen,
                      a->slots.chosen ? c->n_cameras * c->obs_state_horizon : 0);
    if (recording_begin(r, a->device)) {
        act_forward(a, in);
        if (r) r->result = a->prediction;
    } else {
        a->prediction = r->result;
    }
    recording_end(r, a->device);
}

static void download_losses(Act *a, ActLosses *losses) {
    act_train_begin(a);
    loss_forward(a);
    a->device->download(a->device, losses, a->losses.data, sizeof *losses);
}

// The chunks of all samples, without the past actions behind each.
static void download_chunks(Act *a, float *actions) {
    const PolicyConfig *c = &a->config;
    const int64_t rows = policy_action_rows(c), A = c->action_dim;
    const int64_t together = c->n_past_actions ? 1 : a->batch; // samples that lie one after another
    const size_t n = (size_t)(together * c->chunk_size * A);
    for (int64_t b = 0; b < a->batch; b += together)
        a->device->download(a->device, actions + b * c->chunk_size * A,
                            f32(a->prediction) + b * rows * A, n * sizeof *actions);
}

bool act_predict(Act *a, const ActInput *in, float *actions, ActLosses *losses, Error *err) {
    begin_step(a, false, 0, 0);
    act_stage(a, in);
    a->device->staged(a->device);
    predict_forward(a, in);
    if (losses) download_losses(a, losses);
    if (actions) download_chunks(a, actions);
    return device_check(a->device, err);
}

bool act_predict_losses(Act *a, const ActInput *in, ActLosses *losses, Error *err) {
    stage_input(a, a->pad, in->action_is_pad);
    stage_place(a, in, in->action_is_pad);
    a->device->staged(a->device);
    download_losses(a, losses);
    return device_check(a->device, err);
}

bool act_predict_slots(Act *a, const ActInput *in, const int *slots, float *actions, Error *err) {
    a->slots.chosen = slots;
    return act_predict(a, in, actions, NULL, err);
}

bool act_encode_frame(Act *a, int camera, const uint8_t *frame, int slot, Error *err) {
    begin_step(a, false, 0, 0);
    image_tokens_stage_frame(&a->images, camera, frame);
    Recording *r = recording_for(&a->recordings, a->device, a->slots.tokens.data, camera, &slot, 1);
    if (recording_begin(r, a->device)) {
        Tensor tokens = image_tokens_of_frame(&a->images, camera);
        frame_slots_put(&a->net, &a->slots, &a->layout, &a->encoder, slot, camera, tokens);
    }
    recording_end(r, a->device);
    return device_check(a->device, err);
}

void act_train_forward(Act *a, const ActInput *in, uint64_t seed, uint32_t step) {
    begin_step(a, true, seed, step);
    act_forward(a, in);
    loss_forward(a);
}

void act_on_gradients(Act *a, void (*call)(void *user, ParamRange grads), void *user) {
    a->net.ready = (GradsReady){call, user};
}

void act_train_backward(Act *a) {
    act_backward(a);
}

size_t act_activation_bytes(const Act *a) {
    return a->net.acts.total + a->fixed.total;
}

int act_image_sizes(const Act *a) {
    return a->images.n_groups;
}
