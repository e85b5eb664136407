// SPDX-License-Identifier: Apache-2.0
// The emulation against plain loops, and wrong uses: each must end the program with its message.
#include "test_common.h"

#include <string>
#include <sys/wait.h>

using namespace nvcuda;

// ---- kernels ------------------------------------------------------------------------------------
__global__ void __launch_bounds__(256) square(float *y, const float *__restrict__ x, int n) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] = __ldg(x + i) * x[i];
}

__global__ void transpose(float *y, const float *x, int n) { // n x n, blocks of 32 x 8
    __shared__ float tile[32][33];
    int x0 = (int)blockIdx.x * 32, y0 = (int)blockIdx.y * 32;
    for (unsigned r = threadIdx.y; r < 32; r += blockDim.y)
        tile[r][threadIdx.x] = x[(y0 + (int)r) * n + x0 + (int)threadIdx.x];
    __syncthreads();
    for (unsigned r = threadIdx.y; r < 32; r += blockDim.y)
        y[(x0 + (int)r) * n + y0 + (int)threadIdx.x] = tile[threadIdx.x][r];
}

__device__ __forceinline__ float warp_sum(float v) {
    for (int bit = 16; bit; bit >>= 1) v += __shfl_xor_sync(0xffffffffu, v, bit);
    return v;
}

template <int THREADS> __global__ void row_sums(float *y, const float *x, int n) {
    __shared__ float warps[THREADS / 32];
    float sum = 0;
    for (int i = (int)threadIdx.x; i < n; i += THREADS) sum += x[(int)blockIdx.x * n + i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = warp_sum(threadIdx.x < THREADS / 32 ? warps[threadIdx.x] : 0.0f);
        if (threadIdx.x == 0) y[blockIdx.x] = sum;
    }
}

__global__ void shuffles(int *out) {
    int lane = (int)threadIdx.x;
    int *o = out + lane * 8;
    o[0] = __shfl_sync(~0u, lane, 3);
    o[1] = __shfl_sync(~0u, lane, 9, 8);
    o[2] = __shfl_up_sync(~0u, lane, 1);
    o[3] = __shfl_down_sync(~0u, lane, 4, 16);
    o[4] = (int)__ballot_sync(~0u, lane % 3 == 0);
    o[5] = __any_sync(~0u, lane == 7) * 2 + __all_sync(~0u, lane == 7);
    o[6] = lane < 16 ? (int)__shfl_xor_sync(0x0000ffffu, (unsigned)lane, 1)
                     : (int)__shfl_xor_sync(0xffff0000u, (double)lane, 2);
    o[7] = __syncthreads_count(lane & 1) * 100 + __syncthreads_or(lane == 5) * 10 +
           __syncthreads_and(lane != 5);
}

__global__ void dynamic(float *y, int n) {
    SHARED_MEMORY(float, buffer);
    bool poisoned = isnan(buffer[threadIdx.x]);
    __syncthreads();
    buffer[threadIdx.x] = (float)threadIdx.x;
    __syncthreads();
    if ((int)threadIdx.x < n)
        y[blockIdx.x * blockDim.x + threadIdx.x] =
            poisoned ? buffer[blockDim.x - 1 - threadIdx.x] : -1.0f;
}

__global__ void static_poison(int *out, int written) {
    __shared__ float buffer[64];
    if ((int)threadIdx.x < written) buffer[threadIdx.x] = 1;
    out[threadIdx.x] = isnan(buffer[threadIdx.x]);
}

__global__ void async_copy(float *y, const float *x) {
    SHARED_MEMORY(float, buffer);
    __pipeline_memcpy_async(buffer + threadIdx.x * 4, x + threadIdx.x * 4, 16);
    __pipeline_commit();
    bool early = !isnan(buffer[threadIdx.x * 4]);
    __pipeline_wait_prior(0);
    __syncthreads();
    for (int i = 0; i < 4; i++)
        y[threadIdx.x * 4 + i] = early ? -1.0f : buffer[(blockDim.x - 1 - threadIdx.x) * 4 + i];
}

