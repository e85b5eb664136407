// SPDX-License-Identifier: Apache-2.0
// The transforms of Winograd's algorithm along one direction, on vectors of channels. Steps between
// values are in vectors. Private to winograd.c.
#ifndef TACT_OPS_CPU_WINOGRAD_TRANSFORMS_H
#define TACT_OPS_CPU_WINOGRAD_TRANSFORMS_H

#include <stdint.h>

// Channels that one instruction works on.
#ifdef __AVX__
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef float Wide __attribute__((vector_size(WIDE * sizeof(float)), aligned(4)));
typedef int32_t Mask __attribute__((vector_size(WIDE * sizeof(int32_t)), aligned(4)));
#define AT(pointer) (*(Wide *)(pointer))
#define READ(pointer) (*(const Wide *)(pointer))

// ---- F(4x4, 3x3): six inputs, six points, four outputs ------------------------------------------

// Of six inputs.
static inline void transform_inputs(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by], d = in[3 * by], e = in[4 * by],
               f = in[5 * by];
    const Wide even = e - 4 * c, odd = d - 4 * b, near = e - c, twice = 2 * (d - b);
    out[0] = 4 * a - 5 * c + e;
    out[to] = even + odd;
    out[2 * to] = even - odd;
    out[3 * to] = near + twice;
    out[4 * to] = near - twice;
    out[5 * to] = 4 * b - 5 * d + f;
}

// Of six points to four outputs.
static inline void transform_sums(Wide *out, int to, const Wide *in, int by) {
    const Wide p = in[by] + in[2 * by], q = in[by] - in[2 * by];
    const Wide r = in[3 * by] + in[4 * by], s = in[3 * by] - in[4 * by];
    out[0] = in[0] + p + r;
    out[to] = q + 2 * s;
    out[2 * to] = p + 4 * r;
    out[3 * to] = q + 8 * s + in[5 * by];
}

// The transpose of transform_sums: of four gradients to six points.
static inline void transform_gradients(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by], d = in[3 * by];
    const Wide even = a + c, odd = b + d, even2 = a + 4 * c, odd2 = 2 * b + 8 * d;
    out[0] = a;
    out[to] = even + odd;
    out[2 * to] = even - odd;
    out[3 * to] = even2 + odd2;
    out[4 * to] = even2 - odd2;
    out[5 * to] = d;
}

// Of three weights.
static inline void transform_weights(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by];
    const Wide even = (a + c) * (1.0f / 6), odd = b * (1.0f / 6);
    const Wide even2 = a * (1.0f / 24) + c * (1.0f / 6), odd2 = b * (1.0f / 12);
    out[0] = a * 0.25f;
    out[to] = -even - odd;
    out[2 * to] = odd - even;
    out[3 * to] = even2 + odd2;
    out[4 * to] = even2 - odd2;
    out[5 * to] = c;
}

// The transpose of transform_weights: of six points to three gradients.
static inline void transform_points(Wide *out, int to, const Wide *in, int by) {
    const Wide p = in[by] + in[2 * by], q = in[2 * by] - in[by];
    const Wide r = in[3 * by] + in[4 * by], s = in[3 * by] - in[4 * by];
    out[0] = in[0] * 0.25f - p * (1.0f / 6) + r * (1.0f / 24);
    out[to] = q * (1.0f / 6) + s * (1.0f / 12);
    out[2 * to] = (r - p) * (1.0f / 6) + in[5 * by];
}

// ---- F(2x2, 3x3): four inputs, four points, two outputs -----------------------------------------

static inline void transform_inputs2(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by], d = in[3 * by];
    out[0] = a - c;
    out[to] = b + c;
    out[2 * to] = c - b;
    out[3 * to] = b - d;
}

static inline void transform_sums2(Wide *out, int to, const Wide *in, int by) {
    out[0] = in[0] + in[by] + in[2 * by];
    out[to] = in[by] - in[2 * by] - in[3 * by];
}

static inline void transform_weights2(Wide *out, int to, const Wide *in, int by) {
    const Wide a = in[0], b = in[by], c = in[2 * by];
    const Wide even = (a + c) * 0.5f, odd = b * 0.5f;
    out[0] = a;
    out[to] = even + odd;
    out[2 * to] = even - odd;
    out[3 * to] = c;
}

#endif
