// SPDX-License-Identifier: Apache-2.0
// The VAE's sample and ACT's loss. B samples, S chunk, A actions, Z latent. The losses are summed
// in two stages, each in one order: by blocks, and over these.
#include "ops/cuda/cuda.h"

static const unsigned LOSS_BLOCKS = 64, LOSS_THREADS = 256;

struct VaeForward {
    float *z;
    const float *params, *eps;
    uint32_t Z;
    __device__ void operator()(uint32_t b, uint32_t c, int n) const {
        const float *mu = params + (uint64_t)b * 2 * Z, *logvar = mu + Z;
        for (int i = 0; i < n; i++) {
            uint64_t at = (uint64_t)b * Z + c + i;
            z[at] = mu[c + i] + expf(0.5f * logvar[c + i]) * eps[at];
        }
    }
};

static void vae_sample_forward(Device *d, Tensor z, Tensor params, Tensor eps) {
    VaeForward f = {f32(z), f32(params), f32(eps), (uint32_t)tensor_columns(z)};
    for_quads(d, "vae_sample_forward", f, tensor_rows(z), tensor_columns(z));
}

// KL's gradient: mu and (exp(logvar) - 1) / 2, each over B.
struct VaeBackward {
    float *dparams;
    const float *dz, *params, *eps;
    float kl; // kl_weight / B
    uint32_t Z;
    __device__ void operator()(uint32_t b, uint32_t c, int n) const {
        const float *mu = params + (uint64_t)b * 2 * Z, *logvar = mu + Z;
        float *dmu = dparams + (uint64_t)b * 2 * Z, *dlogvar = dmu + Z;
        for (int i = 0; i < n; i++) {
            uint64_t at = (uint64_t)b * Z + c + i;
            dmu[c + i] = dz[at] + kl * mu[c + i];
            dlogvar[c + i] =
                0.5f * (dz[at] * eps[at] * expf(0.5f * logvar[c + i]) + kl * expm1f(logvar[c + i]));
        }
    }
};

static void vae_sample_backward(Device *d, Tensor dparams, Tensor dz, Tensor params, Tensor eps,
                                float kl_weight) {
    VaeBackward f = {f32(dparams),
                     f32(dz),
                     f32(params),
                     f32(eps),
                     kl_weight / (float)dz.shape[0],
                     (uint32_t)tensor_columns(dz)};
    for_quads(d, "vae_sample_backward", f, tensor_rows(dz), tensor_columns(dz));
}

// ---- the loss -----------------------------------------------------------------------------------

struct Chunks {
    const float *prediction, *target;
    const uint8_t *pad;
    uint32_t steps; // B * S
    Divider A;
};

// mu and log sigma^2 of B samples, or params NULL.
struct Latents {
    const float *params;
    uint32_t B;
    Divider Z;
};

// Each block adds up what its threads come across; LOSS_BLOCKS pairs come out.
__global__ void loss_parts_kernel(double *parts, Chunks k, Latents l) {
    __shared__ double shared[LOSS_THREADS];
    double error = 0, kl = 0;
    uint32_t first = blockIdx.x * LOSS_THREADS + threadIdx.x;
    const uint32_t step = LOSS_BLOCKS * LOSS_THREADS, Z = l.Z.divisor;
    for (uint64_t i = first; i < (uint64_t)k.steps * k.A.divisor; i += step)
        if (!k.pad[k.A.quotient((uint32_t)i)]) error += fabsf(k.prediction[i] - k.target[i]);
    for (uint64_t i = first; l.params && i < (uint64_t)l.B * Z; i += step) {
        uint32_t b = l.Z.quotient((uint32_t)i), z = l.Z.rest((uint32_t)i, b);
        float mu = l.params[(uint64_t)b * 2 * Z + z],
              logvar = l.params[(uint64_t)b * 2 * Z + Z + z];
        kl += 0.5 * ((double)mu * mu + expm1((double)logvar) - logvar);
    }
    error = block_sum<LOSS_THREADS>(error, shared);
    kl = block_sum<LOSS_THREADS>(kl, shared);
    if (threadIdx.x != 0) return;
    parts[2 * blockIdx.x] = error;
    parts[2 * blockIdx.x + 1] = kl;
}

