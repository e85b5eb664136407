// SPDX-License-Identifier: Apache-2.0
// Kernels on the CPU: what a .cu file sees instead of the CUDA compiler when it is compiled as
// C++17 with TACT_CUDA_EMULATION. Launches run each block's threads as fibers that switch only at
// barriers and warp collectives; a warp is 32 consecutive threads. Wrong use ends the program with
// one line that names kernel, block and thread. README.md in this folder says what is checked and
// what is not.
//
//   LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...)   instead of <<<>>>
//   SHARED_MEMORY(type, name);                      type *name at the block's dynamic shared memory
//   __shared__ float tile[32][33];                  as in CUDA
#ifndef TACT_EMULATION_H
#define TACT_EMULATION_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <functional>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tuple>
#include <type_traits>
#include <utility>

#undef __shared__
#undef __constant__
#undef __launch_bounds__
#define __shared__ static __thread // one copy for each processor that runs blocks
#define __constant__ static
#define __launch_bounds__(...)

namespace emulation {

struct Place {
    uint3 thread, block, block_dim, grid_dim;
    int lane;
};
extern __thread Place here;

// A barrier of the whole block; the sum of all threads' votes.
int barrier(int vote, const char *file, int line);
// Waits for every lane in the mask; then `complete` is called once with what each lane brought
// (NULL: not in the mask).
typedef void Complete(void *const lanes[32]);
void collective(const char *what, unsigned mask, void *data, Complete *complete, const char *file,
                int line);
void *dynamic_shared(size_t alignment);
void copy_async(void *dst, const void *src, size_t bytes);
void commit_async();
void wait_async(unsigned newest);
// Ends the program, naming the kernel and thread that run, if one does.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The host's side of a launch: checks the configuration, keeps the error or enqueues.
void launch(const char *name, const void *function, dim3 grid, dim3 block, size_t shared,
            cudaStream_t stream, std::function<void()> check, std::function<void()> thread);
void check_argument(const char *kernel, int index, const void *p);
// The pointers within a structure: memory of another card than the kernel's ends the program.
void check_structure(const char *kernel, int index, const void *p, size_t size);

template <class T> int check_value(const char *kernel, int index, const T &value) {
    if constexpr (std::is_pointer_v<T>)
        check_argument(kernel, index, value);
    else if constexpr (sizeof(T) >= sizeof(void *))
        check_structure(kernel, index, &value, sizeof value);
    (void)kernel, (void)index, (void)value;
    return 0;
}

template <class... P, class... A>
void launch_kernel(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                   cudaStream_t stream, A &&...arguments) {
    static_assert(sizeof...(P) == sizeof...(A), "a launch needs as many arguments as its kernel");
    std::tuple<std::decay_t<P>...> values(static_cast<std::decay_t<P>>(arguments)...);
    auto check = [=] {
        std::apply(
            [&](const auto &...v) {
                int i = 0;
                (check_value(name, i++, v), ...);
                (void)i;
            },
            values);
    };
    launch(name, reinterpret_cast<const void *>(kernel), grid, block, shared, stream, check,
           [=] { std::apply(kernel, values); });
}

// The closest floats with 10 explicit bits of mantissa; ties go away from zero.
inline float round_tf32(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    if ((u & 0x7f800000u) != 0x7f800000u) u = (u + 0x1000u) & ~0x1fffu;
    memcpy(&x, &u, 4);
    return x;
}

} // namespace emulation

