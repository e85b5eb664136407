// SPDX-License-Identifier: Apache-2.0
// 3x3 max pooling, stride 2, padding 1, on the layouts of image.c.
#include "ops/cpu/cpu.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

static Pool *pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train) {
    Pool *p = TRY_NEW(Pool, 1);
    if (!p) {
        device_fail_memory(d, "max pooling: its plan");
        return NULL;
    }
    *p = (Pool){.lanes = cpu_lanes(d, c),
                .h = h,
                .w = w,
                .out_h = pool_out_size(h),
                .out_w = pool_out_size(w)};
    p->planes = n * c / p->lanes;
    if (!train) return p;
    p->from = mem_try((size_t)(n * c * p->out_h * p->out_w));
    if (p->from) return p;
    device_fail_memory(d, "max pooling of %ld images", (long)n);
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

// Lanes that are compared at once. As vectors, for of the choice between values and positions the
// compiler makes none itself.
enum { EIGHT = 8 };
typedef float Eight __attribute__((vector_size(EIGHT * sizeof(float)), aligned(4)));
typedef int32_t EightInts __attribute__((vector_size(EIGHT * sizeof(int32_t)), aligned(4)));

// One output pixel of eight lanes; `in` and `out` are at the first of them, from may be NULL.
static inline void pool_eight(const Pool *p, const float *in, int64_t oy, int64_t ox, float *out,
                              uint8_t *from) {
    Eight best = (Eight){0} - INFINITY;
    EightInts at = (EightInts){0} + pool_first(oy, ox);
    for (int i = 0; i < 9; i++) {
        int64_t y = 2 * oy - 1 + i / 3, x = 2 * ox - 1 + i % 3;
        if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
        const Eight v = *(const Eight *)(in + (y * p->w + x) * p->lanes);
        const EightInts wins = (v > best) | (v != v); // a NaN wins
        best = (Eight)(((EightInts)v & wins) | ((EightInts)best & ~wins));
        at = (wins & i) | (at & ~wins);
    }
    *(Eight *)out = best;
    for (int l = 0; from && l < EIGHT; l++) from[l] = (uint8_t)at[l];
}

static void pool_lane(const Pool *p, const float *in, int64_t oy, int64_t ox, float *out,
                      uint8_t *from) {
    float best = -INFINITY;
    uint8_t at = pool_first(oy, ox);
    for (int i = 0; i < 9; i++) {
        int64_t y = 2 * oy - 1 + i / 3, x = 2 * ox - 1 + i % 3;
        if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
        float v = in[(y * p->w + x) * p->lanes];
        bool wins = v > best || v != v;
        at = wins ? (uint8_t)i : at;
        best = wins ? v : best;
    }
    *out = best;
    if (from) *from = at;
}

// One output pixel of all lanes of a part.
static void pool_pixel(const Pool *p, const float *in, int64_t wide, int64_t oy, int64_t ox,
                       float *out, uint8_t *from) {
    int64_t l = 0;
    for (; l + EIGHT <= wide; l += EIGHT)
        pool_eight(p, in + l, oy, ox, out + l, from ? from + l : NULL);
    for (; l < wide; l++) pool_lane(p, in + l, oy, ox, out + l, from ? from + l : NULL);
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
