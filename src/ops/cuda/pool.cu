// SPDX-License-Identifier: Apache-2.0
// 3x3 max pooling, stride 2, padding 1, of NHWC images. Forward keeps which of its nine pixels each
// output came from; backward lets every pixel look at the windows it lies in, so nothing is added
// to by two threads.
#include "ops/cuda/cuda.h"

struct Pool {
    int64_t n, c; // c: as stored
    int64_t h, w, out_h, out_w;
    uint8_t *from; // (n, out_h, out_w, c), or NULL
};

static Pool *pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train) {
    if (d->failed) return NULL;
    Pool *p = TRY_NEW(Pool, 1);
    if (!p) {
        device_fail_memory(d, "a pooling");
        return NULL;
    }
    p->n = n;
    p->c = image_channels(c);
    p->h = h;
    p->w = w;
    p->out_h = pool_out_size(h);
    p->out_w = pool_out_size(w);
    if (train) p->from = (uint8_t *)d->alloc(d, (size_t)(n * p->c * p->out_h * p->out_w));
    return p;
}

static void pool_free(Device *d, Pool *p) {
    if (!p) return;
    d->release(d, p->from);
    mem_free(p);
}

struct PoolShape {
    int h, w, out_h, out_w;
    uint32_t C;
    Divider by_w, by_h, by_out_w, by_out_h;
};

// Where pixel number `pixel` of images of that size is.
struct PixelPlace {
    int x, y;
    uint64_t image;
};

__device__ __forceinline__ PixelPlace place_of_pixel(uint32_t pixel, Divider w, Divider h) {
    uint32_t line = w.quotient(pixel), image = h.quotient(line);
    PixelPlace p = {(int)w.rest(pixel, line), (int)h.rest(line, image), image};
    return p;
}

static PoolShape pool_shape(const Pool *p) {
    PoolShape s = {(int)p->h,
                   (int)p->w,
                   (int)p->out_h,
                   (int)p->out_w,
                   (uint32_t)p->c,
                   divider_of((uint32_t)p->w),
                   divider_of((uint32_t)p->h),
                   divider_of((uint32_t)p->out_w),
                   divider_of((uint32_t)p->out_h)};
    return s;
}

// Row: an output pixel; columns: its channels.
template <typename T> struct PoolForward {
    T *y;
    const T *x;
    uint8_t *from;
    PoolShape s;
    bool fast;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        PixelPlace at_pixel = place_of_pixel(pixel, s.by_out_w, s.by_out_h);
        int ox = at_pixel.x, oy = at_pixel.y;
        uint64_t image = at_pixel.image;
        Quad best = {{0, 0, 0, 0}};
        int at[4] = {-1, -1, -1, -1};
        for (int k = 0; k < 9; k++) {
            int py = 2 * oy - 1 + k / 3, px = 2 * ox - 1 + k % 3;
            if (py < 0 || py >= s.h || px < 0 || px >= s.w) continue;
            Quad q = load_quad(x + ((image * s.h + py) * s.w + px) * s.C + c, n, fast);
            for (int i = 0; i < 4; i++)
                if (at[i] < 0 || q.v[i] > best.v[i] || q.v[i] != q.v[i]) { // a NaN wins
                    best.v[i] = q.v[i];
                    at[i] = k;
                }
        }
        uint64_t out = (uint64_t)pixel * s.C + c;
        store_quad(y + out, best, n, fast);
        for (int i = 0; from && i < n; i++) from[out + i] = (uint8_t)at[i];
    }
};

template <typename T> static void pool_forward_of(Device *d, Pool *p, Tensor y, Tensor x) {
    PoolForward<T> f = {(T *)y.data, (const T *)x.data, p->from, pool_shape(p), p->c % 4 == 0};
    for_quads(d, "pool_forward", f, p->n * p->out_h * p->out_w, p->c);
}

static void pool_forward(Device *d, Pool *p, Tensor y, Tensor x) {
    if (!p) return;
    BY_TYPE(x.dtype, pool_forward_of, d, p, y, x);
}

// Row: an input pixel. Of the windows (oy, ox) it lies in, it adds up those it won.
template <typename T> struct PoolBackward {
    T *dx;
    const T *dy;
    const uint8_t *from;
    PoolShape s;
    bool fast;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        PixelPlace at_pixel = place_of_pixel(pixel, s.by_w, s.by_h);
        int px = at_pixel.x, py = at_pixel.y;
        uint64_t image = at_pixel.image;
        Quad sum = {{0, 0, 0, 0}};
        for (int oy = py / 2; oy <= (py + 1) / 2 && oy < s.out_h; oy++)
            for (int ox = px / 2; ox <= (px + 1) / 2 && ox < s.out_w; ox++) {
                int k = (py - 2 * oy + 1) * 3 + (px - 2 * ox + 1);
                uint64_t at = ((image * s.out_h + oy) * s.out_w + ox) * s.C + c;
                Quad g = load_quad(dy + at, n, fast);
                for (int i = 0; i < n; i++)
                    if (from[at + i] == k) sum.v[i] += g.v[i];
            }
        store_quad(dx + (uint64_t)pixel * s.C + c, sum, n, fast);
    }
};

template <typename T> static void pool_backward_of(Device *d, Pool *p, Tensor dx, Tensor dy) {
    PoolBackward<T> f = {(T *)dx.data, (const T *)dy.data, p->from, pool_shape(p), p->c % 4 == 0};
    for_quads(d, "pool_backward", f, p->n * p->h * p->w, p->c);
}

static void pool_backward(Device *d, Pool *p, Tensor dx, Tensor dy) {
    if (!p) return;
    BY_TYPE(dy.dtype, pool_backward_of, d, p, dx, dy);
}

void cuda_pool_ops(Device *d) {
    d->pool_new = pool_new;
    d->pool_free = pool_free;
    d->pool_forward = pool_forward;
    d->pool_backward = pool_backward;
}
