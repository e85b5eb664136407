// SPDX-License-Identifier: Apache-2.0
// 3x3 max pooling, stride 2, padding 1, of plain (N, C, H, W). Of equal values the first in reading
// order gets the gradient.
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <assert.h>
#include <math.h>
#include <string.h>

struct Pool {
    int64_t planes, h, w, out_h, out_w; // planes = N * C
    int32_t *from; // (planes, out_h, out_w): the pixel that won; NULL when not training
};

Pool *ref_pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train) {
    if (d->failed) return NULL;
    Pool *p = TRY_NEW(Pool, 1);
    if (!p) {
        device_fail_memory(d, "max pooling: its plan");
        return NULL;
    }
    *p = (Pool){.planes = n * c, .h = h, .w = w};
    p->out_h = pool_out_size(h);
    p->out_w = pool_out_size(w);
    if (train) p->from = TRY_NEW(int32_t, p->planes * p->out_h * p->out_w);
    if (!train || p->from) return p;
    device_fail_memory(d, "max pooling of %lld images", (long long)n);
    mem_free(p);
    return NULL;
}

void ref_pool_free(Device *d, Pool *p) {
    (void)d;
    if (!p) return;
    mem_free(p->from);
    mem_free(p);
}

// The pixel with the largest value (or a NaN) around output (oy, ox); the padding never wins.
static int64_t window_max(const Pool *p, const float *x, int64_t oy, int64_t ox) {
    int64_t best = -1;
    for (int64_t y = oy * 2 - 1; y <= oy * 2 + 1; y++)
        for (int64_t c = ox * 2 - 1; c <= ox * 2 + 1; c++) {
            if (y < 0 || y >= p->h || c < 0 || c >= p->w) continue;
            int64_t i = y * p->w + c;
            if (best < 0 || x[i] > x[best] || isnan(x[i])) best = i;
        }
    return best;
}

void ref_pool_forward(Device *d, Pool *p, Tensor y, Tensor x) {
    if (d->failed) return;
    assert(tensor_count(x) == p->planes * p->h * p->w);
    int64_t at = 0;
    for (int64_t plane = 0; plane < p->planes; plane++) {
        const float *in = f32(x) + plane * p->h * p->w;
        for (int64_t oy = 0; oy < p->out_h; oy++)
            for (int64_t ox = 0; ox < p->out_w; ox++, at++) {
                int64_t best = window_max(p, in, oy, ox);
                f32(y)[at] = in[best];
                if (p->from) p->from[at] = (int32_t)best;
            }
    }
}

void ref_pool_backward(Device *d, Pool *p, Tensor dx, Tensor dy) {
    if (d->failed) return;
    assert(p->from);
    int64_t out = p->out_h * p->out_w;
    memset(dx.data, 0, (size_t)tensor_count(dx) * sizeof(float));
    for (int64_t plane = 0; plane < p->planes; plane++)
        for (int64_t j = plane * out; j < (plane + 1) * out; j++)
            f32(dx)[plane * p->h * p->w + p->from[j]] += f32(dy)[j];
}
