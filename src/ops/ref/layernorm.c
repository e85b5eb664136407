// SPDX-License-Identifier: Apache-2.0
// Layer normalisation (Ba, Kiros, Hinton, 2016) over the last dimension. M rows, D width.
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <math.h>

static const double epsilon = 1e-5;

void ref_layernorm_forward(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
                           Tensor beta) {
    if (d->failed) return;
    int64_t M = tensor_rows(x), D = tensor_columns(x);
    for (int64_t row = 0; row < M; row++) {
        const float *in = f32(x) + row * D;
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < D; c++) sum += in[c];
        double mu = sum / (double)D;
        for (int64_t c = 0; c < D; c++) squares += (in[c] - mu) * (in[c] - mu);
        double r = 1 / sqrt(squares / (double)D + epsilon);
        for (int64_t c = 0; c < D; c++)
            f32(y)[row * D + c] = (float)((in[c] - mu) * r * f32(gamma)[c] + f32(beta)[c]);
        f32(mean)[row] = (float)mu;
        f32(rstd)[row] = (float)r;
    }
}

// With h = (x - mean) rstd and g = dy gamma:
// dx = rstd (g - mean(g) - h mean(g h)), dgamma += sum of dy h, dbeta += sum of dy.
void ref_layernorm_backward(Device *d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x,
                            Tensor mean, Tensor rstd, Tensor gamma, bool accumulate) {
    if (d->failed) return;
    int64_t M = tensor_rows(x), D = tensor_columns(x);
    double *sum_gamma = ref_sums(d, D), *sum_beta = ref_sums(d, D);
    for (int64_t row = 0; !d->failed && row < M; row++) {
        const float *in = f32(x) + row * D, *grad = f32(dy) + row * D;
        float *out = f32(dx) + row * D;
        double mu = f32(mean)[row], r = f32(rstd)[row];
        double mean_g = 0, mean_gh = 0;
        for (int64_t c = 0; c < D; c++) {
            double h = (in[c] - mu) * r, g = (double)grad[c] * f32(gamma)[c];
            mean_g += g / (double)D;
            mean_gh += g * h / (double)D;
            sum_gamma[c] += grad[c] * h;
            sum_beta[c] += grad[c];
        }
        for (int64_t c = 0; c < D; c++) {
            double h = (in[c] - mu) * r, g = (double)grad[c] * f32(gamma)[c];
            double value = r * (g - mean_g - h * mean_gh);
            out[c] = (float)(accumulate ? out[c] + value : value);
        }
    }
    for (int64_t c = 0; !d->failed && c < D; c++) {
        f32(dgamma)[c] += (float)sum_gamma[c];
        f32(dbeta)[c] += (float)sum_beta[c];
    }
    mem_free(sum_gamma);
    mem_free(sum_beta);
}