// One warp adds the blocks' sums up, in one order.
__global__ void loss_sum_kernel(float *losses, const double *parts, const float *count, uint32_t B,
                                float share, float kl_weight) {
    double error = 0, kl = 0;
    if (threadIdx.x != 0) return;
    for (uint32_t i = 0; i < LOSS_BLOCKS; i++) {
        error += parts[2 * i];
        kl += parts[2 * i + 1];
    }
    double l1 = error / count[0], kld = share * (kl / B);
    losses[0] += (float)(l1 + kl_weight * kld);
    losses[1] += (float)l1;
    losses[2] += (float)kld;
}

// Row: a step of a chunk; columns: its actions.
struct LossBackward {
    float *dprediction;
    const float *prediction, *target, *count;
    const uint8_t *pad;
    uint32_t A;
    __device__ void operator()(uint32_t row, uint32_t c, int n) const {
        float slope = (float)(1 / (double)count[0]);
        for (int i = 0; i < n; i++) {
            uint64_t at = (uint64_t)row * A + c + i;
            float p = prediction[at], t = target[at];
            dprediction[at] = pad[row] || p == t ? 0.0f : p > t ? slope : p < t ? -slope : 0.0f;
        }
    }
};

// More numbers than a kernel's 32-bit counters take: no loss is that large.
static bool countable(Device *d, const char *name, int64_t count) {
    if (count > UINT32_MAX)
        device_fail(d,
                    "cuda: %s: %ld numbers are more than one call can count; use a smaller "
                    "--batch_size",
                    name, (long)count);
    return !d->failed;
}

static void act_loss_forward(Device *d, Tensor losses, Tensor prediction, Tensor target, Tensor pad,
                             Tensor count, Tensor params, float share, float kl_weight) {
    uint32_t Z = params.data ? (uint32_t)(params.shape[1] / 2) : 1;
    uint32_t B = (uint32_t)prediction.shape[0];
    double *parts = (double *)cuda_scratch(d, 2 * LOSS_BLOCKS * sizeof(double));
    if (d->failed || !countable(d, "act_loss_forward", tensor_count(prediction))) return;
    Chunks k = {f32(prediction), f32(target), (const uint8_t *)pad.data,
                (uint32_t)tensor_count(pad), divider_of((uint32_t)tensor_columns(prediction))};
    Latents l = {f32(params), B, divider_of(Z)};
    LAUNCH(loss_parts_kernel, dim3(LOSS_BLOCKS), dim3(LOSS_THREADS), 0, cuda_stream(d), parts, k,
           l);
    LAUNCH(loss_sum_kernel, dim3(1), dim3(WARP), 0, cuda_stream(d), f32(losses),
           (const double *)parts, (const float *)f32(count), B, share, kl_weight);
    cuda_launched(d, "act_loss_forward", tensor_count(pad), tensor_columns(prediction));
}

static void act_loss_backward(Device *d, Tensor dprediction, Tensor prediction, Tensor target,
                              Tensor pad, Tensor count) {
    LossBackward f = {
        f32(dprediction), f32(prediction),           f32(target),
        f32(count),       (const uint8_t *)pad.data, (uint32_t)tensor_columns(prediction)};
    for_quads(d, "act_loss_backward", f, tensor_count(pad), tensor_columns(prediction));
}

void cuda_loss_ops(Device *d) {
    d->vae_sample_forward = vae_sample_forward;
    d->vae_sample_backward = vae_sample_backward;
    d->act_loss_forward = act_loss_forward;
    d->act_loss_backward = act_loss_backward;
}
