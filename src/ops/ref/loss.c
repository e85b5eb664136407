// SPDX-License-Identifier: Apache-2.0
// The loss of ACT. B batch, S chunk length, A action width; pad (B, S), 1 = no such action.
#include "ops/ref/ref.h"
#include <math.h>

static bool action_is_padding(Tensor pad, int64_t b, int64_t s) {
    return ((const uint8_t *)pad.data)[b * pad.stride[0] + s] != 0;
}

static double kl_divergence(Tensor params) {
    int64_t B = params.shape[0], Z = params.shape[1] / 2;
    double sum = 0;
    for (int64_t b = 0; b < B; b++) {
        const float *mu = ref_row(params, b), *logvar = mu + Z;
        for (int64_t i = 0; i < Z; i++)
            sum += 0.5 * ((double)mu[i] * mu[i] + expm1(logvar[i]) - logvar[i]);
    }
    return sum / (double)B;
}

void ref_act_loss_forward(Device *d, Tensor losses, Tensor prediction, Tensor target, Tensor pad,
                          Tensor count, Tensor params, float share, float kl_weight) {
    if (d->failed) return;
    int64_t B = prediction.shape[0], S = prediction.shape[1], A = prediction.shape[2];
    double sum = 0;
    for (int64_t b = 0; b < B; b++)
        for (int64_t s = 0; s < S; s++) {
            if (action_is_padding(pad, b, s)) continue;
            const float *p = ref_row(prediction, b * S + s), *t = ref_row(target, b * S + s);
            for (int64_t a = 0; a < A; a++) sum += fabs((double)p[a] - t[a]);
        }
    double l1 = sum / f32(count)[0];
    double kld = params.data ? (double)share * kl_divergence(params) : 0;
    f32(losses)[0] += (float)(l1 + kl_weight * kld);
    f32(losses)[1] += (float)l1;
    f32(losses)[2] += (float)kld;
}

void ref_act_loss_backward(Device *d, Tensor dprediction, Tensor prediction, Tensor target,
                           Tensor pad, Tensor count) {
    if (d->failed) return;
    int64_t B = prediction.shape[0], S = prediction.shape[1], A = prediction.shape[2];
    for (int64_t b = 0; b < B; b++)
        for (int64_t s = 0; s < S; s++) {
            const float *p = ref_row(prediction, b * S + s), *t = ref_row(target, b * S + s);
            float *dp = ref_row(dprediction, b * S + s);
            for (int64_t a = 0; a < A; a++) {
                int sign = action_is_padding(pad, b, s) ? 0 : (p[a] > t[a]) - (p[a] < t[a]);
                dp[a] = (float)(sign / (double)f32(count)[0]);
            }
        }
}