__global__ void count_atomically(float *sum, int *count, unsigned *last) {
    atomicAdd(sum, 0.5f);
    atomicAdd(count, 2);
    atomicMax(last, blockIdx.x);
}

// c = 2 a b^T, 16 x 16 outputs of k products, one warp; a goes through shared memory.
__global__ void multiply_bf16(float *c, const __nv_bfloat16 *a, const __nv_bfloat16 *b, int k) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
    wmma::fill_fragment(fc, 0.0f);
    for (int i = 0; i < k; i += 16) {
        __shared__ __align__(32) __nv_bfloat16 tile[16 * 24];
#pragma unroll
        for (int e = (int)threadIdx.x; e < 256; e += 32)
            tile[e / 16 * 24 + e % 16] = a[e / 16 * k + i + e % 16];
        __syncwarp();
        wmma::load_matrix_sync(fa, tile, 24);
        __syncwarp();
        wmma::load_matrix_sync(fb, b + i, (unsigned)k);
        wmma::mma_sync(fc, fa, fb, fc);
    }
    for (int i = 0; i < fc.num_elements; i++) fc.x[i] *= 2.0f;
    wmma::store_matrix_sync(c, fc, 16, wmma::mem_row_major);
}

__global__ void multiply_tf32(float *c, const float *a, const float *b, int k, bool round) {
    wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::col_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::row_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 8, float> fc;
    wmma::load_matrix_sync(fc, c, 16, wmma::mem_col_major);
    for (int i = 0; i < k; i += 8) {
        wmma::load_matrix_sync(fa, a + i * 16, 16);
        wmma::load_matrix_sync(fb, b + i * 16, 16);
        for (int e = 0; round && e < fa.num_elements; e++) fa.x[e] = wmma::__float_to_tf32(fa.x[e]);
        for (int e = 0; round && e < fb.num_elements; e++) fb.x[e] = wmma::__float_to_tf32(fb.x[e]);
        wmma::mma_sync(fc, fa, fb, fc);
    }
    wmma::store_matrix_sync(c, fc, 16, wmma::mem_col_major);
}

static void test_plain_kernel(void **) {
    std::vector<float> x = noises(5000), want(x);
    Buffer dx(x), dy(x.size());
    for (float &v : want) v *= v;
    void (*pointer)(float *, const float *, int) = square;
    LAUNCH(pointer, 20, 256, 0, 0, dy.f(), dx.f(), 5000);
    OK(cudaGetLastError());
    close_to(dy.get(), want, 0);
}

static void test_barrier(void **) {
    std::vector<float> x = noises(64 * 64), want(x.size());
    for (int i = 0; i < 64 * 64; i++) want[i % 64 * 64 + i / 64] = x[i];
    Buffer dx(x), dy(x.size());
    LAUNCH(transpose, dim3(2, 2), dim3(32, 8), 0, 0, dy.f(), dx.f(), 64);
    close_to(dy.get(), want, 0);
}

static void test_reduction(void **) {
    std::vector<float> x = noises(50 * 777), want(50, 0.0f);
    for (int i = 0; i < 50 * 777; i++) want[i / 777] += x[i];
    Buffer dx(x), dy(50);
    LAUNCH(row_sums<256>, 50, 256, 0, 0, dy.f(), dx.f(), 777);
    close_to(dy.get(), want, 1e-4f);
}

static void test_shuffles(void **) {
    Buffer out(32 * 8);
    LAUNCH(shuffles, 1, 32, 0, 0, static_cast<int *>(out.p));
    std::vector<float> bits = out.get();
    const int *o = reinterpret_cast<const int *>(bits.data());
    for (int l = 0; l < 32; l++, o += 8) {
        assert_int_equal(o[0], 3);
        assert_int_equal(o[1], l / 8 * 8 + 1);
        assert_int_equal(o[2], l ? l - 1 : 0);
        assert_int_equal(o[3], l % 16 < 12 ? l + 4 : l);
        assert_int_equal(o[4], 0x49249249);
        assert_int_equal(o[5], 2);
        assert_int_equal(o[6], l < 16 ? l ^ 1 : l ^ 2);
        assert_int_equal(o[7], 16 * 100 + 10);
    }
}

