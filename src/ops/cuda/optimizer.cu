// SPDX-License-Identifier: Apache-2.0
// Clipping and AdamW: one pass over the gradients for their norm, one over everything for the
// update.
#include "ops/cuda/cuda.h"

static const unsigned NORM_BLOCKS = 1024, NORM_THREADS = 256;

__global__ void squares_kernel(double *parts, const float *g, uint64_t count, bool fast) {
    __shared__ double shared[NORM_THREADS];
    double sum = 0;
    uint64_t step = (uint64_t)NORM_BLOCKS * NORM_THREADS * 4;
    for (uint64_t i = ((uint64_t)blockIdx.x * NORM_THREADS + threadIdx.x) * 4; i < count;
         i += step) {
        int n = count - i < 4 ? (int)(count - i) : 4;
        Quad q = load_quad(g + i, n, fast && n == 4);
        for (int k = 0; k < n; k++) sum += (double)q.v[k] * q.v[k];
    }
    sum = block_sum<NORM_THREADS>(sum, shared);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void norm_kernel(float *norm, float *halt, const double *parts, const float *losses) {
    __shared__ double shared[NORM_THREADS];
    double sum = 0;
    for (unsigned i = threadIdx.x; i < NORM_BLOCKS; i += NORM_THREADS) sum += parts[i];
    sum = block_sum<NORM_THREADS>(sum, shared);
    if (threadIdx.x != 0) return;
    float root = (float)sqrt(sum);
    *norm = root;
    if (halt && (!isfinite(root) || (losses && !isfinite(losses[0])))) *halt = 1;
}

static void grad_norm(Device *d, Tensor norm, Tensor halt, Tensor g, Tensor losses) {
    double *parts = (double *)cuda_scratch(d, NORM_BLOCKS * sizeof(double));
    if (d->failed) return;
    cudaStream_t s = cuda_stream(d);
    bool fast = (uintptr_t)g.data % 16 == 0;
    LAUNCH(squares_kernel, dim3(NORM_BLOCKS), dim3(NORM_THREADS), 0, s, parts,
           (const float *)f32(g), (uint64_t)tensor_count(g), fast);
    LAUNCH(norm_kernel, dim3(1), dim3(NORM_THREADS), 0, s, f32(norm), f32(halt),
           (const double *)parts, (const float *)f32(losses));
    cuda_launched(d, "grad_norm", 1, tensor_count(g));
}

// What is the same for all parameters of a group, worked out once.
struct AdamWScalars {
    float clip, rate, unbias, decay;
    int halted;
};

__global__ void scalars_kernel(AdamWScalars *out, AdamW a, const float *norm, const float *halt,
                               const StepNumbers *numbers) {
    if (threadIdx.x != 0) return;
    AdamWScalars s = {1, 0, 0, 0, halt && *halt != 0};
    float lr = numbers ? numbers->lr[a.group] : a.lr;
    double step = numbers ? (double)numbers->step : (double)a.step;
    if (a.max_norm > 0 && *norm + 1e-6f > a.max_norm) s.clip = a.max_norm / (*norm + 1e-6f);
    s.rate = (float)(lr / (1 - pow((double)a.beta1, step)));
    s.unbias = (float)(1 / sqrt(1 - pow((double)a.beta2, step)));
    s.decay = 1.0f - lr * a.weight_decay;
    *out = s;
}

struct AdamWStep {
    float *p, *g, *m, *v;
    const AdamWScalars *scalars;
    float beta1, beta2, eps;
    bool fast;
    __device__ void operator()(uint32_t, uint32_t c, int n) const {
        bool whole = fast && n == 4;
        AdamWScalars s = *scalars;
        Quad nothing = {{0, 0, 0, 0}}, G = load_quad(g + c, n, whole);
        store_quad(g + c, nothing, n, whole);
        if (s.halted) return;
        Quad P = load_quad(p + c, n, whole), M = load_quad(m + c, n, whole);
        Quad V = load_quad(v + c, n, whole);
        for (int i = 0; i < n; i++) {
            float grad = G.v[i] * s.clip;
            float mean = beta1 * M.v[i] + (1 - beta1) * grad;
            M.v[i] = fabsf(mean) < ADAMW_LEAST_MOMENT ? 0 : mean;
            V.v[i] = beta2 * V.v[i] + (1 - beta2) * grad * grad;
            P.v[i] = P.v[i] * s.decay - s.rate * M.v[i] / (sqrtf(V.v[i]) * s.unbias + eps);
        }
        store_quad(p + c, P, n, whole);
        store_quad(m + c, M, n, whole);
        store_quad(v + c, V, n, whole);
    }
};

static void adamw(Device *d, Tensor p, Tensor g, Tensor m, Tensor v, Tensor norm, Tensor halt,
                  AdamW a) {
    AdamWScalars *scalars = (AdamWScalars *)cuda_scratch(d, sizeof(AdamWScalars));
    if (d->failed) return;
    LAUNCH(scalars_kernel, dim3(1), dim3(WARP), 0, cuda_stream(d), scalars, a,
           (const float *)f32(norm), (const float *)f32(halt), cuda_numbers(d));
    bool fast = true;
    const void *all[] = {p.data, g.data, m.data, v.data};
    for (int i = 0; i < 4; i++) fast = fast && (uintptr_t)all[i] % 16 == 0;
    AdamWStep f = {f32(p), f32(g), f32(m), f32(v), scalars, a.beta1, a.beta2, a.eps, fast};
    for_quads(d, "adamw", f, 1, tensor_count(p));
}

void cuda_optimizer_ops(Device *d) {
    d->grad_norm = grad_norm;
    d->adamw = adamw;
}
