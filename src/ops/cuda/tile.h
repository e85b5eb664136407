// SPDX-License-Identifier: Apache-2.0
// Private to ops/cuda: what one warp does with a 16x16 tile of a matrix product, in three
// arithmetics that attention is written over once: float32 on the ordinary units, TF32 and bfloat16
// on the matrix units. Factors lie in shared memory, as Element; sums are float32.
//
// The element (i, k) of a factor A (16, K) is a[i*lda + k], or a[k*lda + i] with TA; of B (K, 16)
// b[k*ldb + j], or b[j*ldb + k] with TB. Pointers to tiles are on 32 bytes, leading dimensions are
// multiples of 8.
#ifndef TACT_OPS_CUDA_TILE_H
#define TACT_OPS_CUDA_TILE_H

#include "ops/cuda/cuda.h"

enum { TILE = 16 };

// Lane l sums row l/2, columns 8 (l%2) .. +7.
struct Float32Tile {
    typedef float Element;
    float sum[8];

    __device__ __forceinline__ void clear() {
        UNROLL
        for (int j = 0; j < 8; j++) sum[j] = 0;
    }
    template <bool TA, bool TB>
    __device__ __forceinline__ void add_product(const float *a, int lda, const float *b, int ldb,
                                                int K) {
        int lane = threadIdx.x % WARP, i = lane / 2, j0 = lane % 2 * 8;
        for (int k = 0; k < K; k++) {
            float v = TA ? a[k * lda + i] : a[i * lda + k];
            UNROLL
            for (int j = 0; j < 8; j++)
                sum[j] += v * (TB ? b[(j0 + j) * ldb + k] : b[k * ldb + j0 + j]);
        }
    }
    __device__ __forceinline__ void store(float *to, int ld) const {
        int lane = threadIdx.x % WARP, i = lane / 2, j0 = lane % 2 * 8;
        UNROLL
        for (int j = 0; j < 8; j++) to[i * ld + j0 + j] = sum[j];
    }
};

// load_matrix_sync from shared memory. nvcc turns its bf16 and tf32 forms into generic loads, so
// the instruction is named here (PTX ISA, wmma.load); a fragment's registers are its four words in
// order, as mma.h has them.
#ifdef TACT_CUDA_EMULATION
template <typename F, typename E> __device__ void load_shared(F &f, const E *p, int ld) {
    nvcuda::wmma::load_matrix_sync(f, p, ld);
}
#else
#define LOAD_SHARED(factor, order, order_type, K, type, name, E)                                   \
    __device__ __forceinline__ void load_shared(                                                   \
        nvcuda::wmma::fragment<nvcuda::wmma::matrix_##factor, TILE, TILE, K, type,                 \
                               nvcuda::wmma::order_type> &f,                                       \
        const E *p, int ld) {                                                                      \
        uint32_t *r = reinterpret_cast<uint32_t *>(&f);                                            \
        asm volatile("wmma.load." #factor ".sync.aligned." order ".m16n16k" #K ".shared." name     \
                     " {%0, %1, %2, %3}, [%4], %5;"                                                \
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                              \
                     : "r"((uint32_t)__cvta_generic_to_shared(p)), "r"(ld)                         \
                     : "memory");                                                                  \
    }
LOAD_SHARED(a, "row", row_major, 16, bf16, "bf16", bf16)
LOAD_SHARED(a, "col", col_major, 16, bf16, "bf16", bf16)
LOAD_SHARED(b, "row", row_major, 16, bf16, "bf16", bf16)
LOAD_SHARED(b, "col", col_major, 16, bf16, "bf16", bf16)
LOAD_SHARED(a, "row", row_major, 8, nvcuda::wmma::precision::tf32, "tf32", float)
LOAD_SHARED(a, "col", col_major, 8, nvcuda::wmma::precision::tf32, "tf32", float)
LOAD_SHARED(b, "row", row_major, 8, nvcuda::wmma::precision::tf32, "tf32", float)
LOAD_SHARED(b, "col", col_major, 8, nvcuda::wmma::precision::tf32, "tf32", float)
#undef LOAD_SHARED
#endif

template <bool T> struct Order { typedef nvcuda::wmma::row_major type; };
template <> struct Order<true> { typedef nvcuda::wmma::col_major type; };

struct Tf32Tile {
    typedef float Element;
    enum { STEP = 8 };
    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, TILE, TILE, STEP, float> sum;

    __device__ __forceinline__ void clear() {
        nvcuda::wmma::fill_fragment(sum, 0.0f);
    }
    template <bool TA, bool TB>
    __device__ __forceinline__ void add_product(const float *a, int lda, const float *b, int ldb,
                                                int K) {
        using namespace nvcuda::wmma;
        fragment<matrix_a, TILE, TILE, STEP, precision::tf32, typename Order<TA>::type> fa;
        fragment<matrix_b, TILE, TILE, STEP, precision::tf32, typename Order<TB>::type> fb;
        for (int k = 0; k < K; k += STEP) {
            load_shared(fa, TA ? a + k * lda : a + k, lda);
            load_shared(fb, TB ? b + k : b + k * ldb, ldb);
            for (int i = 0; i < fa.num_elements; i++) fa.x[i] = __float_to_tf32(fa.x[i]);
            for (int i = 0; i < fb.num_elements; i++) fb.x[i] = __float_to_tf32(fb.x[i]);
            mma_sync(sum, fa, fb, sum);
        }
    }
    __device__ __forceinline__ void store(float *to, int ld) const {
        nvcuda::wmma::store_matrix_sync(to, sum, ld, nvcuda::wmma::mem_row_major);
    }
};

struct Bf16Tile {
    typedef bf16 Element;
    enum { STEP = 16 };
    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, TILE, TILE, STEP, float> sum;

    __device__ __forceinline__ void clear() {
        nvcuda::wmma::fill_fragment(sum, 0.0f);
    }
    template <bool TA, bool TB>
    __device__ __forceinline__ void add_product(const bf16 *a, int lda, const bf16 *b, int ldb,
                                                int K) {
        using namespace nvcuda::wmma;
        fragment<matrix_a, TILE, TILE, STEP, bf16, typename Order<TA>::type> fa;
        fragment<matrix_b, TILE, TILE, STEP, bf16, typename Order<TB>::type> fb;
        for (int k = 0; k < K; k += STEP) {
            load_shared(fa, TA ? a + k * lda : a + k, lda);
            load_shared(fb, TB ? b + k : b + k * ldb, ldb);
            mma_sync(sum, fa, fb, sum);
        }
    }
    __device__ __forceinline__ void store(float *to, int ld) const {
        nvcuda::wmma::store_matrix_sync(to, sum, ld, nvcuda::wmma::mem_row_major);
    }
};

#endif