static void test_shared_memory(void **) {
    std::vector<float> want(10 * 128);
    for (int i = 0; i < 10 * 128; i++) want[i] = (float)(127 - i % 128);
    Buffer y(want.size());
    LAUNCH(dynamic, 10, 128, 128 * sizeof(float), 0, y.f(), 128);
    close_to(y.get(), want, 0);
    Buffer flags(64);
    LAUNCH(static_poison, 1, 64, 0, 0, static_cast<int *>(flags.p), 0);
    std::vector<float> seen = flags.get();
    for (float f : seen) assert_int_equal(__float_as_int(f), 1);
    std::vector<float> x = noises(256);
    Buffer dx(x), dy(256);
    LAUNCH(async_copy, 1, 64, 256 * sizeof(float), 0, dy.f(), dx.f());
    for (int i = 0; i < 256; i++) want[i] = x[(63 - i / 4) * 4 + i % 4];
    want.resize(256);
    close_to(dy.get(), want, 0);
}

static void test_atomics(void **) {
    Buffer b(3);
    OK(cudaMemset(b.p, 0, 12));
    int *words = static_cast<int *>(b.p);
    LAUNCH(count_atomically, 100, 64, 0, 0, b.f(), words + 1,
           reinterpret_cast<unsigned *>(words + 2));
    std::vector<float> v = b.get();
    assert_true(v[0] == 3200.0f);
    assert_int_equal(__float_as_int(v[1]), 12800);
    assert_int_equal(__float_as_int(v[2]), 99);
}

static void test_wmma(void **) {
    std::vector<float> a = noises(16 * 48), b = noises(16 * 48, 5000), want(256, 0.0f);
    Buffer da(a, true), db(b, true), c(256);
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < 48; k++) want[i] += 2 * a[i / 16 * 48 + k] * b[i % 16 * 48 + k];
    LAUNCH(multiply_bf16, 1, 32, 0, 0, c.f(), static_cast<__nv_bfloat16 *>(da.p),
           static_cast<__nv_bfloat16 *>(db.p), 48);
    close_to(c.get(), want, 1e-5f);
    std::vector<float> start = noises(256, 9000), fa = noises(16 * 24), fb = noises(16 * 24, 700);
    Buffer dfa(fa), dfb(fb), dc(start);
    for (int i = 0; i < 256; i++) { // c by columns
        want[i] = start[i];
        for (int k = 0; k < 24; k++)
            want[i] += emulation::round_tf32(fa[k * 16 + i % 16]) *
                       emulation::round_tf32(fb[k * 16 + i / 16]);
    }
    LAUNCH(multiply_tf32, 1, 32, 0, 0, dc.f(), dfa.f(), dfb.f(), 24, true);
    close_to(dc.get(), want, 1e-5f);
    assert_true(emulation::round_tf32(1.0f + 0x1p-11f) == 1.0f + 0x1p-10f);
    assert_true(emulation::round_tf32(-1.0f - 0x1p-12f) == -1.0f);
}

