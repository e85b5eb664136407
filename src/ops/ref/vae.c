// SPDX-License-Identifier: Apache-2.0
// The latent of the variational encoder (Kingma and Welling, "Auto-Encoding Variational Bayes",
// 2013). B batch, Z latent width; params (B, 2Z) = [mu | logvar], logvar = ln sigma^2.
#include "ops/ref/ref.h"
#include <math.h>

void ref_vae_sample_forward(Device *d, Tensor z, Tensor params, Tensor eps) {
    if (d->failed) return;
    int64_t B = z.shape[0], Z = z.shape[1];
    for (int64_t b = 0; b < B; b++) {
        const float *mu = ref_row(params, b), *logvar = mu + Z;
        for (int64_t i = 0; i < Z; i++)
            ref_row(z, b)[i] = (float)(mu[i] + exp(0.5 * logvar[i]) * ref_row(eps, b)[i]);
    }
}

// KL = 1/B sum of 0.5 (mu^2 + exp(logvar) - logvar - 1), so
// dKL/dmu = mu / B and dKL/dlogvar = (exp(logvar) - 1) / 2B.
void ref_vae_sample_backward(Device *d, Tensor dparams, Tensor dz, Tensor params, Tensor eps,
                             float kl_weight) {
    if (d->failed) return;
    int64_t B = dz.shape[0], Z = dz.shape[1];
    double kl = (double)kl_weight / (double)B;
    for (int64_t b = 0; b < B; b++) {
        const float *mu = ref_row(params, b), *logvar = mu + Z;
        float *dmu = ref_row(dparams, b), *dlogvar = dmu + Z;
        for (int64_t i = 0; i < Z; i++) {
            double grad = ref_row(dz, b)[i], sigma = exp(0.5 * logvar[i]);
            dmu[i] = (float)(grad + kl * mu[i]);
            dlogvar[i] =
                (float)(grad * ref_row(eps, b)[i] * 0.5 * sigma + kl * 0.5 * expm1(logvar[i]));
        }
    }
}
