// SPDX-License-Identifier: Apache-2.0
// Images and pooling on the blocked layout (N, C/b, H, W, b); where channels do not fill blocks
// (the camera image itself) it is plain (N, C, H, W), which is the same with b = 1.
#include "ops/cpu/cpu.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

static void image_normalize(Device *d, Tensor y, Tensor x, const float mean[3],
                            const float std[3]) {
    if (d->failed) return;
    int64_t N = x.shape[0], HW = x.shape[1] * x.shape[2];
    float table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = ((float)v / 255.0f - mean[c]) / (std[c] + 1e-8f);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < N; n++) {
        const uint8_t *in = (const uint8_t *)x.data + n * HW * 3;
        float *out = f32(y) + n * HW * 3;
        for (int64_t i = 0; i < HW; i++)
            for (int c = 0; c < 3; c++) out[c * HW + i] = table[c][in[3 * i + c]];
    }
}

// Copies between the blocked layout and another, in which a channel and a pixel lie so many
// elements apart: plain images (HW and 1), or tokens (1 and C).
static void convert_layout(Device *d, float *blocked, float *other, int64_t N, int64_t C,
                           int64_t HW, int64_t channel_stride, int64_t pixel_stride,
                           bool to_blocked) {
    int64_t b = cpu_lanes(d, C), blocks = C / b;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < blocks; k++) {
            float *in = blocked + (n * blocks + k) * HW * b;
            float *out = other + n * C * HW + k * b * channel_stride;
            for (int64_t i = 0; i < HW; i++)
                for (int64_t l = 0; l < b; l++) {
                    float *p = out + l * channel_stride + i * pixel_stride;
                    if (to_blocked)
                        in[i * b + l] = *p;
                    else
                        *p = in[i * b + l];
                }
        }
}

static void image_from_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t HW = y.shape[2] * y.shape[3];
    convert_layout(d, f32(y), f32(x), y.shape[0], y.shape[1], HW, HW, 1, true);
}

static void image_to_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t HW = x.shape[2] * x.shape[3];
    convert_layout(d, f32(x), f32(y), x.shape[0], x.shape[1], HW, HW, 1, false);
}

static void tokens_from_image(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    convert_layout(d, f32(x), f32(y), x.shape[0], x.shape[1], x.shape[2] * x.shape[3], 1,
                   x.shape[1], false);
}

static void image_from_tokens(Device *d, Tensor dx, Tensor dy) {
    if (d->failed) return;
    convert_layout(d, f32(dx), f32(dy), dx.shape[0], dx.shape[1], dx.shape[2] * dx.shape[3], 1,
                   dx.shape[1], true);
}

void cpu_image_ops(Device *d) {
    d->image_normalize = image_normalize;
    d->image_from_plain = image_from_plain;
    d->image_to_plain = image_to_plain;
    d->tokens_from_image = tokens_from_image;
    d->image_from_tokens = image_from_tokens;
}

// ---- pooling ----------------------------------------------------------------------------------

static Pool *pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train) {
    Pool *p = NEW(Pool, 1);
    *p = (Pool){.lanes = cpu_lanes(d, c),
                .h = h,
                .w = w,
                .out_h = pool_out_size(h),
                .out_w = pool_out_size(w)};
    p->planes = n * c / p->lanes;
    if (!train) return p;
    p->from = mem_try((size_t)(n * c * p->out_h * p->out_w));
    if (p->from) return p;
    device_fail(d, "max pooling: no memory for %ld images", (long)n);
    mem_free(p);
    return NULL;
}

static void pool_free(Device *d, Pool *p) {
    (void)d;
    if (p) mem_free(p->from);
    mem_free(p);
}

enum { MAX_LANES = 16 };

// One output pixel of all lanes.
static void pool_pixel(const Pool *p, const float *in, int64_t oy, int64_t ox, float *out,
                       uint8_t *from) {
    float best[MAX_LANES];
    uint8_t at[MAX_LANES];
    memset(at, pool_first(oy, ox), sizeof at);
    for (int64_t l = 0; l < p->lanes; l++) best[l] = -INFINITY;
    for (int i = 0; i < 9; i++) {
        int64_t y = 2 * oy - 1 + i / 3, x = 2 * ox - 1 + i % 3;
        if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
        const float *v = in + (y * p->w + x) * p->lanes;
        for (int64_t l = 0; l < p->lanes; l++) {
            bool wins = v[l] > best[l] || v[l] != v[l]; // a NaN wins
            at[l] = wins ? (uint8_t)i : at[l];
            best[l] = wins ? v[l] : best[l];
        }
    }
    memcpy(out, best, (size_t)p->lanes * sizeof(float));
    if (from) memcpy(from, at, (size_t)p->lanes);
}

static void pool_forward(Device *d, Pool *p, Tensor y, Tensor x) {
    if (d->failed) return;
    if (!p) return;
    int64_t in_size = p->h * p->w * p->lanes, out_size = p->out_h * p->out_w * p->lanes;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < p->planes; k++)
        for (int64_t i = 0; i < p->out_h * p->out_w; i++)
            pool_pixel(p, f32(x) + k * in_size, i / p->out_w, i % p->out_w,
                       f32(y) + k * out_size + i * p->lanes,
                       p->from ? p->from + k * out_size + i * p->lanes : NULL);
}

static void pool_backward(Device *d, Pool *p, Tensor dx, Tensor dy) {
    if (d->failed) return;
    if (!p) return;
    int64_t in_size = p->h * p->w * p->lanes, out_size = p->out_h * p->out_w * p->lanes;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < p->planes; k++) {
        float *out = f32(dx) + k * in_size;
        memset(out, 0, (size_t)in_size * sizeof(float));
        for (int64_t i = 0; i < p->out_h * p->out_w; i++) {
            const float *g = f32(dy) + k * out_size + i * p->lanes;
            const uint8_t *from = p->from + k * out_size + i * p->lanes;
            for (int64_t l = 0; l < p->lanes; l++) {
                int64_t y = 2 * (i / p->out_w) - 1 + from[l] / 3;
                int64_t x = 2 * (i % p->out_w) - 1 + from[l] % 3;
                out[(y * p->w + x) * p->lanes + l] += g[l];
            }
        }
    }
}

void cpu_pool_ops(Device *d) {
    d->pool_new = pool_new;
    d->pool_free = pool_free;
    d->pool_forward = pool_forward;
    d->pool_backward = pool_backward;
}