// ---- runtime ------------------------------------------------------------------------------------
static void test_device(void **) {
    int n;
    cudaDeviceProp p;
    size_t available, total;
    OK(cudaGetDeviceCount(&n));
    assert_int_equal(n, 1);
    OK(cudaGetDeviceProperties(&p, 0));
    assert_string_equal(p.name, "emulated GPU");
    OK(cudaMemGetInfo(&available, &total));
    {
        Buffer b(1 << 20);
        size_t less;
        OK(cudaMemGetInfo(&less, &total));
        assert_int_equal(available - less, 4 << 20);
        assert_int_equal(reinterpret_cast<uintptr_t>(b.p) % 256, 0);
        for (float v : b.get()) assert_true(isnan(v));
    }
    void *none;
    assert_int_equal(cudaMalloc(&none, total + 1), cudaErrorMemoryAllocation);
    assert_null(none);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    OK(cudaGetLastError());
    LAUNCH(square, 1, 2048, 0, 0, nullptr, nullptr, 0);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    LAUNCH(dynamic, 1, 32, 100 << 10, 0, nullptr, 0);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidValue);
    OK(cudaFuncSetAttribute(dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10));
    LAUNCH(dynamic, 1, 32, 100 << 10, 0, nullptr, 0);
    OK(cudaGetLastError());
}

static void test_copies(void **) {
    std::vector<float> x = noises(40), out(40, 0.0f);
    Buffer d(x), e(40);
    OK(cudaMemcpy2DAsync(e.p, 40, d.p, 20, 20, 4, cudaMemcpyDeviceToDevice, 0));
    OK(cudaMemcpy2DAsync(out.data(), 20, e.p, 40, 20, 4, cudaMemcpyDeviceToHost, 0));
    for (int i = 0; i < 20; i++) assert_true(out[i] == x[i]);
    float *pinned;
    OK(cudaMallocHost(&pinned, 160));
    OK(cudaMemcpyAsync(pinned, d.p, 160, cudaMemcpyDefault, 0));
    OK(cudaStreamSynchronize(0));
    assert_memory_equal(pinned, x.data(), 160);
    OK(cudaFreeHost(pinned));
    assert_int_equal(cudaHostUnregister(x.data()), cudaErrorHostMemoryNotRegistered);
    cudaGetLastError();
    OK(cudaHostRegister(x.data(), 160, 0));
    OK(cudaHostUnregister(x.data()));
}

