// SPDX-License-Identifier: Apache-2.0
// Convolutions on tiles: which passes (tile_pass.c) they are made of, and their weights in tiles.
#include "ops/cpu/tile_conv.h"

#include "base/memory.h"
#include "ops/cpu/tile_kernel.h"
#include "ops/cpu/vector.h"

#include <string.h>

#ifdef TACT_TILES

// ---- plans --------------------------------------------------------------------------------------

static void plan_weights(Device *d, TilePass *p) {
    if (p->taps) p->weights = d->alloc(d, (size_t)tile_pass_bytes(p));
}

static void plan_forward(Device *d, TileConv *c) {
    const ConvSpec *s = &c->spec;
    const bool rows = tile_conv_by_rows(s);
    TilePass *p = &c->forward;
    *p = (TilePass){.n = s->n,
                    .h = s->in_h,
                    .w = s->in_w,
                    .pixel = s->in_c * (int64_t)sizeof(bf16),
                    .channels = rows ? TILE_DEPTH : s->in_c,
                    .grid_h = c->out_h,
                    .grid_w = c->out_w,
                    .stride = s->stride,
                    .border = s->padding,
                    .reach = s->kernel,
                    .to_h = c->out_h,
                    .to_w = c->out_w,
                    .outputs = s->out_c,
                    .step = 1};
    for (int t = 0; t < s->kernel * (rows ? 1 : s->kernel); t++, p->taps++) {
        p->from[t] = t;
        p->tap_y[t] = rows ? t : t / s->kernel;
        p->tap_x[t] = rows ? 0 : t % s->kernel;
    }
    plan_weights(d, p);
}

// dx at (stride * y + top) takes dz at y + (top + padding - ky) / stride, where that divides.
static void plan_data(Device *d, TileConv *c, TilePass *p, int top, int left) {
    const ConvSpec *s = &c->spec;
    const int border = s->padding;
    *p = (TilePass){.n = s->n,
                    .h = c->out_h,
                    .w = c->out_w,
                    .pixel = s->out_c * (int64_t)sizeof(bf16),
                    .channels = s->out_c,
                    .grid_h = rounded_up(s->in_h - top, s->stride),
                    .grid_w = rounded_up(s->in_w - left, s->stride),
                    .stride = 1,
                    .border = border,
                    .reach = s->kernel,
                    .to_h = s->in_h,
                    .to_w = s->in_w,
                    .outputs = s->in_c,
                    .step = s->stride,
                    .top = top,
                    .left = left};
    for (int t = s->kernel * s->kernel - 1; t >= 0; t--) {
        const int y = top + s->padding - t / s->kernel, x = left + s->padding - t % s->kernel;
        if (y % s->stride || x % s->stride) continue;
        p->from[p->taps] = t;
        p->tap_y[p->taps] = y / s->stride + border;
        p->tap_x[p->taps++] = x / s->stride + border;
    }
    plan_weights(d, p);
}

TileConv *tile_conv_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]) {
    TileConv *c = TRY_NEW(TileConv, 1);
    if (!c) {
        device_fail_memory(d, "a convolution's plan");
        return NULL;
    }
    c->spec = *s;
    c->out_h = conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation);
    c->out_w = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation);
    memcpy(c->used, used, sizeof c->used);
    if (used[FORWARD]) plan_forward(d, c);
    for (int i = 0; used[BACKWARD_DATA] && i < s->stride * s->stride; i++)
        plan_data(d, c, &c->data[i], i / s->stride, i % s->stride);
    if (!d->failed) return c;
    tile_conv_free(c);
    return NULL;
}

void tile_conv_free(TileConv *c) {
    if (!c) return;
    mem_free(c->forward.weights);
    for (int i = 0; i < 4; i++) mem_free(c->data[i].weights);
    mem_free(c);
}

// ---- weights ------------------------------------------------------------------------------------

enum { BLOCK = SIDE * SIDE, MOST_TAPS = 9 };

// 32 outputs and inputs of w (O, I, taps) times their scales in bfloat16, as (taps, 32, 32).
TILES static void round_block(bf16 *out, const float *w, const float *scale, int64_t row,
                              int64_t taps) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)taps));
    for (int64_t o = 0; o < SIDE; o++, w += row) {
        const __m512 by = _mm512_set1_ps(scale[o]);
        for (int64_t t = 0; t < taps; t++) {
            const __m512 low = _mm512_i32gather_ps(at, w + t, sizeof *w);
            const __m512 high = _mm512_i32gather_ps(at, w + t + 16 * taps, sizeof *w);
            _mm512_store_si512(out + t * BLOCK + o * SIDE,
                               (__m512i)_mm512_cvtne2ps_pbh(high * by, low * by));
        }
    }
}

