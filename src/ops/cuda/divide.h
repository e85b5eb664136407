// SPDX-License-Identifier: Apache-2.0
// Private to ops/cuda: division by a number that is known when a kernel is launched, as a
// multiplication and two shifts; the card has no instruction that divides whole numbers, and takes
// some twenty for it (Granlund and Montgomery, "Division by invariant integers using
// multiplication", 1994). Exact for all 32-bit numbers.
#ifndef TACT_OPS_CUDA_DIVIDE_H
#define TACT_OPS_CUDA_DIVIDE_H

#include <stdint.h>

struct Divider {
    uint32_t divisor, factor;
    uint8_t first, second; // shifts

    // n / divisor
    __device__ __forceinline__ uint32_t quotient(uint32_t n) const {
        uint32_t high = __umulhi(n, factor);
        return (high + ((n - high) >> first)) >> second;
    }
    // n % divisor, of n's quotient
    __device__ __forceinline__ uint32_t rest(uint32_t n, uint32_t quotient) const {
        return n - quotient * divisor;
    }
};

// divisor: at least 1.
static inline Divider divider_of(uint32_t divisor) {
    uint32_t bits = 0; // the least with 2^bits >= divisor
    while (bits < 32 && ((uint64_t)1 << bits) < divisor) bits++;
    Divider d;
    d.divisor = divisor;
    d.factor = (uint32_t)((((((uint64_t)1 << bits) - divisor) << 32) / divisor) + 1);
    d.first = bits < 1 ? 0 : 1;
    d.second = (uint8_t)(bits < 1 ? 0 : bits - 1);
    return d;
}

#endif
