// SPDX-License-Identifier: Apache-2.0
// Convolutions of bfloat16 images that oneDNN makes wrong, as products of our own in float32. The
// rules look at the shape alone, whatever oneDNN's version: no network of ours has such shapes.
#include "ops/cpu/products.h"
#include "ops/cpu/vector.h"

// Of oneDNN 2.6, tried over channels, kernels, strides and sizes with the memory that it works in
// spoiled beforehand: weights' gradients of kernels whose taps lie apart, and of strides over
// images that leave one column, have parts that nothing was written to; and 1x1 kernels over
// an odd number of channels, fewer than a block, are multiplied with one more, and with 33 outputs
// write behind what they were given. Of channels that fill blocks none was seen to err.
bool cpu_onednn_errs(const ConvSpec *s, Direction way) {
    enum { BLOCK = 16 };
    if (way == FORWARD) return s->kernel == 1 && (s->in_c % BLOCK || s->out_c % BLOCK);
    if (way == BACKWARD_DATA) return false;
    return s->dilation > 1 ||
           (s->stride > 1 && conv_out_size(s->in_w, s->kernel, s->stride, s->padding, 1) == 1);
}

static void widen(Device *d, float *out, const bf16 *in, int64_t n) {
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] = float_of_bf16(in[i]);
}

void cpu_product_forward_of_halves(Device *d, const ConvProduct *p, bf16 *y, const bf16 *x,
                                   const float *shift, const bf16 *residual) {
    const ConvSpec *s = &p->spec;
    const int64_t of_x = s->n * s->in_h * s->in_w * s->in_c;
    const int64_t of_y = s->n * p->out_h * p->out_w * s->out_c;
    float *wide_x = cpu_grow(d, &cpu_of(d)->widened, (size_t)(of_x + 2 * of_y) * sizeof *wide_x);
    if (!wide_x) return;
    float *wide_y = wide_x + of_x, *wide_residual = wide_y + of_y;
    widen(d, wide_x, x, of_x);
    if (residual) widen(d, wide_residual, residual, of_y);
    cpu_product_forward(d, p, wide_y, wide_x, shift, residual ? wide_residual : NULL);
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < of_y; i++) y[i] = bf16_of_float(wide_y[i]);
}

void cpu_product_weights_of_halves(Device *d, const ConvProduct *p, float *dw, const float *scale,
                                   const bf16 *dz, const bf16 *x) {
    const ConvSpec *s = &p->spec;
    const int64_t of_x = s->n * s->in_h * s->in_w * s->in_c;
    const int64_t of_dz = s->n * p->out_h * p->out_w * s->out_c;
    float *floats = cpu_grow(d, &cpu_of(d)->widened, (size_t)(of_x + of_dz) * sizeof *floats);
    if (!floats) return;
    widen(d, floats, x, of_x);
    widen(d, floats + of_x, dz, of_dz);
    cpu_product_weights(d, p, dw, scale, floats + of_x, floats);
}
