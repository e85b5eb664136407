// SPDX-License-Identifier: Apache-2.0
// The attention ops: their tensors as the kernels of attention_kernels.h take them, and the
// precision that is asked for.
#include "ops/cuda/attention.h"

#include <math.h>

template <typename T> static Operand<T> operand_of(Tensor t, int64_t dh) {
    Operand<T> o = {(T *)t.data, t.stride[0], t.stride[1], false, false};
    const int64_t piece = 16 / sizeof(T);
    o.async = dh % piece == 0 && (uintptr_t)t.data % 16 == 0 && t.stride[0] % piece == 0 &&
              t.stride[1] % piece == 0;
    o.fast = dh % 4 == 0 && (uintptr_t)t.data % (4 * sizeof(T)) == 0 && t.stride[0] % 4 == 0 &&
             t.stride[1] % 4 == 0;
    return o;
}

static HeadShape head_shape(Tensor q, Tensor k, int heads) {
    int dh = (int)(q.shape[2] / heads);
    HeadShape s = {(int)q.shape[1], (int)k.shape[1], dh, heads, 1.0f / sqrtf((float)dh)};
    return s;
}

// One warp a row: delta = sum of do o.
template <typename T> __global__ void attention_delta_kernel(BackwardArgs<T> a, int rows) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    int bh = row / a.s.Lq, i = row % a.s.Lq, b = bh / a.s.heads, h = bh % a.s.heads;
    const T *g = a.dout.head(b, h, a.s.dh) + (int64_t)i * a.dout.row_stride;
    const T *o = a.o.head(b, h, a.s.dh) + (int64_t)i * a.o.row_stride;
    float sum = 0;
    for (int c = threadIdx.x; c < a.s.dh; c += WARP) sum += to_float(g[c]) * to_float(o[c]);
    sum = warp_sum(sum);
    if (threadIdx.x == 0) a.delta[row] = sum;
}

template <typename T> static void launch_delta(Device *d, const BackwardArgs<T> &a, int rows) {
    enum { DELTA_ROWS = 8 };
    auto delta = attention_delta_kernel<T>;
    LAUNCH(delta, dim3((unsigned)((rows + DELTA_ROWS - 1) / DELTA_ROWS)), dim3(WARP, DELTA_ROWS), 0,
           cuda_stream(d), a, rows);
}

void attention_delta(Device *d, const BackwardArgs<float> &a, int rows) {
    launch_delta(d, a, rows);
}

void attention_delta(Device *d, const BackwardArgs<bf16> &a, int rows) {
    launch_delta(d, a, rows);
}

static bool width_is_taken(Device *d, int dh) {
    if (dh > 128)
        device_fail(d, "attention: heads %d wide; on cuda 128 is the most: raise --policy.n_heads",
                    dh);
    return !d->failed;
}

template <typename T>
static ForwardArgs<T> forward_args(Device *d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                                   Tensor key_pad, int heads, Dropout drop) {
    HeadShape s = head_shape(q, k, heads);
    ForwardArgs<T> a = {s,
                        operand_of<T>(o, s.dh),
                        operand_of<const T>(q, s.dh),
                        operand_of<const T>(k, s.dh),
                        operand_of<const T>(v, s.dh),
                        f32(lse),
                        (const uint8_t *)key_pad.data,
                        dropout_mask(d, drop)};
    return a;
}

static void attention_forward(Device *d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                              Tensor key_pad, int heads, Dropout drop) {
    int64_t B = q.shape[0];
    if (!width_is_taken(d, (int)(q.shape[2] / heads))) return;
    if (d->precision == PRECISION_BFLOAT16) {
        auto a = forward_args<bf16>(d, o, lse, q, k, v, key_pad, heads, drop);
        attention_forward_bfloat16(d, a, B);
        return;
    }
    auto a = forward_args<float>(d, o, lse, q, k, v, key_pad, heads, drop);
    if (d->precision == PRECISION_TF32)
        attention_forward_tf32(d, a, B);
    else
        attention_forward_float32(d, a, B);
}

template <typename T>
static BackwardArgs<T> backward_args(Device *d, Tensor dq, Tensor dk, Tensor dv, Tensor dout,
                                     Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                                     Tensor key_pad, int heads, Dropout drop, float *delta) {
    HeadShape s = head_shape(q, k, heads);
    BackwardArgs<T> a = {s,
                         operand_of<T>(dq, s.dh),
                         operand_of<T>(dk, s.dh),
                         operand_of<T>(dv, s.dh),
                         operand_of<const T>(dout, s.dh),
                         operand_of<const T>(o, s.dh),
                         operand_of<const T>(q, s.dh),
                         operand_of<const T>(k, s.dh),
                         operand_of<const T>(v, s.dh),
                         f32(lse),
                         delta,
                         (const uint8_t *)key_pad.data,
                         dropout_mask(d, drop)};
    return a;
}

static void attention_backward(Device *d, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor o,
                               Tensor lse, Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads,
                               Dropout drop) {
    int64_t B = q.shape[0];
    if (!width_is_taken(d, (int)(q.shape[2] / heads))) return;
    float *delta = (float *)cuda_scratch(d, (size_t)(B * heads * q.shape[1]) * sizeof(float));
    if (d->failed) return;
    if (d->precision == PRECISION_BFLOAT16) {
        auto a =
            backward_args<bf16>(d, dq, dk, dv, dout, o, lse, q, k, v, key_pad, heads, drop, delta);
        attention_backward_bfloat16(d, a, B);
        return;
    }
    auto a =
        backward_args<float>(d, dq, dk, dv, dout, o, lse, q, k, v, key_pad, heads, drop, delta);
    if (d->precision == PRECISION_TF32)
        attention_backward_tf32(d, a, B);
    else
        attention_backward_float32(d, a, B);
}

void cuda_attention_ops(Device *d) {
    d->attention_forward = attention_forward;
    d->attention_backward = attention_backward;
}
