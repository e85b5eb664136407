// SPDX-License-Identifier: Apache-2.0
// 3x3 max pooling, stride 2, padding 1, on the layouts of image.c.
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

// Some of the lanes of one plane: `wide` of them, MAX_LANES at most, and where they begin.
typedef struct Part {
    int64_t plane, lane, wide;
} Part;

static int64_t parts_of(const Pool *p) {
    return (p->lanes + MAX_LANES - 1) / MAX_LANES;
}

static Part part_at(const Pool *p, int64_t i) {
    Part part = {.plane = i / parts_of(p), .lane = i % parts_of(p) * MAX_LANES};
    part.wide = p->lanes - part.lane < MAX_LANES ? p->lanes - part.lane : MAX_LANES;
    return part;
}

// One output pixel of all lanes of a part.
static void pool_pixel(const Pool *p, const float *in, int64_t wide, int64_t oy, int64_t ox,
                       float *out, uint8_t *from) {
    float best[MAX_LANES];
    uint8_t at[MAX_LANES];
    memset(at, pool_first(oy, ox), sizeof at);
    for (int64_t l = 0; l < wide; l++) best[l] = -INFINITY;
    for (int i = 0; i < 9; i++) {
        int64_t y = 2 * oy - 1 + i / 3, x = 2 * ox - 1 + i % 3;
        if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
        const float *v = in + (y * p->w + x) * p->lanes;
        for (int64_t l = 0; l < wide; l++) {
            bool wins = v[l] > best[l] || v[l] != v[l]; // a NaN wins
            at[l] = wins ? (uint8_t)i : at[l];
            best[l] = wins ? v[l] : best[l];
        }
    }
    memcpy(out, best, (size_t)wide * sizeof(float));
    if (from) memcpy(from, at, (size_t)wide);
}

static void pool_forward(Device *d, Pool *p, Tensor y, Tensor x) {
    if (d->failed) return;
    if (!p) return;
    int64_t in_size = p->h * p->w * p->lanes, out_size = p->out_h * p->out_w * p->lanes;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t k = 0; k < p->planes * parts_of(p); k++)
        for (int64_t row = 0; row < p->out_h; row++) {
            Part part = part_at(p, k);
            int64_t to = part.plane * out_size + row * p->out_w * p->lanes + part.lane;
            for (int64_t i = 0; i < p->out_w; i++, to += p->lanes)
                pool_pixel(p, f32(x) + part.plane * in_size + part.lane, part.wide, row, i,
                           f32(y) + to, p->from ? p->from + to : NULL);
        }
}

static void pool_backward(Device *d, Pool *p, Tensor dx, Tensor dy) {
    if (d->failed) return;
    if (!p) return;
    int64_t in_size = p->h * p->w * p->lanes, out_size = p->out_h * p->out_w * p->lanes;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < p->planes * parts_of(p); k++) {
        Part part = part_at(p, k);
        float *out = f32(dx) + part.plane * in_size + part.lane;
        for (int64_t i = 0; i < p->h * p->w; i++)
            memset(out + i * p->lanes, 0, (size_t)part.wide * sizeof *out);
        for (int64_t i = 0; i < p->out_h * p->out_w; i++) {
            int64_t at = part.plane * out_size + i * p->lanes + part.lane;
            for (int64_t l = 0; l < part.wide; l++) {
                int from = p->from[at + l];
                int64_t y = 2 * (i / p->out_w) - 1 + from / 3;
                int64_t x = 2 * (i % p->out_w) - 1 + from % 3;
                out[(y * p->w + x) * p->lanes + l] += f32(dy)[at + l];
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
