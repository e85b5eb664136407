// SPDX-License-Identifier: Apache-2.0
// The tensor table of ACT in LeRobot's registration order: what numbers the optimiser's state.
#include "model/params_list.h"

#include "base/array.h"
#include "model/resnet_shape.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Lister {
    Params *p;
    const PolicyConfig *c;
    int64_t capacity;
    ParamInit matrix; // how matrices of the current module start
    bool failed;      // there was too little memory for the list
} Lister;

typedef struct Shape {
    int rank;
    int64_t size[4];
} Shape;
#define DIMS(...)                                                                                  \
    (Shape) {                                                                                      \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {                                      \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static void add_param(Lister *l, ParamKind kind, ParamInit init, int64_t fan, Shape shape,
                      const char *format, ...) {
    Params *p = l->p;
    char name[256];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    const char *kept = arena_try_strdup(&p->arena, name);
    if (!kept || !ARRAY_TRY_ROOM(p->list, p->count, l->capacity, 1)) l->failed = true;
    if (l->failed) return;
    Param *q = &p->list[p->count++];
    *q = (Param){
        .name = kept, .kind = kind, .init = init, .fan = fan, .rank = shape.rank, .count = 1};
    for (int i = 0; i < shape.rank; i++) {
        q->shape[i] = shape.size[i];
        q->count *= shape.size[i];
    }
}

static void add_linear(Lister *l, ParamInit init, const char *name, int64_t out, int64_t in) {
    add_param(l, PARAM_MAIN, init, in, DIMS(out, in), "%s.weight", name);
    add_param(l, PARAM_MAIN, INIT_FAN_IN, in, DIMS(out), "%s.bias", name);
}

static void add_norm(Lister *l, const char *name) {
    int64_t D = l->c->dim_model;
    add_param(l, PARAM_MAIN, INIT_ONE, 0, DIMS(D), "%s.weight", name);
    add_param(l, PARAM_MAIN, INIT_ZERO, 0, DIMS(D), "%s.bias", name);
}

static void add_attention(Lister *l, const char *layer, const char *which) {
    int64_t D = l->c->dim_model;
    add_param(l, PARAM_MAIN, INIT_XAVIER, 0, DIMS(3 * D, D), "%s.%s.in_proj_weight", layer, which);
    add_param(l, PARAM_MAIN, INIT_ZERO, 0, DIMS(3 * D), "%s.%s.in_proj_bias", layer, which);
    add_param(l, PARAM_MAIN, l->matrix, D, DIMS(D, D), "%s.%s.out_proj.weight", layer, which);
    add_param(l, PARAM_MAIN, INIT_ZERO, 0, DIMS(D), "%s.%s.out_proj.bias", layer, which);
}

static void add_layer(Lister *l, const char *stack, int i, bool decoder) {
    int64_t D = l->c->dim_model, F = l->c->dim_feedforward;
    char layer[128], name[160];
    snprintf(layer, sizeof layer, "model.%s.layers.%d", stack, i);
    add_attention(l, layer, "self_attn");
    if (decoder) add_attention(l, layer, "multihead_attn");
    snprintf(name, sizeof name, "%s.linear1", layer);
    add_linear(l, l->matrix, name, F, D);
    snprintf(name, sizeof name, "%s.linear2", layer);
    add_linear(l, l->matrix, name, D, F);
    for (int n = 1; n <= (decoder ? 3 : 2); n++) {
        snprintf(name, sizeof name, "%s.norm%d", layer, n);
        add_norm(l, name);
    }
}

static void add_vae(Lister *l) {
    const PolicyConfig *c = l->c;
    int64_t D = c->dim_model;
    l->matrix = INIT_FAN_IN; // LeRobot leaves the VAE encoder at PyTorch's defaults
    for (int i = 0; i < c->n_vae_encoder_layers; i++) add_layer(l, "vae_encoder", i, false);
    if (c->pre_norm) add_norm(l, "model.vae_encoder.norm");
    add_param(l, PARAM_MAIN, INIT_NORMAL, 0, DIMS(1, D), "model.vae_encoder_cls_embed.weight");
    if (c->state_dim)
        add_linear(l, INIT_FAN_IN, "model.vae_encoder_robot_state_input_proj", D, c->state_dim);
    add_linear(l, INIT_FAN_IN, "model.vae_encoder_action_input_proj", D, c->action_dim);
    add_linear(l, INIT_FAN_IN, "model.vae_encoder_latent_output_proj", 2 * c->latent_dim, D);
}

static void add_transformer(Lister *l) {
    const PolicyConfig *c = l->c;
    l->matrix = INIT_XAVIER;
    for (int i = 0; i < c->n_encoder_layers; i++) add_layer(l, "encoder", i, false);
    if (c->pre_norm) add_norm(l, "model.encoder.norm");
    for (int i = 0; i < c->n_decoder_layers; i++) add_layer(l, "decoder", i, true);
    add_norm(l, "model.decoder.norm");
}

static void add_projections(Lister *l, const ResNetShape *r) {
    const PolicyConfig *c = l->c;
    int64_t D = c->dim_model;
    if (c->state_dim)
        add_linear(l, INIT_FAN_IN, "model.encoder_robot_state_input_proj", D, c->state_dim);
    if (c->env_dim) add_linear(l, INIT_FAN_IN, "model.encoder_env_state_input_proj", D, c->env_dim);
    add_linear(l, INIT_FAN_IN, "model.encoder_latent_input_proj", D, c->latent_dim);
    if (c->n_cameras) {
        int64_t C = resnet_channels(r);
        add_param(l, PARAM_MAIN, INIT_FAN_IN, C, DIMS(D, C, 1, 1),
                  "model.encoder_img_feat_input_proj.weight");
        add_param(l, PARAM_MAIN, INIT_FAN_IN, C, DIMS(D), "model.encoder_img_feat_input_proj.bias");
    }
    int64_t rows = 1 + (c->state_dim > 0) + (c->env_dim > 0);
    add_param(l, PARAM_MAIN, INIT_NORMAL, 0, DIMS(rows, D),
              "model.encoder_1d_feature_pos_embed.weight");
    add_param(l, PARAM_MAIN, INIT_NORMAL, 0, DIMS(policy_action_rows(c), D), QUERY_TABLE);
    add_linear(l, INIT_FAN_IN, "model.action_head", c->action_dim, D);
    // Of zeros, so that a policy begins as one that is given nothing; actions are no zeros, so that
    // its gradient is none either.
    if (c->max_action_prefix)
        add_param(l, PARAM_MAIN, INIT_ZERO, 0, DIMS(D, c->action_dim + 1), ACTION_PREFIX_WEIGHT);
    if (strcmp(c->temporal_pos_embed, "none") != 0)
        add_param(l, PARAM_MAIN, INIT_ZERO, 0, DIMS(c->obs_state_horizon, D), TEMPORAL_TABLE);
}

// One pass lists the convolutions' weights, another the frozen norms' buffers.
static void add_conv(Lister *l, const char *prefix, const BlockConv *b, bool buffers) {
    static const struct {
        const char *name;
        ParamInit init;
    } norm[] = {{"weight", INIT_ONE},
                {"bias", INIT_ZERO},
                {"running_mean", INIT_ZERO},
                {"running_var", INIT_ONE}};
    if (!buffers)
        add_param(l, PARAM_BACKBONE, INIT_KAIMING_CONV, 0,
                  DIMS(b->out_c, b->in_c, b->kernel, b->kernel), "%s%s.weight", prefix, b->conv);
    for (int i = 0; buffers && i < 4; i++)
        add_param(l, PARAM_BUFFER, norm[i].init, 0, DIMS(b->out_c), "%s%s.%s", prefix, b->norm,
                  norm[i].name);
}

static void add_backbone(Lister *l, const ResNetShape *r, bool buffers) {
    BlockConv stem = {"conv1", "bn1", 3, 64, 7, 2, 3, 1};
    add_conv(l, "model.backbone.", &stem, buffers);
    for (int s = 0; s < RESNET_STAGES; s++)
        for (int b = 0; b < r->blocks[s]; b++) {
            char prefix[64];
            snprintf(prefix, sizeof prefix, "model.backbone.layer%d.%d.", s + 1, b);
            BlockShape block = resnet_block(r, s, b);
            for (int i = 0; i < block.n; i++) add_conv(l, prefix, &block.convs[i], buffers);
            if (block.downsample) add_conv(l, prefix, &block.down, buffers);
        }
}

bool params_list(Params *p, const PolicyConfig *c, Error *err) {
    Lister l = {.p = p, .c = c};
    ResNetShape r;
    if (!resnet_shape(c->vision_backbone, c->replace_final_stride_with_dilation, &r, err))
        return false;
    if (c->use_vae) add_vae(&l);
    add_transformer(&l);
    add_projections(&l, &r);
    if (c->n_cameras) add_backbone(&l, &r, false);
    if (c->use_vae)
        add_param(&l, PARAM_BUFFER, INIT_SINUSOID, 0,
                  DIMS(1, c->chunk_size + 1 + (c->state_dim > 0), c->dim_model),
                  "model.vae_encoder_pos_enc");
    if (c->n_cameras) add_backbone(&l, &r, true);
    return !l.failed || fail_memory(err, "the list of the policy's tensors");
}
