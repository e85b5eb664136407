// SPDX-License-Identifier: Apache-2.0
// The VAE's sample and ACT's loss. B samples, S chunk, A actions, Z latent: a few ten thousand
// numbers, so one block sums them, in one order.
#include "ops/cuda/cuda.h"

static const unsigned LOSS_THREADS = 512;

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
    uint32_t steps, A; // steps: B * S
};

__global__ void loss_forward_kernel(float *losses, Chunks k, const float *count,
                                    const float *params, uint32_t B, uint32_t Z, float share,
                                    float kl_weight) {
    __shared__ double shared[LOSS_THREADS];
    double error = 0, kl = 0;
    for (uint32_t i = threadIdx.x; i < k.steps * k.A; i += LOSS_THREADS)
        if (!k.pad[i / k.A]) error += fabsf(k.prediction[i] - k.target[i]);
    for (uint32_t i = threadIdx.x; params && i < B * Z; i += LOSS_THREADS) {
        float mu = params[(i / Z) * 2 * Z + i % Z], logvar = params[(i / Z) * 2 * Z + Z + i % Z];
        kl += 0.5 * ((double)mu * mu + expm1((double)logvar) - logvar);
    }
    double l1 = block_sum<LOSS_THREADS>(error, shared) / count[0],
           kld = share * (block_sum<LOSS_THREADS>(kl, shared) / B);
    if (threadIdx.x != 0) return;
    losses[0] += (float)(l1 + kl_weight * kld);
    losses[1] += (float)l1;
    losses[2] += (float)kld;
}

__global__ void loss_backward_kernel(float *dprediction, Chunks k, const float *count) {
    float slope = (float)(1 / (double)count[0]);
    for (uint32_t i = threadIdx.x; i < k.steps * k.A; i += LOSS_THREADS) {
        float p = k.prediction[i], t = k.target[i];
        dprediction[i] = k.pad[i / k.A] || p == t ? 0.0f : p > t ? slope : p < t ? -slope : 0.0f;
    }
}

static Chunks chunks_of(Tensor prediction, Tensor target, Tensor pad) {
    Chunks k = {f32(prediction), f32(target), (const uint8_t *)pad.data,
                (uint32_t)(prediction.shape[0] * prediction.shape[1]),
                (uint32_t)tensor_columns(prediction)};
    return k;
}

static void act_loss_forward(Device *d, Tensor losses, Tensor prediction, Tensor target, Tensor pad,
                             Tensor count, Tensor params, float share, float kl_weight) {
    if (d->failed) return;
    uint32_t Z = params.data ? (uint32_t)(params.shape[1] / 2) : 0;
    LAUNCH(loss_forward_kernel, dim3(1), dim3(LOSS_THREADS), 0, cuda_stream(d), f32(losses),
           chunks_of(prediction, target, pad), (const float *)f32(count),
           (const float *)f32(params), (uint32_t)prediction.shape[0], Z, share, kl_weight);
    cuda_launched(d, "act_loss_forward", tensor_count(pad), tensor_columns(prediction));
}

static void act_loss_backward(Device *d, Tensor dprediction, Tensor prediction, Tensor target,
                              Tensor pad, Tensor count) {
    if (d->failed) return;
    LAUNCH(loss_backward_kernel, dim3(1), dim3(LOSS_THREADS), 0, cuda_stream(d), f32(dprediction),
           chunks_of(prediction, target, pad), (const float *)f32(count));
    cuda_launched(d, "act_loss_backward", tensor_count(pad), tensor_columns(prediction));
}

void cuda_loss_ops(Device *d) {
    d->vae_sample_forward = vae_sample_forward;
    d->vae_sample_backward = vae_sample_backward;
    d->act_loss_forward = act_loss_forward;
    d->act_loss_backward = act_loss_backward;
}
