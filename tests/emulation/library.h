// SPDX-License-Identifier: Apache-2.0
// Between the fakes of cuBLASLt and cuDNN: elements of either type, rounded as the device does.
#ifndef TACT_EMULATION_LIBRARY_H
#define TACT_EMULATION_LIBRARY_H

#include "internal.h"

namespace emulation {

inline size_t element_size(bool bf16) {
    return bf16 ? 2 : 4;
}
inline float load(const void *p, size_t i, bool bf16) {
    return bf16 ? __bfloat162float(static_cast<const __nv_bfloat16 *>(p)[i])
                : static_cast<const float *>(p)[i];
}
inline void store(void *p, size_t i, bool bf16, float value) {
    if (bf16)
        static_cast<__nv_bfloat16 *>(p)[i] = __float2bfloat16_rn(value);
    else
        static_cast<float *>(p)[i] = value;
}
inline bool aligned(const void *p, size_t bytes) {
    return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

inline double dot(const float *a, const float *b, int64_t count) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

} // namespace emulation

#endif
