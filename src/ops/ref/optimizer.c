// SPDX-License-Identifier: Apache-2.0
// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) with clipping by
// the global norm.
#include "ops/ref/ref.h"
#include <math.h>

void ref_grad_norm(Device *d, Tensor norm, Tensor halt, Tensor g, Tensor losses) {
    if (d->failed) return;
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(g); i++) sum += (double)f32(g)[i] * f32(g)[i];
    f32(norm)[0] = (float)sqrt(sum);
    bool finite = isfinite(f32(norm)[0]) && (!losses.data || isfinite(f32(losses)[0]));
    if (halt.data && !finite) f32(halt)[0] = 1;
}

void ref_adamw(Device *d, Tensor p, Tensor g, Tensor m, Tensor v, Tensor norm, Tensor halt,
               AdamW a) {
    if (d->failed) return;
    double clip = 1, total = f32(norm)[0];
    if (a.max_norm > 0 && a.max_norm < total + 1e-6) clip = a.max_norm / (total + 1e-6);
    double beta1 = a.beta1, beta2 = a.beta2;
    double rate = a.lr / (1 - pow(beta1, (double)a.step));
    double root = sqrt(1 - pow(beta2, (double)a.step));
    double keep = 1 - (double)a.lr * a.weight_decay;
    for (int64_t i = 0; i < tensor_count(p); i++) {
        double grad = f32(g)[i] * clip;
        f32(g)[i] = 0;
        if (halt.data && f32(halt)[0] != 0) continue;
        double mean = beta1 * f32(m)[i] + (1 - beta1) * grad;
        if (fabs(mean) < ADAMW_LEAST_MOMENT) mean = 0;
        double square = beta2 * f32(v)[i] + (1 - beta2) * grad * grad;
        f32(p)[i] = (float)(f32(p)[i] * keep - rate * mean / (sqrt(square) / root + a.eps));
        f32(m)[i] = (float)mean;
        f32(v)[i] = (float)square;
    }
}