static void test_graph(void **) {
    std::vector<float> x = noises(100);
    Buffer a(x), b(100), c(100);
    cudaStream_t s, side;
    cudaEvent_t fork, join;
    OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    OK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
    OK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    OK(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    int n = 100;
    LAUNCH(square, 1, 128, 0, s, b.f(), a.f(), n);
    n = 0; // the graph keeps what it was
    OK(cudaEventRecord(fork, s));
    OK(cudaStreamWaitEvent(side, fork, 0));
    OK(cudaMemcpyAsync(c.p, b.p, 400, cudaMemcpyDeviceToDevice, side));
    OK(cudaEventRecord(join, side));
    OK(cudaStreamWaitEvent(s, join, 0));
    OK(cudaMemsetAsync(b.p, 0, 400, s));
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    OK(cudaStreamEndCapture(s, &graph));
    for (float v : c.get()) assert_true(isnan(v)); // nothing ran
    OK(cudaGraphInstantiate(&exec, graph, 0));
    OK(cudaGraphDestroy(graph));
    for (int round = 0; round < 2; round++) {
        std::vector<float> want = noises(100, round * 7);
        OK(cudaMemcpy(a.p, want.data(), 400, cudaMemcpyHostToDevice));
        OK(cudaGraphLaunch(exec, s));
        for (float &v : want) v *= v;
        close_to(c.get(), want, 0);
        for (float v : b.get()) assert_true(v == 0);
    }
    OK(cudaGraphExecDestroy(exec));
    // What capture forbids.
    void *p;
    OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    assert_int_equal(cudaMalloc(&p, 4), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    assert_int_equal(cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    OK(cudaEventRecord(fork, s));
    OK(cudaStreamWaitEvent(side, fork, 0));
    assert_int_equal(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureUnjoined);
    cudaGetLastError();
    OK(cudaStreamSynchronize(side));
    OK(cudaEventDestroy(fork));
    OK(cudaEventDestroy(join));
    OK(cudaStreamDestroy(side));
    OK(cudaStreamDestroy(s));
}

static void test_streams(void **) {
    cudaStream_t s, t;
    cudaEvent_t e, before;
    OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    OK(cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking));
    OK(cudaEventCreate(&e));
    OK(cudaEventCreate(&before));
    float *pinned;
    OK(cudaMallocHost(&pinned, 400));
    for (int i = 0; i < 100; i++) pinned[i] = (float)i;
    Buffer a(100), b(100);
    OK(cudaEventRecord(before, s));
    OK(cudaMemcpyAsync(a.p, pinned, 400, cudaMemcpyHostToDevice, s));
    OK(cudaEventRecord(e, s));
    OK(cudaStreamWaitEvent(t, e, 0));
    LAUNCH(square, 1, 100, 0, t, b.f(), a.f(), 100);
    OK(cudaMemcpyAsync(pinned, b.p, 400, cudaMemcpyDeviceToHost, t));
    if (emulation::option("EMULATION_DEFER")) assert_true(pinned[3] == 3);
    OK(cudaStreamSynchronize(t));
    assert_true(pinned[3] == 9);
    float ms = -1;
    OK(cudaEventSynchronize(e));
    OK(cudaEventElapsedTime(&ms, before, e));
    assert_true(ms >= 0);
    OK(cudaFreeHost(pinned));
    OK(cudaEventDestroy(e));
    OK(cudaEventDestroy(before));
    OK(cudaStreamDestroy(s));
    OK(cudaStreamDestroy(t));
}

// ---- wrong uses: each runs in a process of its own and must end with its message ----------------
__global__ void divergent_barrier() {
    if (threadIdx.x < 10) return;
    __syncthreads();
}
__global__ void two_barriers() {
    if (threadIdx.x < 10)
        __syncthreads();
    else
        __syncthreads();
}
__global__ void divergent_shuffle(int *y) {
    if (threadIdx.x < 20) y[threadIdx.x] = __shfl_sync(~0u, 1, 0);
}
__global__ void outside_mask(int *y) {
    y[threadIdx.x] = __shfl_sync(0xffffu, 1, 0);
}
__global__ void write_shared(int at) {
    SHARED_MEMORY(float, buffer);
    buffer[at] = 1;
}
__global__ void write_global(float *y, int at) {
    y[at] = 1;
}
__global__ void load_tile(const __nv_bfloat16 *p, unsigned ldm) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> f;
    wmma::load_matrix_sync(f, p, ldm);
}
__global__ void unequal_elements(float *y) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> a;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::row_major> b;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> c;
    wmma::fill_fragment(a, 1.0f);
    wmma::fill_fragment(b, 1.0f);
    wmma::fill_fragment(c, 0.0f);
    a.x[0] = __float2bfloat16(2.0f);
    wmma::mma_sync(c, a, b, c);
    wmma::store_matrix_sync(y, c, 16, wmma::mem_row_major);
}

