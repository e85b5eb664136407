// SPDX-License-Identifier: Apache-2.0
// Data movement and sums. B batch, L tokens, D width.
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <assert.h>
#include <string.h>

void ref_zero(Device *d, Tensor y) {
    if (d->failed) return;
    memset(y.data, 0, (size_t)tensor_count(y) * dtype_size(y.dtype));
}

void ref_copy(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    assert(tensor_count(y) == tensor_count(x) && tensor_columns(y) == tensor_columns(x));
    for (int64_t i = 0; i < tensor_rows(y); i++)
        memmove(ref_row(y, i), ref_row(x, i), (size_t)tensor_columns(y) * sizeof(float));
}

void ref_add(Device *d, Tensor y, Tensor a, Tensor b) {
    if (d->failed) return;
    assert(tensor_count(y) == tensor_count(a) && tensor_count(y) == tensor_count(b));
    for (int64_t i = 0; i < tensor_count(y); i++) f32(y)[i] = f32(a)[i] + f32(b)[i];
}

void ref_lerp(Device *d, Tensor y, Tensor x, Tensor halt, float weight) {
    if (d->failed || (halt.data && f32(halt)[0] != 0)) return;
    assert(tensor_count(y) == tensor_count(x));
    for (int64_t i = 0; i < tensor_count(y); i++)
        f32(y)[i] = (float)(f32(y)[i] + (double)weight * ((double)f32(x)[i] - f32(y)[i]));
}

void ref_add_rows(Device *d, Tensor y, Tensor x, Tensor row) {
    if (d->failed) return;
    int64_t L = y.shape[1], D = y.shape[2];
    assert(row.shape[0] == L && row.shape[1] == D);
    for (int64_t i = 0; i < tensor_rows(y); i++) {
        float *to = ref_row(y, i);
        const float *from = x.data ? ref_row(x, i) : NULL;
        const float *added = ref_row(row, i % L);
        for (int64_t c = 0; c < D; c++) to[c] = (from ? from[c] : 0) + added[c];
    }
}

void ref_sum_rows(Device *d, Tensor drow, Tensor dy) {
    if (d->failed) return;
    int64_t B = dy.shape[0], L = dy.shape[1], D = dy.shape[2];
    assert(drow.shape[0] == L && drow.shape[1] == D);
    double *sum = ref_sums(d, D);
    if (!sum) return;
    for (int64_t l = 0; l < L; l++) {
        memset(sum, 0, (size_t)D * sizeof *sum);
        for (int64_t b = 0; b < B; b++) ref_axpy(sum, 1, ref_row(dy, b * L + l), D);
        float *to = ref_row(drow, l);
        for (int64_t c = 0; c < D; c++) to[c] += (float)sum[c];
    }
    mem_free(sum);
}
