// SPDX-License-Identifier: Apache-2.0
// Attention in float32, on the ordinary units.
#include "ops/cuda/attention_kernels.h"

void attention_forward_float32(Device *d, const ForwardArgs<float> &a, int64_t B) {
    BY_WIDTH(run_forward, Float32Tile, float, d, a, B);
}

void attention_backward_float32(Device *d, const BackwardArgs<float> &a, int64_t B) {
    BY_WIDTH(run_backward, Float32Tile, float, d, a, B);
}
