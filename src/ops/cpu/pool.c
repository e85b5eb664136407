// SPDX-License-Identifier: Apache-2.0
// 3x3 max pooling, stride 2, padding 1, on the blocked layout (image.c).
#include "ops/cpu/cpu.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

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
