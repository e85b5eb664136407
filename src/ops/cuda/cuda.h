// SPDX-License-Identifier: Apache-2.0
// Private to ops/cuda: the backend's state, and what its files share. C++, compiled by nvcc; or,
// for the tests, by the host's compiler against tests/emulation, which runs the kernels on the CPU.
//
// Everything runs on one stream, in the order the ops were issued; only staged copies and sums over
// several cards have streams of their own. Kernels use no atomics and sum in an order that depends
// on the shapes alone, so that the same step gives the same bits.
//
// Activations have type T: float, or bf16 where the device was opened with bfloat16. IMAGE tensors
// are NHWC; the three channels of a picture are stored as four, the last one zero.
#ifndef TACT_OPS_CUDA_CUDA_H
#define TACT_OPS_CUDA_CUDA_H

extern "C" {
#include "base/memory.h"
#include "ops/ops.h"
extern const Backend cuda_backend; // open.cu
}

#ifdef TACT_CUDA_EMULATION
#include "emulation.h"
#define UNROLL
#else
#define UNROLL _Pragma("unroll")
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <mma.h>
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                           \
    kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
#define SHARED_MEMORY(type, name)                                                                  \
    extern __shared__ __align__(128) unsigned char shared_memory[];                                \
    type *name = reinterpret_cast<type *>(shared_memory)
#endif

#include "ops/cuda/divide.h"
#include "ops/cuda/libraries.h"

typedef __nv_bfloat16 bf16;

enum { MAX_STAGES = 64, LAST_OPS = 4, WARP = 32 };

// The memory that cuBLASLt may use, as much as it asks for on Hopper. It is always the same,
// because cuBLASLt chooses algorithms by it.
static const size_t CUDA_MATMUL_WORKSPACE = (size_t)32 << 20;

// A buffer that is filled while ops still read the one it is for.
typedef struct Stage {
    void *target, *twin; // device memory
    size_t bytes;
    cudaEvent_t arrived, consumed;
} Stage;

// An op that was issued, to be named when the card says later that something failed.
typedef struct Issued {
    const char *op;
    int64_t rows, cols;
} Issued;

typedef struct Matmul Matmul;           // matmul.cu: a planned matrix product
typedef struct ConvChoices ConvChoices; // conv.cu: the algorithms found for each shape
typedef struct CudaSums CudaSums;       // nccl.cu: the cards of other processes

typedef struct Cuda {
    int ordinal;
    cudaStream_t stream, copies;
    cublasLtHandle_t blas;
    cudnnHandle_t dnn;
    // Memory that any op may use until the next one is issued. A recording that was made with other
    // addresses is made again: generation counts their changes.
    void *workspace, *scratch;
    size_t workspace_bytes, scratch_bytes;
    uint64_t generation;
    bool recording;
    StepNumbers *numbers; // on the device: what ops in a recording read
    Stage stages[MAX_STAGES];
    int n_stages;
    uint8_t *slots; // page-locked, DOWNLOAD_SLOTS * DOWNLOAD_BYTES
    cudaEvent_t downloaded[DOWNLOAD_SLOTS];
    // The parameters' copy in bfloat16.
    const float *weights;
    int64_t weights_count;
    bf16 *weights_bf16;
    ConvChoices *conv_choices;
    Matmul *matmuls;
    int n_matmuls;
    uint64_t matmul_clock;
    CudaSums *sums; // NULL: none joined
    // What was logged already: each is logged once for a device.
    bool unfused_logged, own_conv_logged, bias_refusal_logged, product_refusal_logged;
    Issued issued[LAST_OPS]; // the last of them, at n_issued % LAST_OPS
    uint64_t n_issued;
} Cuda;

static inline Cuda *cuda_of(Device *d) {
    return (Cuda *)d->impl;
}

// cuda.cu: false, with the failure recorded, unless status is success.
bool cuda_ok(Device *d, cudaError_t status, const char *what);
// Remembers what was issued, for messages about failures that are seen later.
void cuda_issued(Device *d, const char *op, int64_t rows, int64_t cols);
// After a launch: as cuda_issued, and records a failure to start.
void cuda_launched(Device *d, const char *op, int64_t rows, int64_t cols);
// Makes the device's card the current one of the calling thread. Each thread has a current card of
// its own, any thread may call, and other code changes it too; memory, streams and launches go to
// the current card, and a launch to another card's stream fails. So every function of the Device
// calls this first.
void cuda_attach(Device *d);
// As cuda_attach, and gives the stream that ops are issued to.
cudaStream_t cuda_stream(Device *d);
// Whether this build holds code that the current card can run: cudaSuccess if so.
cudaError_t cuda_code_for_card(void);
// Memory for one op; NULL (and failed) when there is none.
void *cuda_scratch(Device *d, size_t bytes);
bool cuda_workspace(Device *d, size_t bytes);
// Lets a kernel use more shared memory than the 48 KiB that need no asking.
bool cuda_shared_memory(Device *d, const void *kernel, size_t bytes);
// What ops read their step's numbers from: NULL outside of a recording.
static inline const StepNumbers *cuda_numbers(Device *d) {
    return cuda_of(d)->recording ? cuda_of(d)->numbers : NULL;
}

