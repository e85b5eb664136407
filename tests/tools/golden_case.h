// SPDX-License-Identifier: Apache-2.0
// The golden cases: their generated weights and inputs, and their configuration. docs/testing.md
// has the recipe.
#ifndef TACT_TESTS_TOOLS_GOLDEN_CASE_H
#define TACT_TESTS_TOOLS_GOLDEN_CASE_H

#include "base/memory.h"
#include "config/config.h"
#include "formats/json.h"
#include "model/params.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- generated values -------------------------------------------------------------------------

static inline uint64_t fnv1a(const char *s) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (uint8_t)*s) * 0x100000001b3u;
    return h;
}

// Element i of the stream of a name, in [-1, 1).
static inline double stream_value(uint64_t start, int64_t i) {
    uint64_t x = start + (uint64_t)i + 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (double)(x >> 40) / 8388608.0 - 1.0;
}

static inline uint64_t stream_start(const char *name, uint64_t salt) {
    return fnv1a(name) + (salt << 32);
}

static inline float *generate_input(const char *name, uint64_t salt, int64_t count) {
    float *out = NEW(float, count);
    for (int64_t i = 0; i < count; i++) out[i] = (float)stream_value(stream_start(name, salt), i);
    return out;
}

static inline bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

// An element of a parameter is offset + scale * u, with u from its stream.
typedef struct GoldenSpread {
    double offset, scale;
} GoldenSpread;

static inline GoldenSpread param_range(const Param *q) {
    const int64_t *s = q->shape;
    if (ends_with(q->name, ".running_var")) return (GoldenSpread){1, 0.25};
    if (ends_with(q->name, ".running_mean")) return (GoldenSpread){0, 0.1};
    if (ends_with(q->name, ".bias") || ends_with(q->name, "in_proj_bias"))
        return (GoldenSpread){0, 0.1};
    if (q->rank == 1) return (GoldenSpread){1, 0.1};
    if (strstr(q->name, "embed")) return (GoldenSpread){0, 0.5};
    if (q->rank == 4) return (GoldenSpread){0, sqrt(3.0 / (double)(s[1] * s[2] * s[3]))};
    return (GoldenSpread){0, sqrt(3.0 / (double)s[1])};
}

static inline float param_element(GoldenSpread range, double u) {
    return (float)(range.offset + range.scale * u);
}

// ---- configuration ----------------------------------------------------------------------------

// Length of an input's axis, 0 where there is no such input.
static inline int64_t golden_shape(const json_t *json, const char *input, int dim) {
    json_t *shape = json_object_get(json_object_get(json, "inputs"), input);
    return json_integer_value(json_array_get(shape, (size_t)dim));
}

static inline int golden_integer(const json_t *json, const char *key) {
    return (int)json_integer_value(json_object_get(json, key));
}

// Strings are still owned by the JSON.
static inline void golden_config(const json_t *j, PolicyConfig *p) {
    p->chunk_size = p->n_action_steps = golden_integer(j, "chunk_size");
    p->n_past_actions = golden_integer(j, "n_past_actions"); // 0 where it has no such key
    p->obs_state_horizon = golden_integer(j, "obs_state_horizon");
    p->vision_backbone = json_string_value(json_object_get(j, "vision_backbone"));
    p->replace_final_stride_with_dilation =
        json_is_true(json_object_get(j, "replace_final_stride_with_dilation"));
    p->pre_norm = json_is_true(json_object_get(j, "pre_norm"));
    p->dim_model = golden_integer(j, "dim_model");
    p->n_heads = golden_integer(j, "n_heads");
    p->dim_feedforward = golden_integer(j, "dim_feedforward");
    p->feedforward_activation = json_string_value(json_object_get(j, "feedforward_activation"));
    p->n_encoder_layers = golden_integer(j, "n_encoder_layers");
    p->n_decoder_layers = golden_integer(j, "n_decoder_layers");
    p->use_vae = json_is_true(json_object_get(j, "use_vae"));
    p->latent_dim = golden_integer(j, "latent_dim");
    p->n_vae_encoder_layers = golden_integer(j, "n_vae_encoder_layers");
    p->dropout = json_number_value(json_object_get(j, "dropout"));
    p->kl_weight = json_number_value(json_object_get(j, "kl_weight"));
    p->temporal_pos_embed = json_string_value(json_object_get(j, "temporal_pos_embed"));
    p->state_dim = (int)golden_shape(j, "state", 2);
    p->action_dim = (int)golden_shape(j, "action", 2);
    p->env_dim = (int)golden_shape(j, "env", 1);
    char name[24] = "image0";
    while (p->n_cameras < MAX_CAMERAS && golden_shape(j, name, 0)) {
        const int height = (int)golden_shape(j, name, 3), width = (int)golden_shape(j, name, 4);
        p->cameras[p->n_cameras] = (CameraConfig){"", height, width, height, width, 0, 0};
        snprintf(name, sizeof name, "image%d", ++p->n_cameras);
    }
}

// Values of one frame of a camera.
static inline int64_t golden_frame(const PolicyConfig *p, int camera) {
    return (int64_t)3 * p->cameras[camera].image_height * p->cameras[camera].image_width;
}

#endif