#define LAUNCH(kernel, grid, block, shared, stream, ...)                                           \
    emulation::launch_kernel(#kernel, kernel, grid, block, shared, stream, ##__VA_ARGS__)
#define SHARED_MEMORY(type, name)                                                                  \
    type *name = static_cast<type *>(emulation::dynamic_shared(alignof(type)))

#define threadIdx (emulation::here.thread)
#define blockIdx (emulation::here.block)
#define blockDim (emulation::here.block_dim)
#define gridDim (emulation::here.grid_dim)
constexpr int warpSize = 32;

// ---- barriers and warps -----------------------------------------------------------------------
// Where a call stands in the source: the default arguments of its last two parameters.
#define EMULATION_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(EMULATION_SITE) {
    emulation::barrier(0, file, line);
}
inline int __syncthreads_count(int predicate, EMULATION_SITE) {
    return emulation::barrier(predicate != 0, file, line);
}
inline int __syncthreads_or(int predicate, EMULATION_SITE) {
    return emulation::barrier(predicate != 0, file, line) != 0;
}
inline int __syncthreads_and(int predicate, EMULATION_SITE) {
    return emulation::barrier(predicate == 0, file, line) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, EMULATION_SITE) {
    emulation::collective(
        "__syncwarp", mask, &mask, [](void *const *) {}, file, line);
}
inline void __threadfence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_block() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

namespace emulation {

template <class T> struct Shuffle {
    T value, result;
    int source;
};

template <class T>
T shuffle(const char *what, unsigned mask, T value, int source, const char *file, int line) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) >= 4 && sizeof(T) <= 8,
                  "shuffles move 4 or 8 bytes");
    Shuffle<T> mine = {value, value, source};
    collective(
        what, mask, &mine,
        [](void *const *lanes) {
            for (int i = 0; i < 32; i++) {
                Shuffle<T> *to = static_cast<Shuffle<T> *>(lanes[i]);
                if (!to) continue;
                Shuffle<T> *from = static_cast<Shuffle<T> *>(lanes[to->source]);
                if (from)
                    to->result = from->value;
                else
                    memset(static_cast<void *>(&to->result), 0xff, sizeof(T)); // undefined in CUDA
            }
        },
        file, line);
    return mine.result;
}