// nccl.cu: sums over the cards of several processes (Device.join).
void cuda_join(Device *d, const Peers *peers);
void cuda_sum_begin(Device *d, Tensor t);
bool cuda_sums_end(Device *d, Error *err);
// Waits for an event, or where that is NULL for a stream; false, with the failure recorded, when
// there was one. Nothing else may wait for the card: another process's sums may hold it up for
// ever, and here that is noticed.
bool cuda_wait(Device *d, cudaStream_t stream, cudaEvent_t event, const char *what);
// Whether the card hangs in sums that it does not give up: what waits for it must not be called.
bool cuda_stuck(const Device *d);
// Leaves the others; recordings are freed before. False: the card is stuck, and the rest of it is
// left as it is.
bool cuda_sums_close(Device *d);

void cuda_core_ops(Device *d);
void cuda_plain_ops(Device *d);
void cuda_activation_ops(Device *d);
void cuda_image_ops(Device *d);
void cuda_pool_ops(Device *d);
void cuda_conv_ops(Device *d);
void cuda_linear_ops(Device *d);
void cuda_layernorm_ops(Device *d);
void cuda_attention_ops(Device *d);
void cuda_loss_ops(Device *d);
void cuda_optimizer_ops(Device *d);
// matmul.cu: a row-major matrix, or a batch of them.
typedef struct Matrix {
    const void *data;
    cudaDataType_t type;
    int64_t rows, cols, ld, batch_stride;
} Matrix;
// D = op(A) op(B) + beta D (+ bias over the columns, of D's type and on 16 bytes).
void cuda_matmul(Device *d, Matrix a, bool trans_a, Matrix b, bool trans_b, float beta,
                 const void *bias, void *out, cudaDataType_t type, int64_t ldd, int64_t stride_d,
                 int64_t batch);
void cuda_matmul_free(Cuda *c);
// linear.cu: the parameters' copy in bfloat16 (Device.weights_load).
void cuda_weights_load(Device *d, Tensor flat, bool lasting);

// Channels as stored.
static inline int64_t image_channels(int64_t c) {
    return c == 3 ? 4 : c;
}
static inline int64_t image_count(Tensor t) {
    return t.shape[0] * image_channels(t.shape[1]) * t.shape[2] * t.shape[3];
}

// ---- four elements at a time --------------------------------------------------------------------
// A quad is four neighbouring columns of a row: 16 bytes of floats, one counter of the generator.
// n < 4 at the end of a row; `fast` says that quads are whole and aligned.

__device__ __forceinline__ float to_float(float x) {
    return x;
}
__device__ __forceinline__ float to_float(bf16 x) {
    return __bfloat162float(x);
}
template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) {
    return x;
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) {
    return __float2bfloat16(x);
}

struct Quad {
    float v[4];
};

template <typename T> struct alignas(4 * sizeof(T)) Packed { T v[4]; };

template <typename T> __device__ __forceinline__ Quad load_quad(const T *p, int n, bool fast) {
    Quad q;
    if (fast) {
        Packed<T> packed = *reinterpret_cast<const Packed<T> *>(p);
        for (int i = 0; i < 4; i++) q.v[i] = to_float(packed.v[i]);
    } else {
        for (int i = 0; i < 4; i++) q.v[i] = i < n ? to_float(p[i]) : 0.0f;
    }
    return q;
}

template <typename T> __device__ __forceinline__ void store_quad(T *p, Quad q, int n, bool fast) {
    if (fast) {
        Packed<T> packed;
        for (int i = 0; i < 4; i++) packed.v[i] = from_float<T>(q.v[i]);
        *reinterpret_cast<Packed<T> *>(p) = packed;
    } else {
        for (int i = 0; i < 4; i++)
            if (i < n) p[i] = from_float<T>(q.v[i]);
    }
}

