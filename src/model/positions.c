// SPDX-License-Identifier: Apache-2.0
// The encoder's positions: a learned row per kind of token, a fixed 2-D sinusoid for image tokens,
// and the learned temporal table that lets attention tell timesteps apart.
#include "model/act_internal.h"

#include <math.h>
#include <string.h>

// Half of a 2-D sinusoid's channels: position p of n, scaled to (0, 2 pi], against wavelengths
// 10000^(2 floor(i/2) / half); sin on even channels, cos on odd ones. This is the image embedding
// of DETR (Carion et al., 2020) in LeRobot's arithmetic.
static void axis_sinusoid(float *out, int64_t half, int64_t p, int64_t n) {
    double position = (double)(p + 1) / ((double)n + 1e-6) * 6.283185307179586;
    for (int64_t i = 0; i < half; i++) {
        double angle = position / pow(10000.0, (double)(2 * (i / 2)) / (double)half);
        out[i] = (float)(i % 2 ? cos(angle) : sin(angle));
    }
}

// Rows of the image slots, the same for every timestep and for cameras of one size: y half first,
// then x half.
static void fill_image_rows(const Act *a, float *rows) {
    int64_t D = a->config.dim_model, half = D / 2;
    float *row = rows + a->image_start * D;
    for (int i = 0; i < a->config.n_cameras; i++) {
        const ImageGroup *g = &a->groups[a->camera_tokens[i].group];
        int64_t h = g->feature_h, w = g->feature_w;
        for (int t = 0; t < a->config.obs_state_horizon; t++)
            for (int64_t y = 0; y < h; y++)
                for (int64_t x = 0; x < w; x++, row += D) {
                    axis_sinusoid(row, half, y, h);
                    axis_sinusoid(row + half, half, x, w);
                }
    }
}

static void fill_indices(const Act *a, int32_t *kind, int32_t *time) {
    const PolicyConfig *c = &a->config;
    bool on_state = strcmp(c->temporal_pos_embed, "none") != 0;
    bool on_images = strcmp(c->temporal_pos_embed, "all") == 0;
    int64_t T = c->obs_state_horizon;
    for (int64_t l = 0; l < a->tokens; l++) kind[l] = time[l] = -1;
    kind[0] = 0;
    for (int64_t t = 0; c->state_dim && t < T; t++) {
        kind[a->state_start + t] = 1;
        if (on_state) time[a->state_start + t] = (int32_t)t;
    }
    if (c->env_dim) kind[a->env_start] = c->state_dim ? 2 : 1;
    for (int i = 0; on_images && i < c->n_cameras; i++) {
        const CameraTokens *tokens = &a->camera_tokens[i];
        for (int64_t l = 0; l < T * tokens->cells; l++)
            time[tokens->start + l] = (int32_t)(l / tokens->cells);
    }
}

void act_init_positions(Act *a) {
    Device *d = a->device;
    int64_t L = a->tokens, D = a->config.dim_model;
    a->image_sinusoid = arena_tensor(&a->fixed, DTYPE_F32, 2, SHAPE(L, D));
    a->token_index = arena_tensor(&a->fixed, DTYPE_I32, 1, SHAPE(L));
    a->time_index = arena_tensor(&a->fixed, DTYPE_I32, 1, SHAPE(L));
    if (d->failed) return;
    float *rows = mem_try((size_t)(L * D) * sizeof *rows);
    if (!rows) {
        device_fail_memory(d, "%ld positions of %ld values", (long)L, (long)D);
        return;
    }
    int32_t *kind = NEW(int32_t, L), *time = NEW(int32_t, L);
    if (a->config.n_cameras) fill_image_rows(a, rows);
    fill_indices(a, kind, time);
    d->upload(d, a->image_sinusoid.data, rows, (size_t)(L * D) * sizeof(float));
    d->upload(d, a->token_index.data, kind, (size_t)L * sizeof *kind);
    d->upload(d, a->time_index.data, time, (size_t)L * sizeof *time);
    mem_free(rows);
    mem_free(kind);
    mem_free(time);
}

void act_positions(Act *a, Tensor pos) {
    Device *d = a->device;
    d->embed_forward(d, pos, a->image_sinusoid, a->token_table, a->token_index);
    if (a->temporal_table.data) d->embed_forward(d, pos, pos, a->temporal_table, a->time_index);
}

void act_positions_backward(Act *a, Tensor dpos) {
    Device *d = a->device;
    d->embed_backward(d, a->dtoken_table, dpos, a->token_index);
    if (a->temporal_table.data) d->embed_backward(d, a->dtemporal_table, dpos, a->time_index);
}
