// SPDX-License-Identifier: Apache-2.0
// Private to ops/cuda: what attention.cu, which fills the table of ops, asks of
// attention_float32.cu, attention_tf32.cu and attention_bfloat16.cu, which hold the kernels of one
// precision each. Apart, they compile at the same time.
#ifndef TACT_OPS_CUDA_ATTENTION_H
#define TACT_OPS_CUDA_ATTENTION_H

#include "ops/cuda/cuda.h"

struct HeadShape {
    int Lq, Lk, dh, heads;
    float scale;
};

// Rows of one operand: (B, L, D) with strides; head h starts at column h * dh.
template <typename T> struct Operand {
    T *data;
    int64_t sample_stride, row_stride;
    bool fast;  // quads of a head are aligned
    bool async; // so are pieces of 16 bytes, of which its rows consist
    __device__ __forceinline__ T *head(int b, int h, int dh) const {
        return data + b * sample_stride + (int64_t)h * dh;
    }
};

template <typename T> struct ForwardArgs {
    HeadShape s;
    Operand<T> o;
    Operand<const T> q, k, v;
    float *lse;
    const uint8_t *pad;
    DropoutMask mask;
};

template <typename T> struct BackwardArgs {
    HeadShape s;
    Operand<T> dq, dk, dv;
    Operand<const T> dout, o, q, k, v;
    const float *lse;
    float *delta; // (B, NH, Lq)
    const uint8_t *pad;
    DropoutMask mask;
};

// B samples in the arithmetic that the name says. A failure is the device's.
void attention_forward_float32(Device *d, const ForwardArgs<float> &a, int64_t B);
void attention_forward_tf32(Device *d, const ForwardArgs<float> &a, int64_t B);
void attention_forward_bfloat16(Device *d, const ForwardArgs<bf16> &a, int64_t B);
void attention_backward_float32(Device *d, const BackwardArgs<float> &a, int64_t B);
void attention_backward_tf32(Device *d, const BackwardArgs<float> &a, int64_t B);
void attention_backward_bfloat16(Device *d, const BackwardArgs<bf16> &a, int64_t B);

// attention.cu: launches what fills a.delta, of that many rows, for the backward kernels.
void attention_delta(Device *d, const BackwardArgs<float> &a, int rows);
void attention_delta(Device *d, const BackwardArgs<bf16> &a, int rows);

#endif