// A tensor as rows: row r is (r / per_outer, r % per_outer) with a stride for each.
template <typename T> struct View {
    T *data;
    Divider per_outer;
    int64_t outer_stride, row_stride;
    bool fast;
    __device__ __forceinline__ T *row(uint32_t r) const {
        uint32_t outer = per_outer.quotient(r);
        return data + outer * outer_stride + per_outer.rest(r, outer) * row_stride;
    }
};

template <typename T> static View<T> view_of(Tensor t) {
    int64_t cols = tensor_columns(t);
    View<T> v;
    v.data = (T *)t.data;
    v.outer_stride = 0;
    if (t.rank == 3) {
        v.per_outer = divider_of((uint32_t)t.shape[1]);
        v.outer_stride = t.stride[0];
        v.row_stride = t.stride[1];
    } else {
        v.per_outer = divider_of((uint32_t)(tensor_count(t) / cols));
        v.row_stride = t.rank == 2 ? t.stride[0] : cols;
    }
    v.fast = cols % 4 == 0 && (uintptr_t)t.data % (4 * sizeof(T)) == 0 && v.outer_stride % 4 == 0 &&
             v.row_stride % 4 == 0;
    return v;
}

// Contiguous memory as (rows, cols).
static inline Tensor rows_view(void *data, DType type, int64_t rows, int64_t cols) {
    const int64_t shape[] = {rows, cols};
    return tensor_view(data, type, 2, shape);
}

// f(row, column, n) for every quad of (rows, cols). A block covers blockDim.y rows and blockDim.x
// quads of each, the grid the whole or, along the columns, a part of it at a time: no thread
// divides to find its place.
template <typename F> __global__ void quads_kernel(F f, uint32_t rows, uint32_t cols) {
    uint32_t row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    uint32_t step = gridDim.y * blockDim.x * 4;
    for (uint64_t col = (uint64_t)(blockIdx.y * blockDim.x + threadIdx.x) * 4; col < cols;
         col += step)
        f(row, (uint32_t)col, cols - col < 4 ? (int)(cols - col) : 4);
}

static const uint32_t QUADS_THREADS = 256, QUADS_GRID_Y = 65535;

// How many quads of a row a block covers: a power of two, as many as leave at most a quarter of the
// threads idle, or where none does, as leave the fewest.
static inline uint32_t quads_across(uint64_t per_row) {
    uint32_t best = 1;
    uint64_t least = per_row;
    for (uint32_t across = 1; across <= QUADS_THREADS; across *= 2) {
        uint64_t covered = (per_row + across - 1) / across * across;
        if (covered > least && (covered - per_row) * 4 > covered) continue;
        best = across;
        least = covered;
    }
    return best;
}

template <typename F>
static void for_quads(Device *d, const char *name, F f, int64_t rows, int64_t cols) {
    if (d->failed || rows == 0 || cols == 0) return;
    if (rows > UINT32_MAX || cols > UINT32_MAX - 3) {
        device_fail(
            d, "cuda: %s: %ld x %ld is more than one call can count; use a smaller --batch_size",
            name, (long)rows, (long)cols);
        return;
    }
    uint64_t per_row = ((uint64_t)cols + 3) / 4;
    // One row of many quads (a flat array) is walked over by as many blocks as keep a card busy.
    uint32_t across = rows == 1 ? QUADS_THREADS : quads_across(per_row);
    uint32_t down = QUADS_THREADS / across;
    uint64_t wide = (per_row + across - 1) / across;
    if (wide > QUADS_GRID_Y) wide = QUADS_GRID_Y;
    uint64_t high = ((uint64_t)rows + down - 1) / down; // at most 2^32 - 1 rows of one each
    if (high > INT32_MAX) {
        device_fail(
            d, "cuda: %s: %ld x %ld is more than one call can count; use a smaller --batch_size",
            name, (long)rows, (long)cols);
        return;
    }
    auto kernel = quads_kernel<F>;
    LAUNCH(kernel, dim3((unsigned)high, (unsigned)wide), dim3(across, down), 0, cuda_stream(d), f,
           (uint32_t)rows, (uint32_t)cols);
    cuda_launched(d, name, rows, cols);
}

// Calls f<float> or f<bf16>, by the type of the elements.
#define BY_TYPE(dtype, f, ...)                                                                     \
    do {                                                                                           \
        if ((dtype) == DTYPE_BF16)                                                                 \
            f<bf16>(__VA_ARGS__);                                                                  \
        else                                                                                       \
            f<float>(__VA_ARGS__);                                                                 \
    } while (0)

