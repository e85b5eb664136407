// SPDX-License-Identifier: Apache-2.0
// Factors of products in 8-bit integers (Rounding in ops.h): as floats that hold whole numbers, so
// that sums in double are exact. M rows, K inputs, N outputs.
#include "ops/ref/ref.h"

#include "base/memory.h"
#include <math.h>

bool ref_round(float *out, const float *x, int64_t n, Rounding r) {
    const float inverse = 1 / r.step, low = r.positive ? 0 : -127, high = r.positive ? 255 : 127;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return false;
        float q = rintf(x[i] * inverse);
        out[i] = q < low ? low : q > high ? high : q;
    }
    return true;
}

float ref_round_weights(float *out, const float *w, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(w[i]));
    const float step = largest / 127;
    // Of weights so small that a step of them is none, nothing is left.
    const bool none = !(step >= 1e-36f);
    for (int64_t i = 0; i < n; i++) out[i] = none ? 0 : rintf(w[i] * (1 / step));
    return none ? 0 : step;
}

// y[m, n] = b[n] + step of x * step of w[n] * sum over k of the integers of x[m, k] and w[n, k]
void ref_linear_int8(Device *d, Tensor y, Tensor x, Tensor w, Tensor b) {
    int64_t M = tensor_rows(y), N = tensor_columns(y), K = tensor_columns(x);
    float *xs = TRY_NEW(float, M *K), *ws = TRY_NEW(float, K);
    bool finite = true;
    if (!xs || !ws) device_fail_memory(d, "%lld rounded factors", (long long)(M * K));
    for (int64_t m = 0; !d->failed && finite && m < M; m++)
        finite = ref_round(xs + m * K, ref_row(x, m), K, w.rounding);
    for (int64_t n = 0; !d->failed && n < N; n++) {
        const double step = (double)w.rounding.step * ref_round_weights(ws, ref_row(w, n), K);
        const double bias = b.data ? f32(b)[n] : 0;
        for (int64_t m = 0; m < M; m++)
            ref_row(y, m)[n] =
                finite ? (float)(bias + step * ref_dot(xs + m * K, ws, K)) : (float)NAN;
    }
    mem_free(xs);
    mem_free(ws);
}
