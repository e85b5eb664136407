// SPDX-License-Identifier: Apache-2.0
// What the emulation's own tests share: numbers, device memory, comparisons.
#ifndef TACT_EMULATION_TEST_COMMON_H
#define TACT_EMULATION_TEST_COMMON_H

#include "internal.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#define OK(call) assert_int_equal((int)(call), 0)

static inline float noise(size_t i) { // in (-1, 1), the same each time
    uint32_t u = (uint32_t)i * 2654435761u + 12345u;
    u = (u ^ u >> 15) * 2246822519u;
    return (float)((u >> 8) & 0xffff) / 32768.0f - 1.0f;
}

static inline std::vector<float> noises(size_t count, size_t from = 0) {
    std::vector<float> v(count);
    for (size_t i = 0; i < count; i++) v[i] = noise(from + i);
    return v;
}

// Device memory with these contents; bf16 when asked.
struct Buffer {
    void *p = nullptr;
    size_t count;
    bool bf16;
    explicit Buffer(size_t n, bool narrow = false) : count(n), bf16(narrow) {
        OK(cudaMalloc(&p, n * (narrow ? 2 : 4)));
    }
    explicit Buffer(std::vector<float> &v, bool narrow = false) : Buffer(v.size(), narrow) {
        std::vector<__nv_bfloat16> b(v.size());
        for (size_t i = 0; i < v.size(); i++) b[i] = __float2bfloat16(v[i]);
        for (size_t i = 0; narrow && i < v.size(); i++) v[i] = __bfloat162float(b[i]);
        const void *from = narrow ? (const void *)b.data() : v.data();
        OK(cudaMemcpy(p, from, count * (narrow ? 2 : 4), cudaMemcpyHostToDevice));
    }
    Buffer(const Buffer &) = delete;
    ~Buffer() {
        OK(cudaFree(p));
    }
    float *f() const {
        return static_cast<float *>(p);
    }
    std::vector<float> get() const {
        std::vector<float> v(count);
        std::vector<__nv_bfloat16> b(count);
        OK(cudaDeviceSynchronize());
        void *to = bf16 ? (void *)b.data() : v.data();
        OK(cudaMemcpy(to, p, count * (bf16 ? 2 : 4), cudaMemcpyDeviceToHost));
        for (size_t i = 0; bf16 && i < count; i++) v[i] = __bfloat162float(b[i]);
        return v;
    }
};

static inline void close_to(const std::vector<float> &a, const std::vector<float> &b,
                            float tolerance) {
    assert_int_equal(a.size(), b.size());
    for (size_t i = 0; i < a.size(); i++)
        if (!(fabsf(a[i] - b[i]) <= tolerance * (1 + fabsf(b[i]))))
            fail_msg("element %zu is %g, not %g", i, (double)a[i], (double)b[i]);
}

#endif