// ---- dropout ------------------------------------------------------------------------------------
// A dropout that a kernel can apply: the step comes from device memory in a recording.
struct DropoutMask {
    float p, keep;
    RngKey key;
    const StepNumbers *numbers;
    __device__ __forceinline__ Quad factors(uint32_t row, uint32_t col) const {
        Quad q;
        if (p == 0) {
            for (int i = 0; i < 4; i++) q.v[i] = 1;
            return q;
        }
        RngKey k = key;
        uint32_t words[4];
        if (numbers) k.step = numbers->step;
        rng_words(words, k, row, col / 4);
        for (int i = 0; i < 4; i++) q.v[i] = rng_unit(words[i]) >= p ? keep : 0.0f;
        return q;
    }
};

static inline DropoutMask dropout_mask(Device *d, Dropout drop) {
    DropoutMask m = {drop.p, 1.0f / (1.0f - drop.p), drop.key, cuda_numbers(d)};
    return m;
}

// ---- sums ---------------------------------------------------------------------------------------
__device__ __forceinline__ float warp_sum(float x) {
    for (int i = WARP / 2; i > 0; i /= 2) x += __shfl_xor_sync(0xffffffffu, x, i);
    return x;
}

// The sum of x over a block of THREADS threads, a power of two, the same in every thread; `shared`
// has THREADS values.
template <unsigned THREADS> __device__ double block_sum(double x, double *shared) {
    shared[threadIdx.x] = x;
    __syncthreads();
    for (unsigned n = THREADS / 2; n > 0; n /= 2) {
        if (threadIdx.x < n) shared[threadIdx.x] += shared[threadIdx.x + n];
        __syncthreads();
    }
    double sum = shared[0];
    __syncthreads(); // before the next one writes there
    return sum;
}

// out[c] += sum over rows of f(row, c).a, and out2 likewise of .b where it is given. Each thread
// sums some rows, a block 32 columns of one part of the rows; a second kernel adds the parts up in
// order.
struct Pair {
    float a, b;
};
enum { SUM_ROWS = 8, SUM_PARTS = 32 };

template <typename F>
__global__ void column_parts_kernel(F f, uint32_t rows, uint32_t cols, Pair *parts) {
    __shared__ Pair sums[SUM_ROWS][WARP];
    uint32_t c = blockIdx.x * WARP + threadIdx.x, part = blockIdx.y;
    uint32_t first = (uint32_t)((uint64_t)rows * part / SUM_PARTS);
    uint32_t end = (uint32_t)((uint64_t)rows * (part + 1) / SUM_PARTS);
    Pair sum = {0, 0};
    if (c < cols)
        for (uint32_t r = first + threadIdx.y; r < end; r += SUM_ROWS) {
            Pair v = f(r, c);
            sum.a += v.a;
            sum.b += v.b;
        }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || c >= cols) return;
    for (int i = 1; i < SUM_ROWS; i++) {
        sum.a += sums[i][threadIdx.x].a;
        sum.b += sums[i][threadIdx.x].b;
    }
    parts[(uint64_t)part * cols + c] = sum;
}

// A thread a column, so that its 32 loads are under way together.
__global__ static void add_parts_kernel(const Pair *parts, float *out, float *out2, uint32_t cols) {
    uint32_t col = blockIdx.x * blockDim.x + threadIdx.x;
    if (col >= cols) return;
    Pair sum = {0, 0};
    UNROLL
    for (uint32_t k = 0; k < SUM_PARTS; k++) {
        Pair v = parts[(uint64_t)k * cols + col];
        sum.a += v.a;
        sum.b += v.b;
    }
    out[col] += sum.a;
    if (out2) out2[col] += sum.b;
}

template <typename F>
static void add_column_sums(Device *d, const char *name, F f, int64_t rows, int64_t cols,
                            float *out, float *out2) {
    Pair *parts = (Pair *)cuda_scratch(d, (size_t)(SUM_PARTS * cols) * sizeof(Pair));
    if (d->failed || rows == 0) return;
    auto kernel = column_parts_kernel<F>;
    dim3 grid((unsigned)((cols + WARP - 1) / WARP), SUM_PARTS);
    LAUNCH(kernel, grid, dim3(WARP, SUM_ROWS), 0, cuda_stream(d), f, (uint32_t)rows, (uint32_t)cols,
           parts);
    cuda_launched(d, name, rows, cols);
    const unsigned threads = 64;
    LAUNCH(add_parts_kernel, dim3((unsigned)((cols + threads - 1) / threads)), dim3(threads), 0,
           cuda_of(d)->stream, (const Pair *)parts, out, out2, (uint32_t)cols);
    cuda_launched(d, name, SUM_PARTS, cols);
}

#endif
