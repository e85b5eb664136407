// SPDX-License-Identifier: Apache-2.0
// Convolution with a folded frozen batch norm, and the relu after it.
// N images, I input channels, O output channels, k the kernel's side; every image tensor is plain
// (N, C, H, W) and the weights are (O, I, k, k).
//
// All three sums (y, dx, dw) run over the same set of products
//     z[n, o, oy, ox]  <-  w[o, i, ky, kx] * x[n, i, iy, ix]
// with iy = oy * stride - padding + ky * dilation, and ix likewise. For one (o, i, ky, kx) the
// products form lines along x; line_range gives the ox for which ix lies inside the image.
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <assert.h>
#include <math.h>
#include <string.h>

// The output pixels [y0, y1) x [x0, x1) that tap (ky, kx) gives something, and the input row and
// column (top, left) that it takes for output pixel (0, 0).
typedef struct Tap {
    int64_t top, left, y0, y1, x0, x1;
} Tap;

struct Conv {
    ConvSpec spec;
    int64_t out_h, out_w;
    Tap *taps;          // (k, k)
    float *packed;      // (O, I, k, k) = w * scale; with a rounding how many steps that is
    float *steps;       // (O) with a rounding: of the weights, times that of x; else NULL
    float *rounded;     // (n, I, H, W) x in steps; else NULL
    const float *scale; // (O), borrowed
    const float *shift; // (O), borrowed
};

// The input coordinate of output coordinate 0 for tap t of the kernel (it may lie in the padding).
static int64_t tap_offset(const ConvSpec *s, int t) {
    return (int64_t)t * s->dilation - s->padding;
}

// The output coordinates [*first, *end) whose input coordinate o * stride + offset is in [0, in).
static void line_range(int64_t *first, int64_t *end, int64_t offset, int stride, int64_t in,
                       int64_t out) {
    *first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    *end = in > offset ? (in - offset + stride - 1) / stride : 0;
    if (*end > out) *end = out;
    if (*first > *end) *first = *end;
}

static Tap tap_of(const Conv *c, int ky, int kx) {
    const ConvSpec *s = &c->spec;
    Tap t = {.top = tap_offset(s, ky), .left = tap_offset(s, kx)};
    line_range(&t.y0, &t.y1, t.top, s->stride, s->in_h, c->out_h);
    line_range(&t.x0, &t.x1, t.left, s->stride, s->in_w, c->out_w);
    return t;
}

Conv *ref_conv_new(Device *d, ConvSpec spec) {
    if (d->failed) return NULL;
    int64_t h = conv_out_size(spec.in_h, spec.kernel, spec.stride, spec.padding, spec.dilation);
    int64_t w = conv_out_size(spec.in_w, spec.kernel, spec.stride, spec.padding, spec.dilation);
    if (h < 1 || w < 1) {
        device_fail(d, "images of %lld x %lld are too small for this network; use larger ones",
                    (long long)spec.in_w, (long long)spec.in_h);
        return NULL;
    }
    Conv *c = TRY_NEW(Conv, 1);
    if (!c) {
        device_fail_memory(d, "a convolution's plan");
        return NULL;
    }
    c->spec = spec;
    c->out_h = h;
    c->out_w = w;
    c->packed = TRY_NEW(float, spec.out_c *spec.in_c *spec.kernel *spec.kernel);
    c->taps = TRY_NEW(Tap, spec.kernel * spec.kernel);
    const bool rounds = spec.rounding.step > 0;
    if (rounds) c->steps = TRY_NEW(float, spec.out_c);
    if (rounds) c->rounded = TRY_NEW(float, spec.n *spec.in_c *spec.in_h *spec.in_w);
    if (!c->packed || !c->taps || (rounds && (!c->steps || !c->rounded))) {
        device_fail_memory(d, "a convolution's weights");
        ref_conv_free(d, c);
        return NULL;
    }
    for (int t = 0; t < spec.kernel * spec.kernel; t++)
        c->taps[t] = tap_of(c, t / spec.kernel, t % spec.kernel);
    return c;
}

void ref_conv_free(Device *d, Conv *c) {
    (void)d;
    if (!c) return;
    mem_free(c->packed);
    mem_free(c->taps);
    mem_free(c->steps);
    mem_free(c->rounded);
    mem_free(c);
}

void ref_conv_load(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    if (d->failed) return;
    int64_t filter = c->spec.in_c * c->spec.kernel * c->spec.kernel;
    assert(tensor_count(w) == c->spec.out_c * filter);
    c->scale = f32(scale);
    c->shift = f32(shift);
    for (int64_t o = 0; o < c->spec.out_c; o++)
        for (int64_t j = 0; j < filter; j++)
            c->packed[o * filter + j] = f32(w)[o * filter + j] * c->scale[o];
    for (int64_t o = 0; c->steps && o < c->spec.out_c; o++) {
        float *row = c->packed + o * filter;
        c->steps[o] = c->spec.rounding.step * ref_round_weights(row, row, filter);
    }
}

// z (out_h, out_w) += w * x (in_h, in_w) for a tap.
static void tap_forward(const Conv *c, double *restrict z, double w, const float *restrict x,
                        Tap t) {
    const ConvSpec *s = &c->spec;
    for (int64_t oy = t.y0; oy < t.y1; oy++) {
        double *to = z + oy * c->out_w;
        const float *from = x + (oy * s->stride + t.top) * s->in_w;
        if (s->stride == 1)
            ref_axpy(to + t.x0, w, from + t.x0 + t.left, t.x1 - t.x0);
        else
            for (int64_t ox = t.x0; ox < t.x1; ox++) to[ox] += w * from[ox * s->stride + t.left];
    }
}

