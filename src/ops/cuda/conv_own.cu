// SPDX-License-Identifier: Apache-2.0
// Convolutions in plain kernels, for a pass of which cuDNN has no algorithm that repeats its bits
// and keeps the precision: right and slow. Sums are float32, in one order. Images and filters as
// stored (NHWC, and (O, k, k, I)); a thread has four channels of a pixel, or of a tap.
#include "ops/cuda/conv.h"

struct ConvShape {
    int in_h, in_w, out_h, out_w, images, kernel, stride, padding, dilation;
    uint32_t in_c, out_c;
};

static ConvShape shape_of(const Conv *c) {
    const ConvSpec *s = &c->spec;
    ConvShape shape = {(int)s->in_h, (int)s->in_w,      (int)c->out_h,     (int)c->out_w,
                       (int)s->n,    s->kernel,         s->stride,         s->padding,
                       s->dilation,  (uint32_t)c->in_c, (uint32_t)c->out_c};
    return shape;
}

// Row: an output pixel; columns: its channels.
template <typename T> struct OwnForward {
    T *y;
    const T *x, *w;
    ConvShape s;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        int ox = (int)(pixel % s.out_w), oy = (int)(pixel / s.out_w % s.out_h);
        uint64_t image = pixel / s.out_w / s.out_h;
        Quad sum = {{0, 0, 0, 0}};
        for (int tap = 0; tap < s.kernel * s.kernel; tap++) {
            int iy = oy * s.stride - s.padding + tap / s.kernel * s.dilation;
            int ix = ox * s.stride - s.padding + tap % s.kernel * s.dilation;
            if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
            const T *from = x + ((image * s.in_h + iy) * s.in_w + ix) * s.in_c;
            for (uint32_t i = 0; i < s.in_c; i++)
                for (int k = 0; k < n; k++)
                    sum.v[k] +=
                        to_float(from[i]) *
                        to_float(w[((uint64_t)(c + k) * s.kernel * s.kernel + tap) * s.in_c + i]);
        }
        store_quad(y + (uint64_t)pixel * s.out_c + c, sum, n, false);
    }
};

// Row: an input pixel; columns: its channels.
template <typename T> struct OwnData {
    T *dx;
    const T *dz, *w;
    ConvShape s;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        int ix = (int)(pixel % s.in_w), iy = (int)(pixel / s.in_w % s.in_h);
        uint64_t image = pixel / s.in_w / s.in_h;
        Quad sum = {{0, 0, 0, 0}};
        for (int tap = 0; tap < s.kernel * s.kernel; tap++) {
            int y = iy + s.padding - tap / s.kernel * s.dilation;
            int x = ix + s.padding - tap % s.kernel * s.dilation;
            if (y < 0 || x < 0 || y % s.stride || x % s.stride) continue;
            y /= s.stride, x /= s.stride;
            if (y >= s.out_h || x >= s.out_w) continue;
            const T *g = dz + ((image * s.out_h + y) * s.out_w + x) * s.out_c;
            for (uint32_t o = 0; o < s.out_c; o++) {
                const T *f = w + ((uint64_t)o * s.kernel * s.kernel + tap) * s.in_c + c;
                for (int k = 0; k < n; k++) sum.v[k] += to_float(g[o]) * to_float(f[k]);
            }
        }
        store_quad(dx + (uint64_t)pixel * s.in_c + c, sum, n, false);
    }
};

// Row: (output channel, tap); columns: input channels.
template <typename T> struct OwnFilter {
    T *dw;
    const T *dz, *x;
    ConvShape s;
    __device__ void operator()(uint32_t row, uint32_t c, int n) const {
        int area = s.kernel * s.kernel, tap = (int)(row % area);
        uint32_t o = row / area;
        Quad sum = {{0, 0, 0, 0}};
        for (int at = 0; at < s.images * s.out_h; at++) {
            int image = at / s.out_h, oy = at % s.out_h;
            int iy = oy * s.stride - s.padding + tap / s.kernel * s.dilation;
            if (iy < 0 || iy >= s.in_h) continue;
            for (int ox = 0; ox < s.out_w; ox++) {
                int ix = ox * s.stride - s.padding + tap % s.kernel * s.dilation;
                if (ix < 0 || ix >= s.in_w) continue;
                float g = to_float(dz[((uint64_t)at * s.out_w + ox) * s.out_c + o]);
                const T *from = x + (((uint64_t)image * s.in_h + iy) * s.in_w + ix) * s.in_c + c;
                for (int k = 0; k < n; k++) sum.v[k] += g * to_float(from[k]);
            }
        }
        store_quad(dw + (uint64_t)row * s.in_c + c, sum, n, false);
    }
};

template <typename T> static void own_forward(Device *d, const Conv *c, void *y, const void *x) {
    OwnForward<T> f = {(T *)y, (const T *)x, (const T *)c->packed, shape_of(c)};
    for_quads(d, "own convolution", f, c->spec.n * c->out_h * c->out_w, c->out_c);
}

template <typename T> static void own_data(Device *d, const Conv *c, void *dx, const void *dz) {
    OwnData<T> f = {(T *)dx, (const T *)dz, (const T *)c->packed, shape_of(c)};
    for_quads(d, "own convolution, gradient of its input", f,
              c->spec.n * c->spec.in_h * c->spec.in_w, c->in_c);
}

template <typename T>
static void own_filter(Device *d, const Conv *c, const void *x, const void *dz) {
    OwnFilter<T> f = {(T *)c->dpacked, (const T *)dz, (const T *)x, shape_of(c)};
    for_quads(d, "own convolution, gradient of its weights", f,
              c->out_c * c->spec.kernel * c->spec.kernel, c->in_c);
}

void conv_own_forward(Device *d, const Conv *c, void *y, const void *x) {
    BY_TYPE(c->type, own_forward, d, c, y, x);
}

void conv_own_data(Device *d, const Conv *c, void *dx, const void *dz) {
    BY_TYPE(c->type, own_data, d, c, dx, dz);
}

void conv_own_filter(Device *d, const Conv *c, const void *x, const void *dz) {
    BY_TYPE(c->type, own_filter, d, c, x, dz);
}
