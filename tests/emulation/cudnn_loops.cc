// SPDX-License-Identifier: Apache-2.0
#include "cudnn_fake.h"

#include <algorithm>
#include <cstdio>

namespace emulation {

static thread_local char last_message[256];

cudnnStatus_t refuse(cudnnStatus_t status, const char *why) {
    snprintf(last_message, sizeof last_message, "%s", why);
    fprintf(stderr, "emulation: cuDNN: %s\n", why);
    return status;
}

const char *last_refusal() {
    return last_message;
}

int out_size(int in, int kernel, int pad, int stride, int dilation) {
    return (in + 2 * pad - ((kernel - 1) * dilation + 1)) / stride + 1;
}

std::vector<float> read(const Tensor &t, const void *p, bool tf32) {
    std::vector<float> out(t.count());
#pragma omp parallel for
    for (int64_t row = 0; row < (int64_t)t.n * t.h; row++) {
        float *to = &out[row * t.w * t.c];
        for (int x = 0; x < t.w; x++)
            for (int ch = 0; ch < t.c; ch++) {
                float v = load(p, t.at(row / t.h, ch, row % t.h, x), t.bf16());
                *to++ = tf32 ? round_tf32(v) : v;
            }
    }
    return out;
}

void write(const Tensor &t, void *p, const std::vector<float> &values, float alpha, float beta) {
#pragma omp parallel for
    for (int64_t row = 0; row < (int64_t)t.n * t.h; row++) {
        const float *from = &values[row * t.w * t.c];
        for (int x = 0; x < t.w; x++)
            for (int ch = 0; ch < t.c; ch++) {
                size_t i = t.at(row / t.h, ch, row % t.h, x);
                float v = alpha * *from++;
                if (beta != 0) v += beta * load(p, i, t.bf16());
                store(p, i, t.bf16(), v);
            }
    }
}

std::vector<float> forward(const Tensor &xd, const std::vector<float> &x, const Tensor &wd,
                           const std::vector<float> &w, const Conv &c, const Tensor &yd) {
    std::vector<float> y(yd.count());
#pragma omp parallel for
    for (int64_t row = 0; row < (int64_t)yd.n * yd.h; row++) {
        int64_t n = row / yd.h, p = row % yd.h;
        for (int q = 0; q < yd.w; q++)
            for (int k = 0; k < yd.c; k++) {
                double sum = 0;
                for (int r = 0; r < wd.h; r++) {
                    int64_t h = p * c.stride_h - c.pad_h + r * c.dilation_h;
                    if (h < 0 || h >= xd.h) continue;
                    for (int s = 0; s < wd.w; s++) {
                        int64_t v = (int64_t)q * c.stride_w - c.pad_w + s * c.dilation_w;
                        if (v < 0 || v >= xd.w) continue;
                        sum += dot(&x[((n * xd.h + h) * xd.w + v) * xd.c],
                                   &w[(((int64_t)k * wd.h + r) * wd.w + s) * wd.c], wd.c);
                    }
                }
                y[(row * yd.w + q) * yd.c + k] = (float)sum;
            }
    }
    return y;
}

// The index in y of which position `at` in x is tap r, or -1.
static int64_t output_of(int64_t at, int pad, int r, int dilation, int stride, int size) {
    int64_t p = at + pad - (int64_t)r * dilation;
    if (p < 0 || p % stride || p / stride >= size) return -1;
    return p / stride;
}

std::vector<float> backward_data(const Tensor &xd, const Tensor &wd, const std::vector<float> &w,
                                 const Conv &c, const Tensor &yd, const std::vector<float> &dy) {
    std::vector<float> dx(xd.count());
#pragma omp parallel for
    for (int64_t row = 0; row < (int64_t)xd.n * xd.h; row++) {
        std::vector<double> sum(xd.c);
        for (int v = 0; v < xd.w; v++) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (int r = 0; r < wd.h; r++) {
                int64_t p = output_of(row % xd.h, c.pad_h, r, c.dilation_h, c.stride_h, yd.h);
                for (int s = 0; s < wd.w && p >= 0; s++) {
                    int64_t q = output_of(v, c.pad_w, s, c.dilation_w, c.stride_w, yd.w);
                    if (q < 0) continue;
                    const float *g = &dy[((row / xd.h * yd.h + p) * yd.w + q) * yd.c];
                    for (int k = 0; k < yd.c; k++) {
                        const float *f = &w[(((int64_t)k * wd.h + r) * wd.w + s) * wd.c];
                        for (int ch = 0; ch < xd.c; ch++) sum[ch] += (double)g[k] * f[ch];
                    }
                }
            }
            for (int ch = 0; ch < xd.c; ch++) dx[(row * xd.w + v) * xd.c + ch] = (float)sum[ch];
        }
    }
    return dx;
}

std::vector<float> backward_filter(const Tensor &xd, const std::vector<float> &x, const Tensor &wd,
                                   const Conv &c, const Tensor &yd, const std::vector<float> &dy) {
    std::vector<float> dw(wd.count());
#pragma omp parallel for
    for (int64_t tap = 0; tap < (int64_t)wd.n * wd.h * wd.w; tap++) {
        int64_t s = tap % wd.w, r = tap / wd.w % wd.h, k = tap / wd.w / wd.h;
        std::vector<double> sum(wd.c);
        for (int64_t row = 0; row < (int64_t)yd.n * yd.h; row++) {
            int64_t h = row % yd.h * c.stride_h - c.pad_h + r * c.dilation_h;
            if (h < 0 || h >= xd.h) continue;
            for (int q = 0; q < yd.w; q++) {
                int64_t v = (int64_t)q * c.stride_w - c.pad_w + s * c.dilation_w;
                if (v < 0 || v >= xd.w) continue;
                double g = dy[(row * yd.w + q) * yd.c + k];
                const float *from = &x[((row / yd.h * xd.h + h) * xd.w + v) * xd.c];
                for (int ch = 0; ch < wd.c; ch++) sum[ch] += g * from[ch];
            }
        }
        for (int ch = 0; ch < wd.c; ch++) dw[tap * wd.c + ch] = (float)sum[ch];
    }
    return dw;
}

void require(const Tensor &t, const void *p, const char *what) {
    require_device(p, t.bytes(), what);
    if (!aligned(p, 16)) fail("%s: %p is not aligned to 16 bytes", what, p);
}

bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    const char *pa = static_cast<const char *>(a), *pb = static_cast<const char *>(b);
    return pa < pb + b_bytes && pb < pa + a_bytes;
}

void use_workspace(void *workspace, size_t bytes, const char *what) {
    require_device(workspace, bytes, what);
    memset(workspace, 0xff, std::min(bytes, WORKSPACE));
}

cudnnStatus_t done(cudaError_t e) {
    return e == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

} // namespace emulation
