// SPDX-License-Identifier: Apache-2.0
// The gradient of a convolution's weights as a matrix product, for shapes where oneDNN has only its
// reference implementation, which takes some hundred times as long. On processors with AVX2 and
// without AVX-512 these are maps with fewer rows than the kernel, and dilated kernels. oneDNN's own
// way by products needs plain layouts and multiplies image by image: with a few pixels an image
// that takes several times as long as one product of all.
#include "ops/cpu/cpu.h"

// Inputs gathered for one product: 16 MB, so that large maps and batches do not fill the memory.
enum { MOST_GATHERED = 1 << 22 };

typedef struct Product {
    const ConvSpec *spec;
    int64_t out_h, out_w;
    int64_t taps;             // inputs under the kernel at one place, of all channels
    int64_t lanes, out_lanes; // of x and dz
} Product;

// For each pixel of one row of output pixels (rows are counted through all images) its inputs in
// the order of a filter's weights; 0 where the padding lies.
static void gather_inputs(const Product *p, int64_t row, const float *x, float *to) {
    const ConvSpec *s = p->spec;
    int64_t plane = s->in_h * s->in_w * p->lanes;
    int64_t top = row % p->out_h * s->stride - s->padding;
    x += row / p->out_h * (s->in_c / p->lanes) * plane;
    for (int64_t ox = 0; ox < p->out_w; ox++) {
        int64_t left = ox * s->stride - s->padding;
        for (int64_t c = 0; c < s->in_c; c++) {
            const float *in = x + c / p->lanes * plane + c % p->lanes;
            for (int64_t i = top; i < top + s->kernel * s->dilation; i += s->dilation)
                for (int64_t j = left; j < left + s->kernel * s->dilation; j += s->dilation) {
                    bool inside = i >= 0 && i < s->in_h && j >= 0 && j < s->in_w;
                    *to++ = inside ? in[(i * s->in_w + j) * p->lanes] : 0.0f;
                }
        }
    }
}

// dz of such a row by pixels, channels side by side. The norm's scale goes in here, where it costs
// least.
static void gather_gradients(const Product *p, int64_t row, const float *dz, const float *scale,
                             float *to) {
    int64_t channels = p->spec->out_c, plane = p->out_h * p->out_w * p->out_lanes;
    dz += row / p->out_h * (channels / p->out_lanes) * plane +
          row % p->out_h * p->out_w * p->out_lanes;
    for (int64_t ox = 0; ox < p->out_w; ox++)
        for (int64_t o = 0; o < channels; o++)
            *to++ = scale[o] * dz[o / p->out_lanes * plane + ox * p->out_lanes + o % p->out_lanes];
}

void cpu_conv_dweights(Device *d, const ConvSpec *s, Tensor dw, Tensor scale, Tensor dz, Tensor x) {
    const Product p = {
        .spec = s,
        .out_h = conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation),
        .out_w = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation),
        .taps = s->in_c * s->kernel * s->kernel,
        .lanes = cpu_lanes(d, s->in_c),
        .out_lanes = cpu_lanes(d, s->out_c),
    };
    int64_t rows = s->n * p.out_h, group = MOST_GATHERED / (p.out_w * p.taps);
    if (group < 1) group = 1;
    if (group > rows) group = rows;
    size_t floats = (size_t)(group * p.out_w * (p.taps + s->out_c));
    float *inputs = cpu_grow(d, &cpu_of(d)->gradients, floats * sizeof *inputs);
    if (!inputs) return;
    float *gradients = inputs + group * p.out_w * p.taps;
    for (int64_t first = 0; first < rows && !d->failed; first += group) {
        int64_t count = first + group < rows ? group : rows - first;
#pragma omp parallel for num_threads(d->threads)
        for (int64_t r = 0; r < count; r++) {
            gather_inputs(&p, first + r, f32(x), inputs + r * p.out_w * p.taps);
            gather_gradients(&p, first + r, f32(dz), f32(scale),
                             gradients + r * p.out_w * s->out_c);
        }
        cpu_gemm(d, 'T', 'N', s->out_c, p.taps, count * p.out_w, 1.0f, gradients, s->out_c, inputs,
                 p.taps, 1.0f, f32(dw), p.taps);
    }
}