// dx (in_h, in_w) += w * dz (out_h, out_w) for a tap.
static void tap_backward_x(const Conv *c, double *restrict dx, double w, const float *restrict dz,
                           Tap t) {
    const ConvSpec *s = &c->spec;
    for (int64_t oy = t.y0; oy < t.y1; oy++) {
        double *to = dx + (oy * s->stride + t.top) * s->in_w;
        const float *from = dz + oy * c->out_w;
        if (s->stride == 1)
            ref_axpy(to + t.x0 + t.left, w, from + t.x0, t.x1 - t.x0);
        else
            for (int64_t ox = t.x0; ox < t.x1; ox++) to[ox * s->stride + t.left] += w * from[ox];
    }
}

// The sum of dz (out_h, out_w) * x (in_h, in_w) for a tap.
static double tap_backward_w(const Conv *c, const float *dz, const float *x, Tap t) {
    const ConvSpec *s = &c->spec;
    double sum = 0;
    for (int64_t oy = t.y0; oy < t.y1; oy++) {
        const float *grad = dz + oy * c->out_w;
        const float *from = x + (oy * s->stride + t.top) * s->in_w;
        if (s->stride == 1)
            sum += ref_dot(grad + t.x0, from + t.x0 + t.left, t.x1 - t.x0);
        else
            for (int64_t ox = t.x0; ox < t.x1; ox++)
                sum += (double)grad[ox] * from[ox * s->stride + t.left];
    }
    return sum;
}

void ref_conv_forward(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual) {
    if (d->failed) return;
    const ConvSpec *s = &c->spec;
    int64_t in = s->in_h * s->in_w, out = c->out_h * c->out_w;
    assert(y.shape[2] == c->out_h && y.shape[3] == c->out_w && x.shape[1] == s->in_c);
    double *z = ref_sums(d, out);
    if (!z) return;
    const bool finite = !c->rounded || ref_round(c->rounded, f32(x), tensor_count(x), s->rounding);
    const float *from = c->rounded ? c->rounded : f32(x);
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t o = 0; o < s->out_c; o++) {
            const float *w = c->packed + o * s->in_c * s->kernel * s->kernel;
            const double step = !finite ? NAN : c->steps ? c->steps[o] : 1;
            memset(z, 0, (size_t)out * sizeof *z);
            for (int64_t i = 0; i < s->in_c; i++)
                for (int t = 0; t < s->kernel * s->kernel; t++)
                    tap_forward(c, z, *w++, from + (n * s->in_c + i) * in, c->taps[t]);
            int64_t at = (n * s->out_c + o) * out;
            for (int64_t j = 0; j < out; j++) {
                z[j] = z[j] * step + c->shift[o];
                if (s->residual) z[j] += f32(residual)[at + j];
                // Written so that NaN stays NaN.
                f32(y)[at + j] = s->relu && z[j] < 0 ? 0 : (float)z[j];
            }
        }
    mem_free(z);
}

static void conv_backward_x(Device *d, const Conv *c, Tensor dx, Tensor dz) {
    const ConvSpec *s = &c->spec;
    int64_t in = s->in_h * s->in_w, out = c->out_h * c->out_w;
    double *sum = ref_sums(d, in);
    if (!sum) return;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t i = 0; i < s->in_c; i++) {
            memset(sum, 0, (size_t)in * sizeof *sum);
            for (int64_t o = 0; o < s->out_c; o++) {
                const float *w = c->packed + (o * s->in_c + i) * s->kernel * s->kernel;
                for (int t = 0; t < s->kernel * s->kernel; t++)
                    tap_backward_x(c, sum, *w++, f32(dz) + (n * s->out_c + o) * out, c->taps[t]);
            }
            for (int64_t j = 0; j < in; j++) f32(dx)[(n * s->in_c + i) * in + j] = (float)sum[j];
        }
    mem_free(sum);
}

// packed = w * scale, so the gradient of w is scale times that of the packed weights.
static void conv_backward_w(const Conv *c, Tensor dw, Tensor dz, Tensor x) {
    const ConvSpec *s = &c->spec;
    int64_t in = s->in_h * s->in_w, out = c->out_h * c->out_w;
    float *to = f32(dw);
    for (int64_t o = 0; o < s->out_c; o++)
        for (int64_t i = 0; i < s->in_c; i++)
            for (int t = 0; t < s->kernel * s->kernel; t++) {
                double sum = 0;
                for (int64_t n = 0; n < s->n; n++)
                    sum += tap_backward_w(c, f32(dz) + (n * s->out_c + o) * out,
                                          f32(x) + (n * s->in_c + i) * in, c->taps[t]);
                *to++ += (float)(sum * c->scale[o]);
            }
}

void ref_conv_backward(Device *d, Conv *c, Tensor dx, Tensor dw, Tensor dz, Tensor x) {
    if (d->failed) return;
    assert(c->spec.train && tensor_contiguous(dw));
    if (c->spec.need_dx) conv_backward_x(d, c, dx, dz);
    conv_backward_w(c, dw, dz, x);
}

void ref_relu_backward(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y) {
    if (d->failed) return;
    for (int64_t i = 0; i < tensor_count(y); i++) {
        float sum = f32(dy)[i] + (dskip.data ? f32(dskip)[i] : 0);
        f32(dz)[i] = !isfinite(f32(y)[i]) ? NAN : f32(y)[i] > 0 ? sum : 0;
    }
}