static const struct Wrong {
    const char *name, *message;
    void (*run)();
} wrongs[] = {
    {"barrier", "and thread (0,0,0) has ended",
     [] { LAUNCH(divergent_barrier, dim3(2), 64, 0, 0); }},
    {"barriers", "waits at __syncthreads", [] { LAUNCH(two_barriers, 1, 64, 0, 0); }},
    {"shuffle", "deadlock: thread",
     [] {
         Buffer b(64);
         LAUNCH(divergent_shuffle, 1, 64, 0, 0, static_cast<int *>(b.p));
         cudaDeviceSynchronize();
     }},
    {"mask", "is not in its own mask",
     [] {
         Buffer b(64);
         LAUNCH(outside_mask, 1, 32, 0, 0, static_cast<int *>(b.p));
         cudaDeviceSynchronize();
     }},
    {"shared", "wrote 0 bytes behind the end of its 128 bytes of dynamic shared memory",
     [] { LAUNCH(write_shared, 1, 1, 128, 0, 32); }},
    {"global",
#ifdef __SANITIZE_ADDRESS__
     "AddressSanitizer: use-after-poison",
#else
     "write_global: something wrote at offset 400 of the 400 bytes",
#endif
     [] {
         Buffer b(100);
         LAUNCH(write_global, 1, 1, 0, 0, b.f(), 100);
         cudaDeviceSynchronize();
     }},
    {"host pointer", "argument 0, ",
     [] {
         float y;
         LAUNCH(write_global, 1, 1, 0, 0, &y, 0);
         cudaDeviceSynchronize();
     }},
    {"freed", "is not in a live device allocation",
     [] {
         float *y;
         cudaMalloc(&y, 1000);
         cudaFree(y);
         LAUNCH(write_global, 1, 1, 0, 0, y, 0);
     }},
    {"copy", "404 bytes at offset 0 reach past the end of a device allocation of 400",
     [] {
         Buffer b(100);
         float y[101];
         cudaMemcpy(y, b.p, 404, cudaMemcpyDeviceToHost);
     }},
    {"kind", "is device memory where host memory is meant",
     [] {
         Buffer b(100), c(100);
         cudaMemcpy(c.p, b.p, 400, cudaMemcpyHostToDevice);
     }},
    {"misaligned tile", "is not 32-byte aligned",
     [] {
         Buffer b(1000);
         LAUNCH(load_tile, 1, 32, 0, 0, static_cast<__nv_bfloat16 *>(b.p) + 8, 16);
         cudaDeviceSynchronize();
     }},
    {"tile stride", "is no multiple of 16 bytes",
     [] {
         Buffer b(1000);
         LAUNCH(load_tile, 1, 32, 0, 0, static_cast<__nv_bfloat16 *>(b.p), 20);
         cudaDeviceSynchronize();
     }},
    {"half a warp", "fewer than 32 lanes",
     [] {
         Buffer b(1000);
         LAUNCH(load_tile, 1, 16, 0, 0, static_cast<__nv_bfloat16 *>(b.p), 16);
         cudaDeviceSynchronize();
     }},
    {"not rounded", "was not rounded to TF32",
     [] {
         std::vector<float> x = noises(256);
         Buffer b(x), c(x);
         LAUNCH(multiply_tf32, 1, 32, 0, 0, c.f(), b.f(), b.f(), 8, false);
         cudaDeviceSynchronize();
     }},
    {"unequal elements", "were not all treated alike",
     [] {
         Buffer c(256);
         LAUNCH(unequal_elements, 1, 32, 0, 0, c.f());
         cudaDeviceSynchronize();
     }},
    {"host touches device memory", "host code touches device memory",
     [] {
         setenv("EMULATION_PROTECT", "1", 1);
         Buffer b(100);
         *static_cast<volatile float *>(b.p) = 1;
     }},
};

static std::string program;

static void test_wrong_uses(void **) {
    for (const Wrong &w : wrongs) {
#ifdef __SANITIZE_ADDRESS__
        if (strcmp(w.name, "host touches device memory") == 0) continue; // it has its own handler
#endif
        std::string command = "'" + program + "' --wrong '" + w.name + "' 2>&1", said;
        FILE *f = popen(command.c_str(), "r");
        assert_non_null(f);
        char line[1024];
        while (fgets(line, sizeof line, f)) said += line;
        int status = pclose(f);
        if (status == 0 || said.find(w.message) == std::string::npos)
            fail_msg("%s: status %d, said: %s", w.name, status, said.c_str());
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "--wrong") == 0) {
        for (const Wrong &w : wrongs)
            if (strcmp(w.name, argv[2]) == 0) w.run();
        return cudaDeviceSynchronize();
    }
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_kernel),  cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_reduction),     cmocka_unit_test(test_shuffles),
        cmocka_unit_test(test_shared_memory), cmocka_unit_test(test_atomics),
        cmocka_unit_test(test_wmma),          cmocka_unit_test(test_device),
        cmocka_unit_test(test_copies),        cmocka_unit_test(test_graph),
        cmocka_unit_test(test_streams),       cmocka_unit_test(test_wrong_uses),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
