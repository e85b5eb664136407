// SPDX-License-Identifier: Apache-2.0
#include "model/positions.h"

#include <math.h>
#include <string.h>

// Half of a 2-D sinusoid's channels: position p of n, scaled to (0, 2 pi], against wavelengths
// 10000^(2 floor(i/2) / half); sin on even channels, cos on odd ones. This is the image embedding
// of DETR (Carion et al., 2020) in LeRobot's arithmetic.
static void axis_sinusoid(float *out, int64_t half, int64_t p, int64_t n) {
    double position = (double)(p + 1) / ((double)n + 1e-6) * (2 * M_PI);
    for (int64_t i = 0; i < half; i++) {
        double angle = position / pow(10000.0, (double)(2 * (i / 2)) / (double)half);
        out[i] = (float)(i % 2 ? cos(angle) : sin(angle));
    }
}

// Rows of one frame of h x w cells: y half first, then x half. Each half is computed once, in the
// first row or column that has it, for the sines and powers take long where a program starts.
static void fill_frame_rows(float *rows, int64_t D, int64_t h, int64_t w) {
    const int64_t half = D / 2;
    const size_t bytes = (size_t)half * sizeof *rows;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            float *row = rows + (y * w + x) * D;
            if (x == 0)
                axis_sinusoid(row, half, y, h);
            else
                memcpy(row, rows + y * w * D, bytes);
            if (y == 0)
                axis_sinusoid(row + half, half, x, w);
            else
                memcpy(row + half, rows + x * D + half, bytes);
        }
}

// Rows of the image slots, the same for every timestep and for cameras of one size.
static void fill_image_rows(const PolicyConfig *c, const TokenLayout *layout, float *rows) {
    int64_t D = c->dim_model;
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraTokens *camera = &layout->cameras[i];
        float *first = rows + camera->start * D;
        const int64_t count = camera->cells * D; // of a frame
        fill_frame_rows(first, D, camera->height, camera->width);
        for (int t = 1; t < c->obs_state_horizon; t++)
            memcpy(first + t * count, first, (size_t)count * sizeof *first);
    }
}

static void fill_indices(const PolicyConfig *c, const TokenLayout *layout, int32_t *kind,
                         int32_t *time) {
    bool on_state = strcmp(c->temporal_pos_embed, "none") != 0;
    bool on_images = strcmp(c->temporal_pos_embed, "all") == 0;
    int64_t T = c->obs_state_horizon;
    for (int64_t l = 0; l < layout->tokens; l++) kind[l] = time[l] = -1;
    kind[0] = 0;
    for (int64_t t = 0; c->state_dim && t < T; t++) {
        kind[layout->state_start + t] = 1;
        if (on_state) time[layout->state_start + t] = (int32_t)t;
    }
    if (c->env_dim) kind[layout->env_start] = c->state_dim ? 2 : 1;
    for (int i = 0; on_images && i < c->n_cameras; i++) {
        const CameraTokens *camera = &layout->cameras[i];
        for (int64_t l = 0; l < T * camera->cells; l++)
            time[camera->start + l] = (int32_t)(l / camera->cells);
    }
}

static void upload_constants(Positions *p, Device *d, const PolicyConfig *c,
                             const TokenLayout *layout) {
    int64_t L = layout->tokens, D = c->dim_model;
    if (d->failed) return;
    float *rows = mem_try((size_t)(L * D) * sizeof *rows);
    if (!rows) {
        device_fail_memory(d, "%ld positions of %ld values", (long)L, (long)D);
        return;
    }
    int32_t *kind = TRY_NEW(int32_t, L), *time = TRY_NEW(int32_t, L);
    if (!kind || !time) {
        device_fail_memory(d, "places of %ld tokens", (long)L);
        mem_free(rows);
        mem_free(kind);
        mem_free(time);
        return;
    }
    if (c->n_cameras) fill_image_rows(c, layout, rows);
    fill_indices(c, layout, kind, time);
    d->upload(d, p->image_sinusoid.data, rows, (size_t)(L * D) * sizeof(float));
    d->upload(d, p->token_index.data, kind, (size_t)L * sizeof *kind);
    d->upload(d, p->time_index.data, time, (size_t)L * sizeof *time);
    mem_free(rows);
    mem_free(kind);
    mem_free(time);
}

void positions_init(Positions *p, const Params *params, const PolicyConfig *c,
                    const TokenLayout *layout, bool train, TensorArena *fixed) {
    int64_t L = layout->tokens, D = c->dim_model;
    *p = (Positions){
        .token_table = value_of(params, "model.encoder_1d_feature_pos_embed.weight"),
        .dtoken_table = grad_of(params, "model.encoder_1d_feature_pos_embed.weight"),
    };
    p->image_sinusoid = arena_tensor(fixed, DTYPE_F32, 2, SHAPE(L, D));
    p->token_index = arena_tensor(fixed, DTYPE_I32, 1, SHAPE(L));
    p->time_index = arena_tensor(fixed, DTYPE_I32, 1, SHAPE(L));
    if (strcmp(c->temporal_pos_embed, "none") != 0) {
        p->temporal_table = value_of(params, TEMPORAL_TABLE);
        p->dtemporal_table = grad_of(params, TEMPORAL_TABLE);
    }
    upload_constants(p, params->device, c, layout);
    if (!train) p->kept = arena_tensor(fixed, DTYPE_F32, 2, SHAPE(L, D));
}

// The positions into pos, (tokens, D).
static void positions_make(Device *d, const Positions *p, Tensor pos) {
    d->embed_forward(d, pos, p->image_sinusoid, p->token_table, p->token_index);
    if (p->temporal_table.data) d->embed_forward(d, pos, pos, p->temporal_table, p->time_index);
}

void positions_keep(Net *net, Positions *p) {
    if (p->kept.data) positions_make(net->device, p, p->kept);
}

Tensor positions_forward(Net *net, const Positions *p) {
    if (p->kept.data) return p->kept;
    Tensor pos = net_like(net, p->image_sinusoid);
    positions_make(net->device, p, pos);
    return pos;
}

void positions_backward(Net *net, Positions *p, Tensor dpos) {
    Device *d = net->device;
    d->embed_backward(d, p->dtoken_table, dpos, p->token_index);
    if (p->temporal_table.data) d->embed_backward(d, p->dtemporal_table, dpos, p->time_index);
}
