// SPDX-License-Identifier: Apache-2.0
// Images: N images, C channels, H x W pixels. The IMAGE layout is plain (N, C, H, W) here, so two
// of the ops are copies.
#include "ops/ref/ref.h"
#include <assert.h>
#include <string.h>

size_t ref_image_bytes(Device *d, int64_t n, int64_t c, int64_t h, int64_t w) {
    (void)d;
    return (size_t)n * (size_t)c * (size_t)h * (size_t)w * sizeof(float);
}

void ref_image_normalize(Device *d, Tensor y, Tensor x, const float mean[3], const float std[3]) {
    if (d->failed) return;
    int64_t N = y.shape[0], pixels = y.shape[2] * y.shape[3];
    assert(y.shape[1] == 3 && tensor_count(x) == tensor_count(y));
    for (int64_t n = 0; n < N; n++) {
        const uint8_t *from = (const uint8_t *)x.data + n * pixels * 3; // (H, W, 3)
        float *to = f32(y) + n * 3 * pixels;                            // (3, H, W)
        for (int c = 0; c < 3; c++)
            for (int64_t i = 0; i < pixels; i++)
                to[c * pixels + i] =
                    (float)((from[i * 3 + c] / 255.0 - mean[c]) / ((double)std[c] + 1e-8));
    }
}

void ref_image_from_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    assert(tensor_count(x) == tensor_count(y));
    memcpy(y.data, x.data, (size_t)tensor_count(y) * sizeof(float));
}

void ref_image_to_plain(Device *d, Tensor y, Tensor x) {
    ref_image_from_plain(d, y, x);
}

// y (N, H*W, C): one token a pixel.
void ref_tokens_from_image(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t N = x.shape[0], C = x.shape[1], pixels = x.shape[2] * x.shape[3];
    assert(y.shape[1] == pixels && y.shape[2] == C);
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < pixels; i++) {
            float *token = ref_row(y, n * pixels + i);
            for (int64_t c = 0; c < C; c++) token[c] = f32(x)[(n * C + c) * pixels + i];
        }
}

void ref_image_from_tokens(Device *d, Tensor dx, Tensor dy) {
    if (d->failed) return;
    int64_t N = dx.shape[0], C = dx.shape[1], pixels = dx.shape[2] * dx.shape[3];
    assert(dy.shape[1] == pixels && dy.shape[2] == C);
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < pixels; i++) {
            const float *token = ref_row(dy, n * pixels + i);
            for (int64_t c = 0; c < C; c++) f32(dx)[(n * C + c) * pixels + i] = token[c];
        }
}
