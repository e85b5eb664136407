// SPDX-License-Identifier: Apache-2.0
// Activation functions with dropout, and dropout before a residual sum: one pass over memory each.
// The masks are made again in backward, from the counters they were made of.
#include "ops/cuda/cuda.h"

__device__ __forceinline__ float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}

__device__ __forceinline__ float gelu_slope(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}

template <typename T> struct ActivationForward {
    View<T> y, x;
    Activation act;
    DropoutMask mask;
    __device__ void operator()(uint32_t r, uint32_t c, int n) const {
        Quad q = load_quad(x.row(r) + c, n, x.fast), m = mask.factors(r, c);
        for (int i = 0; i < 4; i++) {
            float v = q.v[i];
            if (act == ACT_RELU) v = v < 0 ? 0 : v; // NaN stays NaN
            if (act == ACT_GELU) v = gelu(v);
            q.v[i] = v * m.v[i];
        }
        store_quad(y.row(r) + c, q, n, y.fast);
    }
};

// A contiguous tensor as (rows, columns), whatever its rank.
static Tensor flat_rows(Tensor t) {
    return rows_view(t.data, t.dtype, tensor_rows(t), tensor_columns(t));
}

template <typename T>
static void activation_forward_of(Device *d, Tensor y, Tensor x, Activation act, Dropout drop) {
    ActivationForward<T> f = {view_of<T>(flat_rows(y)), view_of<T>(flat_rows(x)), act,
                              dropout_mask(d, drop)};
    for_quads(d, "activation_forward", f, tensor_rows(x), tensor_columns(x));
}

static void activation_forward(Device *d, Tensor y, Tensor x, Activation act, Dropout drop) {
    BY_TYPE(x.dtype, activation_forward_of, d, y, x, act, drop);
}

template <typename T> struct ActivationBackward {
    View<T> dx, dy, saved; // saved: y for relu, x for gelu
    Activation act;
    DropoutMask mask;
    __device__ void operator()(uint32_t r, uint32_t c, int n) const {
        Quad g = load_quad(dy.row(r) + c, n, dy.fast);
        if (act == ACT_RELU) { // what was dropped is zero in y, so y tells both
            Quad y = load_quad(saved.row(r) + c, n, saved.fast);
            for (int i = 0; i < 4; i++) g.v[i] = y.v[i] > 0 ? g.v[i] * mask.keep : 0.0f;
        } else {
            Quad m = mask.factors(r, c), x = g;
            if (act == ACT_GELU) x = load_quad(saved.row(r) + c, n, saved.fast);
            for (int i = 0; i < 4; i++)
                g.v[i] *= m.v[i] * (act == ACT_GELU ? gelu_slope(x.v[i]) : 1.0f);
        }
        store_quad(dx.row(r) + c, g, n, dx.fast);
    }
};

template <typename T>
static void activation_backward_of(Device *d, Tensor dx, Tensor dy, Tensor saved, Activation act,
                                   Dropout drop) {
    ActivationBackward<T> f = {view_of<T>(flat_rows(dx)), view_of<T>(flat_rows(dy)),
                               view_of<T>(flat_rows(saved)), act, dropout_mask(d, drop)};
    for_quads(d, "activation_backward", f, tensor_rows(dy), tensor_columns(dy));
}

static void activation_backward(Device *d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act,
                                Dropout drop) {
    Tensor saved = act == ACT_RELU ? y : act == ACT_GELU ? x : dy;
    BY_TYPE(dy.dtype, activation_backward_of, d, dx, dy, saved, act, drop);
}

template <typename T> struct DropoutAdd {
    View<T> r, x, s;
    DropoutMask mask;
    __device__ void operator()(uint32_t row, uint32_t c, int n) const {
        Quad p = load_quad(x.row(row) + c, n, x.fast), q = load_quad(s.row(row) + c, n, s.fast);
        Quad m = mask.factors(row, c);
        for (int i = 0; i < 4; i++) p.v[i] += q.v[i] * m.v[i];
        store_quad(r.row(row) + c, p, n, r.fast);
    }
};

template <typename T>
static void dropout_add_of(Device *d, Tensor r, Tensor x, Tensor s, Dropout drop) {
    DropoutAdd<T> f = {view_of<T>(flat_rows(r)), view_of<T>(flat_rows(x)), view_of<T>(flat_rows(s)),
                       dropout_mask(d, drop)};
    for_quads(d, "dropout_add_forward", f, tensor_rows(x), tensor_columns(x));
}

static void dropout_add_forward(Device *d, Tensor r, Tensor x, Tensor s, Dropout drop) {
    BY_TYPE(x.dtype, dropout_add_of, d, r, x, s, drop);
}

static void dropout_add_backward(Device *d, Tensor ds, Tensor dr, Dropout drop) {
    activation_forward(d, ds, dr, ACT_NONE, drop);
}

void cuda_activation_ops(Device *d) {
    d->activation_forward = activation_forward;
    d->activation_backward = activation_backward;
    d->dropout_add_forward = dropout_add_forward;
    d->dropout_add_backward = dropout_add_backward;
}