// Puts such a block into a pass's tiles: of its outputs from `output` and its channels from
// `channel` on. turned: of backward data, whose outputs are the block's inputs.
static void pack_block(const TilePass *p, const bf16 *block, int64_t output, int64_t channel,
                       bool turned) {
    const int64_t depths = p->channels / TILE_DEPTH;
    char *panel = p->weights + output / SIDE * tile_pass_steps(p) * STEP;
    for (TileTapRow r = tile_tap_row(p, 0); r.count; r = tile_tap_row(p, r.first + r.count))
        for (int i = 0; i < r.count; i++) {
            const TilePanels of_tap = {.data = block + p->from[r.first + i] * BLOCK,
                                       .half = true,
                                       .across = turned ? 1 : SIDE,
                                       .along = turned ? SIDE : 1,
                                       .n = SIDE,
                                       .depth = TILE_DEPTH};
            const int64_t step = r.first * depths + channel / TILE_DEPTH * r.count + i;
            tile_pack(&of_tap, true, panel + step * STEP);
        }
}

// The same of a kernel whose rows are taps: (taps, 32, 32), whose last values are 0.
static void round_rows(const ConvSpec *s, bf16 *out, const float *w, const float *scale) {
    memset(out, 0, (size_t)(s->kernel * BLOCK) * sizeof *out);
    for (int64_t o = 0; o < SIDE; o++)
        for (int64_t i = 0; i < s->in_c; i++)
            for (int64_t y = 0; y < s->kernel; y++)
                for (int64_t x = 0; x < s->kernel; x++)
                    out[y * BLOCK + o * SIDE + x * s->in_c + i] = bf16_of_float(
                        w[((o * s->in_c + i) * s->kernel + y) * s->kernel + x] * scale[o]);
}

void tile_conv_load(Device *d, TileConv *c, const float *w, const float *scale) {
    const ConvSpec *s = &c->spec;
    const int64_t taps = s->kernel * s->kernel, row = s->in_c * taps;
    const bool rows = tile_conv_by_rows(s);
    if (d->failed || (!c->used[FORWARD] && !c->used[BACKWARD_DATA])) return;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t o = 0; o < s->out_c; o += SIDE)
        for (int64_t i = 0; i < s->in_c; i += SIDE) {
            bf16 block[MOST_TAPS * BLOCK] __attribute__((aligned(64)));
            if (rows)
                round_rows(s, block, w + o * row, scale + o);
            else
                round_block(block, w + o * row + i * taps, scale + o, row, taps);
            if (c->used[FORWARD]) pack_block(&c->forward, block, o, i, false);
            for (int k = 0; c->used[BACKWARD_DATA] && k < s->stride * s->stride; k++)
                pack_block(&c->data[k], block, i, o, true);
        }
}

// ---- directions ---------------------------------------------------------------------------------

void tile_conv_forward(Device *d, const TileConv *c, bf16 *y, const bf16 *x, const float *shift,
                       const bf16 *residual) {
    tile_pass_run(d, &c->forward, x, y, shift, residual, c->spec.relu);
}

void tile_conv_data(Device *d, const TileConv *c, bf16 *dx, const bf16 *dz) {
    for (int i = 0; i < c->spec.stride * c->spec.stride; i++)
        tile_pass_run(d, &c->data[i], dz, dx, NULL, NULL, false);
}

bool tile_conv_pays(const ConvSpec *s, Direction way) {
    if (s->out_c % SIDE || s->padding != s->kernel / 2 || s->stride > 2 || s->dilation != 1)
        return false;
    if (s->in_c % SIDE) return way != BACKWARD_DATA && s->kernel % 2 && tile_conv_by_rows(s);
    return s->kernel == 1 || s->kernel == 3;
}

#else

bool tile_conv_pays(const ConvSpec *s, Direction way) {
    return (void)s, (void)way, false;
}

TileConv *tile_conv_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]) {
    (void)s, (void)used;
    device_fail(d, "this processor has no matrix unit");
    return NULL;
}

void tile_conv_free(TileConv *c) {
    (void)c;
}

void tile_conv_load(Device *d, TileConv *c, const float *w, const float *scale) {
    (void)d, (void)c, (void)w, (void)scale;
}

void tile_conv_forward(Device *d, const TileConv *c, bf16 *y, const bf16 *x, const float *shift,
                       const bf16 *residual) {
    (void)d, (void)c, (void)y, (void)x, (void)shift, (void)residual;
}

void tile_conv_data(Device *d, const TileConv *c, bf16 *dx, const bf16 *dz) {
    (void)d, (void)c, (void)dx, (void)dz;
}

#endif
