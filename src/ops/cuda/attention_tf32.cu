// SPDX-License-Identifier: Apache-2.0
// Attention with TF32 products, on the matrix units.
#include "ops/cuda/attention_kernels.h"

void attention_forward_tf32(Device *d, const ForwardArgs<float> &a, int64_t B) {
    BY_WIDTH(run_forward, Tf32Tile, float, d, a, B);
}

void attention_backward_tf32(Device *d, const BackwardArgs<float> &a, int64_t B) {
    BY_WIDTH(run_backward, Tf32Tile, float, d, a, B);
}
