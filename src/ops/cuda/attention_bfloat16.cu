// SPDX-License-Identifier: Apache-2.0
// Attention with bfloat16 products, on the matrix units.
#include "ops/cuda/attention_kernels.h"

void attention_forward_bfloat16(Device *d, const ForwardArgs<bf16> &a, int64_t B) {
    BY_WIDTH(run_forward, Bf16Tile, bf16, d, a, B);
}

void attention_backward_bfloat16(Device *d, const BackwardArgs<bf16> &a, int64_t B) {
    BY_WIDTH(run_backward, Bf16Tile, bf16, d, a, B);
}
