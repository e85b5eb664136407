// SPDX-License-Identifier: Apache-2.0
// Layer normalisation over the last dimension. A warp takes one row, which it reads from memory
// once and from the cache after that.
#include "ops/cuda/cuda.h"

enum { ROWS_PER_BLOCK = 8 };

static const float layernorm_eps = 1e-5f;

struct NormRows {
    uint32_t rows, D;
    bool fast;
};

template <typename T>
__global__ void layernorm_forward_kernel(NormRows s, T *y, float *mean, float *rstd, const T *x,
                                         const float *gamma, const float *beta, float eps) {
    uint32_t row = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (row >= s.rows) return;
    const T *in = x + (uint64_t)row * s.D;
    T *out = y + (uint64_t)row * s.D;
    float sum = 0, square = 0;
    for (uint32_t c = threadIdx.x * 4; c < s.D; c += WARP * 4) {
        int n = s.D - c < 4 ? (int)(s.D - c) : 4;
        Quad q = load_quad(in + c, n, s.fast);
        for (int i = 0; i < n; i++) sum += q.v[i];
    }
    float mu = warp_sum(sum) / (float)s.D;
    for (uint32_t c = threadIdx.x * 4; c < s.D; c += WARP * 4) {
        int n = s.D - c < 4 ? (int)(s.D - c) : 4;
        Quad q = load_quad(in + c, n, s.fast);
        for (int i = 0; i < n; i++) square += (q.v[i] - mu) * (q.v[i] - mu);
    }
    float r = 1.0f / sqrtf(warp_sum(square) / (float)s.D + eps);
    if (threadIdx.x == 0) {
        mean[row] = mu;
        rstd[row] = r;
    }
    for (uint32_t c = threadIdx.x * 4; c < s.D; c += WARP * 4) {
        int n = s.D - c < 4 ? (int)(s.D - c) : 4;
        Quad q = load_quad(in + c, n, s.fast);
        for (int i = 0; i < n; i++) q.v[i] = (q.v[i] - mu) * r * gamma[c + i] + beta[c + i];
        store_quad(out + c, q, n, s.fast);
    }
}

// y may be x: a lane reads its own elements before it writes them.
template <typename T>
static void layernorm_forward_of(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x,
                                 Tensor gamma, Tensor beta) {
    bool fast = tensor_columns(x) % 4 == 0 && (uintptr_t)x.data % (4 * sizeof(T)) == 0 &&
                (uintptr_t)y.data % (4 * sizeof(T)) == 0;
    NormRows s = {(uint32_t)tensor_rows(x), (uint32_t)tensor_columns(x), fast};
    auto kernel = layernorm_forward_kernel<T>;
    LAUNCH(kernel, dim3((s.rows + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK), dim3(WARP, ROWS_PER_BLOCK),
           0, cuda_stream(d), s, (T *)y.data, f32(mean), f32(rstd), (const T *)x.data, f32(gamma),
           f32(beta), layernorm_eps);
    cuda_launched(d, "layernorm_forward", s.rows, s.D);
}

static void layernorm_forward(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
                              Tensor beta) {
    if (d->failed) return;
    BY_TYPE(x.dtype, layernorm_forward_of, d, y, mean, rstd, x, gamma, beta);
}

// With h = (x - mean) rstd and q = dy gamma: dx = rstd (q - mean(q) - h mean(q h)).
template <typename T>
__global__ void layernorm_backward_kernel(NormRows s, T *dx, const T *dy, const T *x,
                                          const float *mean, const float *rstd, const float *gamma,
                                          bool accumulate) {
    uint32_t row = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (row >= s.rows) return;
    const T *in = x + (uint64_t)row * s.D, *grad = dy + (uint64_t)row * s.D;
    T *out = dx + (uint64_t)row * s.D;
    float mu = mean[row], r = rstd[row], sum = 0, dot = 0;
    for (uint32_t c = threadIdx.x * 4; c < s.D; c += WARP * 4) {
        int n = s.D - c < 4 ? (int)(s.D - c) : 4;
        Quad v = load_quad(in + c, n, s.fast), g = load_quad(grad + c, n, s.fast);
        for (int i = 0; i < n; i++) {
            float q = g.v[i] * gamma[c + i];
            sum += q;
            dot += q * (v.v[i] - mu) * r;
        }
    }
    sum = warp_sum(sum) / (float)s.D;
    dot = warp_sum(dot) / (float)s.D;
    for (uint32_t c = threadIdx.x * 4; c < s.D; c += WARP * 4) {
        int n = s.D - c < 4 ? (int)(s.D - c) : 4;
        Quad v = load_quad(in + c, n, s.fast), g = load_quad(grad + c, n, s.fast), old = g;
        if (accumulate) old = load_quad(out + c, n, s.fast);
        for (int i = 0; i < n; i++) {
            float q = r * (g.v[i] * gamma[c + i] - sum - (v.v[i] - mu) * r * dot);
            g.v[i] = accumulate ? old.v[i] + q : q;
        }
        store_quad(out + c, g, n, s.fast);
    }
}

template <typename T> struct NormGradients {
    const T *dy, *x;
    const float *mean, *rstd;
    uint32_t D;
    __device__ Pair operator()(uint32_t r, uint32_t c) const {
        float g = to_float(dy[(uint64_t)r * D + c]);
        Pair p = {g * (to_float(x[(uint64_t)r * D + c]) - mean[r]) * rstd[r], g};
        return p;
    }
};

template <typename T>
static void layernorm_backward_of(Device *d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy,
                                  Tensor x, Tensor mean, Tensor rstd, Tensor gamma,
                                  bool accumulate) {
    bool fast = tensor_columns(x) % 4 == 0;
    const void *all[] = {x.data, dy.data, dx.data};
    for (int i = 0; i < 3; i++) fast = fast && (uintptr_t)all[i] % (4 * sizeof(T)) == 0;
    NormRows s = {(uint32_t)tensor_rows(x), (uint32_t)tensor_columns(x), fast};
    // First: dx may be dy.
    NormGradients<T> f = {(const T *)dy.data, (const T *)x.data, f32(mean), f32(rstd), s.D};
    add_column_sums(d, "layernorm_backward", f, s.rows, s.D, f32(dgamma), f32(dbeta));
    auto kernel = layernorm_backward_kernel<T>;
    LAUNCH(kernel, dim3((s.rows + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK), dim3(WARP, ROWS_PER_BLOCK),
           0, cuda_stream(d), s, (T *)dx.data, (const T *)dy.data, (const T *)x.data, f32(mean),
           f32(rstd), f32(gamma), accumulate);
    cuda_launched(d, "layernorm_backward", s.rows, s.D);
}

static void layernorm_backward(Device *d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy,
                               Tensor x, Tensor mean, Tensor rstd, Tensor gamma, bool accumulate) {
    if (d->failed) return;
    BY_TYPE(x.dtype, layernorm_backward_of, d, dx, dgamma, dbeta, dy, x, mean, rstd, gamma,
            accumulate);
}

void cuda_layernorm_ops(Device *d) {
    d->layernorm_forward = layernorm_forward;
    d->layernorm_backward = layernorm_backward;
}
