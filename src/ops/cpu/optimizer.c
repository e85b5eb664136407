// SPDX-License-Identifier: Apache-2.0
// The gradient's norm and AdamW. The squares are summed in parts, as many whatever the threads, and
// these added in order: processes that train together may have different numbers of threads.

#include "ops/cpu/cpu.h"

#include <math.h>
#include <omp.h>

enum { PARTS = 256 };

static void grad_norm(Device *d, Tensor norm, Tensor halt, Tensor gt, Tensor losses) {
    if (d->failed) return;
    int64_t n = tensor_count(gt);
    double sums[PARTS];
#pragma omp parallel for num_threads(d->threads) schedule(static)
    for (int part = 0; part < PARTS; part++) {
        const float *g = f32(gt);
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = n * part / PARTS; i < n * (part + 1) / PARTS; i++)
            sum += (double)g[i] * (double)g[i];
        sums[part] = sum;
    }
    double total = 0;
    for (int part = 0; part < PARTS; part++) total += sums[part];
    f32(norm)[0] = (float)sqrt(total);
    bool finite = isfinite(f32(norm)[0]) && (!losses.data || isfinite(f32(losses)[0]));
    if (halt.data && !finite) f32(halt)[0] = 1;
}

static void adamw(Device *d, Tensor pt, Tensor gt, Tensor mt, Tensor vt, Tensor norm, Tensor halt,
                  AdamW a) {
    if (d->failed) return;
    int64_t n = tensor_count(pt);
    float *p = f32(pt), *g = f32(gt), *m = f32(mt), *v = f32(vt), total = f32(norm)[0];
    if (halt.data && f32(halt)[0] != 0) {
        d->zero(d, gt);
        return;
    }
    float clip = a.max_norm > 0 && total + 1e-6f > a.max_norm ? a.max_norm / (total + 1e-6f) : 1;
    float decay = 1.0f - a.lr * a.weight_decay, b1 = a.beta1, b2 = a.beta2, eps = a.eps;
    float rate = (float)(a.lr / (1 - pow(a.beta1, (double)a.step)));
    float unbias = (float)(1 / sqrt(1 - pow(a.beta2, (double)a.step)));
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) {
        float grad = g[i] * clip;
        float m1 = b1 * m[i] + (1 - b1) * grad, v1 = b2 * v[i] + (1 - b2) * grad * grad;
        m1 = fabsf(m1) < ADAMW_LEAST_MOMENT ? 0 : m1;
        m[i] = m1;
        v[i] = v1;
        p[i] = p[i] * decay - rate * m1 / (sqrtf(v1) * unbias + eps);
        g[i] = 0;
    }
}

void cpu_optimizer_ops(Device *d) {
    d->grad_norm = grad_norm;
    d->adamw = adamw;
}
