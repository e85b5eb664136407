// SPDX-License-Identifier: Apache-2.0
// Rows looked up in a learned table. L tokens, D width.
#include "ops/ref/ref.h"

void ref_embed_forward(Device *d, Tensor y, Tensor base, Tensor table, Tensor index) {
    if (d->failed) return;
    const int32_t *rows = index.data; // (L)
    for (int64_t l = 0; l < tensor_rows(y); l++) {
        float *to = ref_row(y, l);
        const float *from = base.data ? ref_row(base, l) : NULL;
        const float *added = rows[l] >= 0 ? ref_row(table, rows[l]) : NULL;
        for (int64_t c = 0; c < tensor_columns(y); c++)
            to[c] = (from ? from[c] : 0) + (added ? added[c] : 0);
    }
}

// One row of the table may serve many tokens: dtable[r] += sum of dy[l] over all l with index r.
void ref_embed_backward(Device *d, Tensor dtable, Tensor dy, Tensor index) {
    if (d->failed) return;
    const int32_t *rows = index.data;
    for (int64_t l = 0; l < tensor_rows(dy); l++) {
        if (rows[l] < 0) continue;
        float *to = ref_row(dtable, rows[l]);
        const float *from = ref_row(dy, l);
        for (int64_t c = 0; c < tensor_columns(dy); c++) to[c] += from[c];
    }
}