inline int segment_end(int lane, int width) {
    return (lane & ~(width - 1)) + width;
}

} // namespace emulation

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMULATION_SITE) {
    int lane = emulation::here.lane;
    return emulation::shuffle("__shfl_sync", mask, value,
                              (lane & ~(width - 1)) | (source & (width - 1)), file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, EMULATION_SITE) {
    int lane = emulation::here.lane, source = lane ^ bits;
    if (source >= emulation::segment_end(lane, width)) source = lane;
    return emulation::shuffle("__shfl_xor_sync", mask, value, source, file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, EMULATION_SITE) {
    int lane = emulation::here.lane, source = lane + (int)delta;
    if (source >= emulation::segment_end(lane, width)) source = lane;
    return emulation::shuffle("__shfl_down_sync", mask, value, source, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, EMULATION_SITE) {
    int lane = emulation::here.lane, source = lane - (int)delta;
    if (source < emulation::segment_end(lane, width) - width) source = lane;
    return emulation::shuffle("__shfl_up_sync", mask, value, source, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATION_SITE) {
    unsigned bits = predicate ? 1u << emulation::here.lane : 0;
    emulation::collective(
        "__ballot_sync", mask, &bits,
        [](void *const *lanes) {
            unsigned all = 0;
            for (int i = 0; i < 32; i++)
                if (lanes[i]) all |= *static_cast<unsigned *>(lanes[i]);
            for (int i = 0; i < 32; i++)
                if (lanes[i]) *static_cast<unsigned *>(lanes[i]) = all;
        },
        file, line);
    return bits;
}
inline int __any_sync(unsigned mask, int predicate, EMULATION_SITE) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATION_SITE) {
    return __ballot_sync(mask, !predicate, file, line) == 0;
}

// ---- asynchronous copies into shared memory: they arrive when they are waited for ---------------
inline void __pipeline_memcpy_async(void *dst, const void *src, size_t bytes) {
    emulation::copy_async(dst, src, bytes);
}
inline void __pipeline_commit() {
    emulation::commit_async();
}
inline void __pipeline_wait_prior(unsigned newest) {
    emulation::wait_async(newest);
}

// ---- atomics ------------------------------------------------------------------------------------
namespace emulation {

template <class T, class F> T atomic_update(T *p, F update) {
    T old, next;
    __atomic_load(p, &old, __ATOMIC_SEQ_CST);
    do next = update(old);
    while (!__atomic_compare_exchange(p, &old, &next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return old;
}

} // namespace emulation

#define EMULATION_ATOMIC(T)                                                                        \
    inline T atomicAdd(T *p, T v) {                                                                \
        return emulation::atomic_update(p, [v](T old) { return (T)(old + v); });                   \
    }                                                                                              \
    inline T atomicExch(T *p, T v) {                                                               \
        return emulation::atomic_update(p, [v](T) { return v; });                                  \
    }
#define EMULATION_ATOMIC_INTEGER(T)                                                                \
    EMULATION_ATOMIC(T)                                                                            \
    inline T atomicMax(T *p, T v) {                                                                \
        return emulation::atomic_update(p, [v](T old) { return old > v ? old : v; });              \
    }                                                                                              \
    inline T atomicMin(T *p, T v) {                                                                \
        return emulation::atomic_update(p, [v](T old) { return old < v ? old : v; });              \
    }                                                                                              \
    inline T atomicOr(T *p, T v) {                                                                 \
        return emulation::atomic_update(p, [v](T old) { return old | v; });                        \
    }                                                                                              \
    inline T atomicCAS(T *p, T compare, T v) {                                                     \
        return emulation::atomic_update(p, [=](T old) { return old == compare ? v : old; });       \
    }
EMULATION_ATOMIC(float)
EMULATION_ATOMIC(double)
EMULATION_ATOMIC_INTEGER(int)
EMULATION_ATOMIC_INTEGER(unsigned)
EMULATION_ATOMIC_INTEGER(unsigned long long)
inline unsigned atomicInc(unsigned *p, unsigned limit) {
    return emulation::atomic_update(
        p, [limit](unsigned old) { return old >= limit ? 0 : old + 1; });
}

// ---- memory hints and arithmetic ----------------------------------------------------------------
#define EMULATION_LOAD(name)                                                                       \
    template <class T> T name(const T *p) {                                                        \
        return *p;                                                                                 \
    }
EMULATION_LOAD(__ldg)
EMULATION_LOAD(__ldcs)
EMULATION_LOAD(__ldcg)
EMULATION_LOAD(__ldca)
EMULATION_LOAD(__ldlu)
#define EMULATION_STORE(name)                                                                      \
    template <class T> void name(T *p, T value) {                                                  \
        *p = value;                                                                                \
    }
EMULATION_STORE(__stcs)
EMULATION_STORE(__stcg)
EMULATION_STORE(__stwb)

#define EMULATION_MIN_MAX(T)                                                                       \
    constexpr T min(T a, T b) {                                                                    \
        return b < a ? b : a;                                                                      \
    }                                                                                              \
    constexpr T max(T a, T b) {                                                                    \
        return a < b ? b : a;                                                                      \
    }
EMULATION_MIN_MAX(int)
EMULATION_MIN_MAX(unsigned)
EMULATION_MIN_MAX(long)
EMULATION_MIN_MAX(unsigned long)
EMULATION_MIN_MAX(long long)
EMULATION_MIN_MAX(unsigned long long)
inline float min(float a, float b) {
    return fminf(a, b);
}
inline float max(float a, float b) {
    return fmaxf(a, b);
}
inline double min(double a, double b) {
    return fmin(a, b);
}
inline double max(double a, double b) {
    return fmax(a, b);
}

namespace emulation {

template <class To, class From> To bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

} // namespace emulation

#define EMULATION_FUNCTION(T, name, parameters, value)                                             \
    inline T name parameters {                                                                     \
        return value;                                                                              \
    }
EMULATION_FUNCTION(unsigned, __float_as_uint, (float x), emulation::bits<unsigned>(x))
EMULATION_FUNCTION(int, __float_as_int, (float x), emulation::bits<int>(x))
EMULATION_FUNCTION(float, __uint_as_float, (unsigned x), emulation::bits<float>(x))
EMULATION_FUNCTION(float, __int_as_float, (int x), emulation::bits<float>(x))
EMULATION_FUNCTION(long long, __double_as_longlong, (double x), emulation::bits<long long>(x))
EMULATION_FUNCTION(double, __longlong_as_double, (long long x), emulation::bits<double>(x))
EMULATION_FUNCTION(float, rsqrtf, (float x), 1.0f / sqrtf(x))
EMULATION_FUNCTION(double, rsqrt, (double x), 1.0 / sqrt(x))
EMULATION_FUNCTION(float, __expf, (float x), expf(x))
EMULATION_FUNCTION(float, __exp10f, (float x), powf(10.0f, x))
EMULATION_FUNCTION(float, __logf, (float x), logf(x))
EMULATION_FUNCTION(float, __log2f, (float x), log2f(x))
EMULATION_FUNCTION(float, __powf, (float x, float y), powf(x, y))
EMULATION_FUNCTION(float, __sinf, (float x), sinf(x))
EMULATION_FUNCTION(float, __cosf, (float x), cosf(x))
EMULATION_FUNCTION(float, __fdividef, (float x, float y), x / y)
EMULATION_FUNCTION(float, __fdiv_rn, (float x, float y), x / y)
EMULATION_FUNCTION(float, __frcp_rn, (float x), 1.0f / x)
EMULATION_FUNCTION(float, __fsqrt_rn, (float x), sqrtf(x))
EMULATION_FUNCTION(float, __frsqrt_rn, (float x), 1.0f / sqrtf(x))
EMULATION_FUNCTION(float, __saturatef, (float x), x > 0 ? fminf(x, 1.0f) : 0.0f)
EMULATION_FUNCTION(float, __fmaf_rn, (float x, float y, float z), fmaf(x, y, z))
EMULATION_FUNCTION(float, normcdff, (float x), 0.5f * erfcf(-x * 0.70710678118654752f))
EMULATION_FUNCTION(float, sinpif, (float x), (float)sin(3.14159265358979323846 * x))
EMULATION_FUNCTION(float, cospif, (float x), (float)cos(3.14159265358979323846 * x))
EMULATION_FUNCTION(int, __float2int_rn, (float x), (int)lrintf(x))
EMULATION_FUNCTION(int, __float2int_rz, (float x), (int)x)
EMULATION_FUNCTION(int, __float2int_rd, (float x), (int)floorf(x))
EMULATION_FUNCTION(float, __int2float_rn, (int x), (float)x)
EMULATION_FUNCTION(float, __uint2float_rn, (unsigned x), (float)x)
EMULATION_FUNCTION(unsigned, __umulhi, (unsigned a, unsigned b), (unsigned)((uint64_t)a *b >> 32))
EMULATION_FUNCTION(int, __mulhi, (int a, int b), (int)((int64_t)a *b >> 32))
EMULATION_FUNCTION(unsigned long long, __umul64hi, (unsigned long long a, unsigned long long b),
                   (unsigned long long)((unsigned __int128)a *b >> 64))
EMULATION_FUNCTION(int, __popc, (unsigned x), __builtin_popcount(x))
EMULATION_FUNCTION(int, __popcll, (unsigned long long x), __builtin_popcountll(x))
EMULATION_FUNCTION(int, __ffs, (int x), __builtin_ffs(x))
EMULATION_FUNCTION(int, __clz, (int x), x ? __builtin_clz((unsigned)x) : 32)
EMULATION_FUNCTION(int, __clzll, (long long x), x ? __builtin_clzll((unsigned long long)x) : 64)
// Roundings that the CPU's plain operators could fuse: volatile keeps them apart.
inline float __fmul_rn(float x, float y) {
    volatile float r = x * y;
    return r;
}
inline float __fadd_rn(float x, float y) {
    volatile float r = x + y;
    return r;
}
inline float __fsub_rn(float x, float y) {
    volatile float r = x - y;
    return r;
}
inline void __sincosf(float x, float *s, float *c) {
    *s = sinf(x), *c = cosf(x);
}
inline void sincospif(float x, float *s, float *c) {
    *s = sinpif(x), *c = cospif(x);
}
[[noreturn]] inline void __trap() {
    emulation::fail("__trap was called");
}

// What <cuda_runtime.h> has for the CUDA compiler only.
template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute attribute, int value) {
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

#include "emulation_wmma.h"

#endif
