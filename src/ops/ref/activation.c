// SPDX-License-Identifier: Apache-2.0
// Activation functions with dropout, and dropout before a residual sum. M rows, D width.
// gelu(x) = x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, "Gaussian Error
// Linear Units", 2016).
#include "ops/ref/ref.h"
#include <assert.h>
#include <math.h>

static double normal_cdf(double x) {
    return 0.5 * (1 + erf(x * 0.7071067811865476));
}

static double normal_density(double x) {
    return 0.3989422804014327 * exp(-0.5 * x * x);
}

void ref_activation_forward(Device *d, Tensor y, Tensor x, Activation act, Dropout drop) {
    if (d->failed) return;
    int64_t M = tensor_rows(x), D = tensor_columns(x);
    assert(tensor_contiguous(x) && tensor_contiguous(y));
    for (int64_t row = 0; row < M; row++)
        for (int64_t c = 0; c < D; c++) {
            double value = f32(x)[row * D + c];
            if (act == ACT_RELU && value < 0) value = 0; // NaN stays NaN
            if (act == ACT_GELU) value *= normal_cdf(value);
            f32(y)[row * D + c] = (float)(value * ref_dropout_factor(drop, row, c));
        }
}

// Where dropout kept an element y > 0 exactly when x > 0; elsewhere the factor is 0.
void ref_activation_backward(Device *d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act,
                             Dropout drop) {
    if (d->failed) return;
    int64_t M = tensor_rows(dy), D = tensor_columns(dy);
    for (int64_t row = 0; row < M; row++)
        for (int64_t c = 0; c < D; c++) {
            int64_t i = row * D + c;
            double slope = 1;
            if (act == ACT_RELU) slope = f32(y)[i] > 0;
            if (act == ACT_GELU) {
                double value = f32(x)[i];
                slope = normal_cdf(value) + value * normal_density(value);
            }
            f32(dx)[i] = (float)(f32(dy)[i] * slope * ref_dropout_factor(drop, row, c));
        }
}

void ref_dropout_add_forward(Device *d, Tensor r, Tensor x, Tensor s, Dropout drop) {
    if (d->failed) return;
    int64_t M = tensor_rows(r), D = tensor_columns(r);
    for (int64_t row = 0; row < M; row++)
        for (int64_t c = 0; c < D; c++) {
            int64_t i = row * D + c;
            f32(r)[i] = (float)(f32(x)[i] + f32(s)[i] * ref_dropout_factor(drop, row, c));
        }
}

void ref_dropout_add_backward(Device *d, Tensor ds, Tensor dr, Dropout drop) {
    if (d->failed) return;
    int64_t M = tensor_rows(dr), D = tensor_columns(dr);
    for (int64_t row = 0; row < M; row++)
        for (int64_t c = 0; c < D; c++) {
            int64_t i = row * D + c;
            f32(ds)[i] = (float)(f32(dr)[i] * ref_dropout_factor(drop, row, c));
        }
}
