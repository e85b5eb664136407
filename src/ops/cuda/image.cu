// SPDX-License-Identifier: Apache-2.0
// Images: NHWC in the activation type, straight from the camera's bytes; tokens are pixels as they
// lie.
#include "ops/cuda/cuda.h"

static size_t image_bytes(Device *d, int64_t n, int64_t c, int64_t h, int64_t w) {
    return (size_t)(n * image_channels(c) * h * w) * dtype_size(d->activations);
}

// One pixel: three bytes in, three values and a zero out.
template <typename T> struct Normalize {
    T *y;
    const uint8_t *x;
    float mean[3], scale[3];
    __device__ void operator()(uint32_t pixel, uint32_t, int) const {
        Quad q;
        for (int i = 0; i < 3; i++)
            q.v[i] = ((float)x[(uint64_t)pixel * 3 + i] / 255.0f - mean[i]) * scale[i];
        q.v[3] = 0;
        store_quad(y + (uint64_t)pixel * 4, q, 4, true);
    }
};

template <typename T>
static void normalize_of(Device *d, Tensor y, Tensor x, const float mean[3], const float std[3]) {
    Normalize<T> f = {(T *)y.data, (const uint8_t *)x.data, {0, 0, 0}, {0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        f.mean[i] = mean[i];
        f.scale[i] = (float)(1.0 / ((double)std[i] + 1e-8));
    }
    for_quads(d, "image_normalize", f, tensor_count(x) / 3, 4);
}

static void image_normalize(Device *d, Tensor y, Tensor x, const float mean[3],
                            const float std[3]) {
    BY_TYPE(y.dtype, normalize_of, d, y, x, mean, std);
}

struct Shape {
    uint32_t C, stored;
    uint64_t pixels;
};

static Shape shape_of(Tensor t) {
    Shape s = {(uint32_t)t.shape[1], (uint32_t)image_channels(t.shape[1]),
               (uint64_t)(t.shape[2] * t.shape[3])};
    return s;
}

// Row: a pixel; columns: its channels.
template <typename T> struct FromPlain {
    T *y;
    const float *x;
    Shape s;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        uint64_t image = pixel / s.pixels, at = pixel % s.pixels;
        for (int i = 0; i < n; i++) {
            uint32_t k = c + i;
            float v = k < s.C ? x[(image * s.C + k) * s.pixels + at] : 0.0f;
            y[(uint64_t)pixel * s.stored + k] = from_float<T>(v);
        }
    }
};

template <typename T> struct ToPlain {
    float *y;
    const T *x;
    Shape s;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        uint64_t image = pixel / s.pixels, at = pixel % s.pixels;
        for (int i = 0; i < n; i++)
            y[(image * s.C + c + i) * s.pixels + at] =
                to_float(x[(uint64_t)pixel * s.stored + c + i]);
    }
};

template <typename T> static void from_plain_of(Device *d, Tensor y, Tensor x) {
    FromPlain<T> f = {(T *)y.data, f32(x), shape_of(y)};
    for_quads(d, "image_from_plain", f, y.shape[0] * (int64_t)f.s.pixels, f.s.stored);
}

static void image_from_plain(Device *d, Tensor y, Tensor x) {
    BY_TYPE(y.dtype, from_plain_of, d, y, x);
}

template <typename T> static void to_plain_of(Device *d, Tensor y, Tensor x) {
    ToPlain<T> f = {f32(y), (const T *)x.data, shape_of(x)};
    for_quads(d, "image_to_plain", f, x.shape[0] * (int64_t)f.s.pixels, f.s.C);
}

static void image_to_plain(Device *d, Tensor y, Tensor x) {
    BY_TYPE(x.dtype, to_plain_of, d, y, x);
}

// (N, H, W, C) is (N, H*W, C): only a picture's fourth channel stands between them.
static void move_tokens(Device *d, Tensor tokens, Tensor image, bool to_image) {
    int64_t stored = image_channels(image.shape[1]), C = image.shape[1];
    int64_t pixels = tensor_count(image) / C;
    Tensor wide = rows_view(image.data, image.dtype, pixels, stored);
    Tensor narrow = rows_view(tokens.data, tokens.dtype, pixels, C);
    if (to_image && stored > C) d->zero(d, wide);
    wide = tensor_slice(wide, 1, 0, C);
    d->copy(d, to_image ? wide : narrow, to_image ? narrow : wide);
}

static void tokens_from_image(Device *d, Tensor y, Tensor x) {
    move_tokens(d, y, x, false);
}

static void image_from_tokens(Device *d, Tensor dx, Tensor dy) {
    move_tokens(d, dy, dx, true);
}

template <typename T> struct ReluBackward {
    T *dz;
    const T *dy, *dskip, *y;
    bool fast;
    __device__ void operator()(uint32_t, uint32_t c, int n) const {
        Quad g = load_quad(dy + c, n, fast), v = load_quad(y + c, n, fast);
        if (dskip) {
            Quad s = load_quad(dskip + c, n, fast);
            for (int i = 0; i < 4; i++) g.v[i] += s.v[i];
        }
        // v - v is 0, or NaN where an activation is not finite.
        for (int i = 0; i < 4; i++) g.v[i] = (v.v[i] > 0 ? g.v[i] : 0.0f) + (v.v[i] - v.v[i]);
        store_quad(dz + c, g, n, fast);
    }
};

template <typename T>
static void relu_backward_of(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y) {
    int64_t n = image_count(y);
    ReluBackward<T> f = {(T *)dz.data, (const T *)dy.data, (const T *)dskip.data, (const T *)y.data,
                         n % 4 == 0};
    for_quads(d, "relu_backward", f, 1, n);
}

static void relu_backward(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y) {
    BY_TYPE(y.dtype, relu_backward_of, d, dz, dy, dskip, y);
}

void cuda_image_ops(Device *d) {
    d->image_bytes = image_bytes;
    d->image_normalize = image_normalize;
    d->image_from_plain = image_from_plain;
    d->image_to_plain = image_to_plain;
    d->tokens_from_image = tokens_from_image;
    d->image_from_tokens = image_from_tokens;
    d->relu_backward = relu_backward;
}
