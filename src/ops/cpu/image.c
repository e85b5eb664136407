// SPDX-License-Identifier: Apache-2.0
// Images on the blocked layout (N, C/b, H, W, b); where channels do not fill blocks (the camera
// image itself) it is plain (N, C, H, W), which is the same with b = 1; and where convolutions are
// matrix products it is (N, H, W, C), the same with b = C.
#include "ops/cpu/cpu.h"

static void image_normalize(Device *d, Tensor y, Tensor x, const float mean[3],
                            const float std[3]) {
    if (d->failed) return;
    int64_t N = x.shape[0], HW = x.shape[1] * x.shape[2];
    int64_t pixel = cpu_lanes(d, 3), channel = pixel == 1 ? HW : 1;
    float table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = ((float)v / 255.0f - mean[c]) / (std[c] + 1e-8f);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < N; n++) {
        const uint8_t *in = (const uint8_t *)x.data + n * HW * 3;
        float *out = f32(y) + n * HW * 3;
        for (int64_t i = 0; i < HW; i++)
            for (int c = 0; c < 3; c++) out[c * channel + i * pixel] = table[c][in[3 * i + c]];
    }
}

// Copies between the blocked layout and another, in which a channel and a pixel lie so many
// elements apart: plain images (HW and 1), or tokens (1 and C).
static void convert_layout(Device *d, float *blocked, float *other, int64_t N, int64_t C,
                           int64_t HW, int64_t channel_stride, int64_t pixel_stride,
                           bool to_blocked) {
    int64_t b = cpu_lanes(d, C), blocks = C / b;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < blocks; k++)
            for (int64_t i = 0; i < HW; i++) {
                float *in = blocked + ((n * blocks + k) * HW + i) * b;
                float *out = other + n * C * HW + k * b * channel_stride + i * pixel_stride;
                for (int64_t l = 0; l < b; l++)
                    if (to_blocked)
                        in[l] = out[l * channel_stride];
                    else
                        out[l * channel_stride] = in[l];
            }
}

static void image_from_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t HW = y.shape[2] * y.shape[3];
    convert_layout(d, f32(y), f32(x), y.shape[0], y.shape[1], HW, HW, 1, true);
}

static void image_to_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t HW = x.shape[2] * x.shape[3];
    convert_layout(d, f32(x), f32(y), x.shape[0], x.shape[1], HW, HW, 1, false);
}

static void tokens_from_image(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    convert_layout(d, f32(x), f32(y), x.shape[0], x.shape[1], x.shape[2] * x.shape[3], 1,
                   x.shape[1], false);
}

static void image_from_tokens(Device *d, Tensor dx, Tensor dy) {
    if (d->failed) return;
    convert_layout(d, f32(dx), f32(dy), dx.shape[0], dx.shape[1], dx.shape[2] * dx.shape[3], 1,
                   dx.shape[1], true);
}

void cpu_image_ops(Device *d) {
    d->image_normalize = image_normalize;
    d->image_from_plain = image_from_plain;
    d->image_to_plain = image_to_plain;
    d->tokens_from_image = tokens_from_image;
    d->image_from_tokens = image_from_tokens;
}
