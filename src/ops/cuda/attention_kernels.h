// SPDX-License-Identifier: Apache-2.0
// Attention without the score matrix in memory. A block takes 64 (or 32) rows of one head, a warp
// 16 of them, and walks over the other side in tiles. Forward walks over the keys twice: first for
// each row's log-sum-exp, then with the probabilities themselves, so that sums never have to be
// rescaled. Backward is two kernels, one by queries for dq, one by keys for dk and dv, each making
// scores and probabilities again: no block adds to another's results, and the bits are the same
// every time.
//
// B samples, NH heads, dh width of a head (padded to DH with zeros in shared memory), s scores,
// p probabilities: s = scale q k^T, p = exp(s - lse), o = (p * mask) v, and with g = do v^T
// ds = p (g mask - delta), delta = sum over dh of do o, dq = scale ds k, dk = scale ds^T q,
// dv = (p mask)^T do (Dao et al., "FlashAttention", 2022, without its online rescaling).
//
// Included by the file of each precision, which says BY_WIDTH.
#ifndef TACT_OPS_CUDA_ATTENTION_KERNELS_H
#define TACT_OPS_CUDA_ATTENTION_KERNELS_H

#include "ops/cuda/attention.h"
#include "ops/cuda/tile.h"

#ifndef TACT_CUDA_EMULATION
#include <cuda_pipeline_primitives.h>
#endif
#include <math.h>

// How a kernel divides its work, for heads up to DH wide.
template <typename M, int DH_> struct Plan {
    typedef typename M::Element E;
    enum {
        DH = DH_,
        ROWS = DH_ == 128 ? 32 : 64, // of a block
        COLS = 32,                   // of a tile on the other side
        // Tiles of the other side in shared memory: where factors are small the next ones are
        // fetched while these are computed with. Two of float32's would leave room for half as
        // many blocks, and for none on cards of 8.6 and 8.9.
        STAGES = sizeof(E) == 2 ? 2 : 1,
        TILE_SIZE = COLS * (DH_ + 8), // elements of one, with what is between its rows
        THREADS = ROWS / TILE * WARP,
        LD = DH_ + 8, // leading dimensions, off the powers of two
        LS = COLS + 8,
    };
    static size_t forward_bytes() { // own rows; two tiles a stage; scores; probabilities as factors
        return (ROWS + 2 * STAGES * COLS) * LD * sizeof(E) +
               ROWS * LS * (sizeof(float) + sizeof(E));
    }
    static size_t backward_bytes() { // two of own rows; two tiles a stage; s and g; two factors
        return (2 * ROWS + 2 * STAGES * COLS) * LD * sizeof(E) +
               ROWS * LS * 2 * (sizeof(float) + sizeof(E));
    }
};

// Which rows of which sample's head a block has. All in blockIdx.x: the other two end at 65535.
struct BlockPlace {
    int bh, first;
};

template <typename P> __device__ __forceinline__ BlockPlace place_of(int length) {
    int tiles = (length + P::ROWS - 1) / P::ROWS;
    BlockPlace place = {(int)(blockIdx.x / tiles), (int)(blockIdx.x % tiles) * P::ROWS};
    return place;
}

// rows [first, first + n) of an operand's head into shared memory, zeros where there are none.
template <typename P, typename T>
__device__ void load_rows(typename P::E *to, Operand<const T> from, int b, int h, int dh, int first,
                          int n, int length) {
    const T *head = from.head(b, h, dh);
    for (int i = threadIdx.x; i < n * (P::DH / 4); i += P::THREADS) {
        int r = i / (P::DH / 4), c = i % (P::DH / 4) * 4, left = dh - c;
        Quad q = {{0, 0, 0, 0}};
        if (first + r < length && left > 0)
            q = load_quad(head + (int64_t)(first + r) * from.row_stride + c, left < 4 ? left : 4,
                          from.fast && left >= 4);
        store_quad(to + r * P::LD + c, q, 4, true);
    }
}

// The same for a tile of the other side; with two stages it may arrive only when it is waited for.
template <typename P, typename T>
__device__ void fetch_tile(typename P::E *to, Operand<const T> from, int b, int h, int dh,
                           int first, int length) {
    enum { PIECE = 16 / sizeof(T) };
    if (P::STAGES == 1 || !from.async) {
        load_rows<P, T>(to, from, b, h, dh, first, P::COLS, length);
        return;
    }
    const T *head = from.head(b, h, dh);
    for (int i = threadIdx.x; i < P::COLS * (P::DH / PIECE); i += P::THREADS) {
        int r = i / (P::DH / PIECE), c = i % (P::DH / PIECE) * PIECE;
        typename P::E *at = to + r * P::LD + c;
        if (first + r < length && c < dh) {
            __pipeline_memcpy_async(at, head + (int64_t)(first + r) * from.row_stride + c, 16);
        } else {
            const Quad zero = {{0, 0, 0, 0}};
            for (int k = 0; k < PIECE; k += 4) store_quad(at + k, zero, 4, true);
        }
    }
}

// Walks over `length` rows of the other side, a tile at a time: fetch(first row, stage) brings one
// into its stage of shared memory, use(first row, stage) computes with it when all of the block's
// threads have it.
template <typename P, typename Fetch, typename Use>
__device__ __forceinline__ void walk(int length, Fetch fetch, Use use) {
    __syncthreads(); // what was there before is no longer read
    fetch(0, 0);
    __pipeline_commit();
    for (int first = 0, stage = 0; first < length; first += P::COLS) {
        int next = first + P::COLS;
        if (P::STAGES == 2 && next < length) fetch(next, stage ^ 1);
        __pipeline_commit(); // of nothing, at the end
        __pipeline_wait_prior(1);
        __syncthreads();
        use(first, stage);
        __syncthreads();
        if (P::STAGES == 2) stage ^= 1;
        if (P::STAGES == 1 && next < length) fetch(next, 0);
    }
    __pipeline_wait_prior(0);
}

// This warp's 16 rows of a (16, COLS) = a (16, DH) b (COLS, DH)^T, into to.
template <typename M, typename P>
__device__ void warp_scores(float *to, const typename P::E *a, const typename P::E *b) {
    UNROLL
    for (int t = 0; t < P::COLS / TILE; t++) {
        M tile;
        tile.clear();
        tile.template add_product<false, true>(a, P::LD, b + t * TILE * P::LD, P::LD, P::DH);
        tile.store(to + t * TILE, P::LS);
    }
}

// sums[0 .. DH/16) += a (16, COLS) b (COLS, DH).
template <typename M, typename P>
__device__ void warp_accumulate(M *sums, const typename P::E *a, const typename P::E *b) {
    UNROLL
    for (int t = 0; t < P::DH / TILE; t++)
        sums[t].template add_product<false, false>(a, P::LS, b + t * TILE, P::LD, P::COLS);
}

// This warp's (16, DH) sums to rows [first, ...) of an operand, through 16 rows of scratch.
template <typename M, typename P, typename T>
__device__ void store_rows(const M *sums, float *scratch, Operand<T> to, int b, int h, int dh,
                           int first, int length, float scale) {
    int lane = threadIdx.x % WARP;
    T *head = to.head(b, h, dh);
    UNROLL
    for (int t = 0; t < P::DH / TILE; t++) {
        __syncwarp();
        sums[t].store(scratch, P::LS);
        __syncwarp();
        for (int i = lane; i < TILE * TILE; i += WARP) {
            int r = i / TILE, c = t * TILE + i % TILE;
            if (first + r < length && c < dh)
                head[(int64_t)(first + r) * to.row_stride + c] =
                    from_float<T>(scratch[r * P::LS + i % TILE] * scale);
        }
    }
}

// ---- forward ------------------------------------------------------------------------------------

// Half a row of scores (COLS / 2 of them, from column c0 of the tile at key0) belongs to a lane.
template <typename P>
__device__ __forceinline__ bool key_is_there(const HeadShape &s, const uint8_t *pad, int key) {
    return key < s.Lk && !(pad && pad[key]);
}

// A row's log-sum-exp so far, over the lane's half of each tile.
template <typename P>
__device__ void update_lse(const HeadShape &s, const uint8_t *pad, const float *row, int key0,
                           float *top, float *sum) {
    float most = *top, score[P::COLS / 2];
    UNROLL
    for (int c = 0; c < P::COLS / 2; c += 4) {
        Quad q = load_quad(row + c, 4, true);
        UNROLL
        for (int i = 0; i < 4; i++) {
            bool there = key_is_there<P>(s, pad, key0 + c + i);
            score[c + i] = there ? q.v[i] * s.scale : -INFINITY;
            most = fmaxf(most, score[c + i]);
        }
    }
    if (most == -INFINITY) return;
    float total = *sum * expf(*top - most);
    UNROLL
    for (int c = 0; c < P::COLS / 2; c++) total += expf(score[c] - most);
    *top = most;
    *sum = total;
}

// The two lanes of a row put their halves together.
__device__ __forceinline__ float join_lse(float top, float sum) {
    float other_top = __shfl_xor_sync(0xffffffffu, top, 1);
    float other_sum = __shfl_xor_sync(0xffffffffu, sum, 1);
    float most = fmaxf(top, other_top);
    if (most == -INFINITY) return -INFINITY;
    return most + logf(sum * expf(top - most) + other_sum * expf(other_top - most));
}

template <typename M, typename P, typename T>
__global__ void __launch_bounds__(P::THREADS) attention_forward_kernel(ForwardArgs<T> a) {
    typedef typename P::E E;
    SHARED_MEMORY(E, own);
    E *keys = own + P::ROWS * P::LD, *values = keys + P::STAGES * P::TILE_SIZE;
    float *scores = reinterpret_cast<float *>(values + P::STAGES * P::TILE_SIZE);
    E *factors = reinterpret_cast<E *>(scores + P::ROWS * P::LS);
    const HeadShape s = a.s;
    const BlockPlace place = place_of<P>(s.Lq);
    int bh = place.bh, b = bh / s.heads, h = bh % s.heads, first = place.first;
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, r = lane / 2;
    int c0 = lane % 2 * (P::COLS / 2), row = first + warp * TILE + r;
    const E *mine = own + warp * TILE * P::LD;
    float *my_scores = scores + warp * TILE * P::LS, *my_row = my_scores + r * P::LS + c0;
    E *my_factors = factors + warp * TILE * P::LS;
    const uint8_t *pad = a.pad ? a.pad + (int64_t)b * s.Lk : NULL;

    load_rows<P, T>(own, a.q, b, h, s.dh, first, P::ROWS, s.Lq);
    float top = -INFINITY, sum = 0;
    walk<P>(
        s.Lk,
        [&](int key0, int stage) {
            fetch_tile<P, T>(keys + stage * P::TILE_SIZE, a.k, b, h, s.dh, key0, s.Lk);
        },
        [&](int key0, int stage) {
            warp_scores<M, P>(my_scores, mine, keys + stage * P::TILE_SIZE);
            __syncwarp();
            update_lse<P>(s, pad, my_row, key0 + c0, &top, &sum);
            __syncwarp();
        });
    float lse = join_lse(top, sum);
    int64_t lse_row = (int64_t)bh * s.Lq + row;
    if (row < s.Lq && lane % 2 == 0) a.lse[lse_row] = lse;

    M out[P::DH / TILE];
    UNROLL
    for (int t = 0; t < P::DH / TILE; t++) out[t].clear();
    walk<P>(
        s.Lk,
        [&](int key0, int stage) {
            fetch_tile<P, T>(keys + stage * P::TILE_SIZE, a.k, b, h, s.dh, key0, s.Lk);
            fetch_tile<P, T>(values + stage * P::TILE_SIZE, a.v, b, h, s.dh, key0, s.Lk);
        },
        [&](int key0, int stage) {
            warp_scores<M, P>(my_scores, mine, keys + stage * P::TILE_SIZE);
            __syncwarp();
            for (int c = 0; c < P::COLS / 2; c += 4) {
                Quad m = a.mask.factors((uint32_t)lse_row, (uint32_t)(key0 + c0 + c));
                Quad q = load_quad(my_row + c, 4, true);
                for (int i = 0; i < 4; i++) {
                    bool there = key_is_there<P>(s, pad, key0 + c0 + c + i);
                    q.v[i] = there ? expf(q.v[i] * s.scale - lse) * m.v[i] : 0.0f;
                }
                store_quad(my_factors + r * P::LS + c0 + c, q, 4, true);
            }
            __syncwarp();
            warp_accumulate<M, P>(out, my_factors, values + stage * P::TILE_SIZE);
        });
    store_rows<M, P, T>(out, my_scores, a.o, b, h, s.dh, first + warp * TILE, s.Lq, 1);
}

// ---- backward -----------------------------------------------------------------------------------

// dq of ROWS queries.
template <typename M, typename P, typename T>
__global__ void __launch_bounds__(P::THREADS) attention_dq_kernel(BackwardArgs<T> a) {
    typedef typename P::E E;
    SHARED_MEMORY(E, own);
    E *own_g = own + P::ROWS * P::LD, *keys = own_g + P::ROWS * P::LD;
    E *values = keys + P::STAGES * P::TILE_SIZE;
    float *scores = reinterpret_cast<float *>(values + P::STAGES * P::TILE_SIZE);
    float *slopes = scores + P::ROWS * P::LS;
    E *factors = reinterpret_cast<E *>(slopes + P::ROWS * P::LS);
    const HeadShape s = a.s;
    const BlockPlace place = place_of<P>(s.Lq);
    int bh = place.bh, b = bh / s.heads, h = bh % s.heads, first = place.first;
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, r = lane / 2;
    int c0 = lane % 2 * (P::COLS / 2), row = first + warp * TILE + r;
    const E *mine = own + warp * TILE * P::LD, *my_g = own_g + warp * TILE * P::LD;
    float *my_scores = scores + warp * TILE * P::LS, *my_slopes = slopes + warp * TILE * P::LS;
    E *my_factors = factors + warp * TILE * P::LS;
    const uint8_t *pad = a.pad ? a.pad + (int64_t)b * s.Lk : NULL;
    int64_t at = (int64_t)bh * s.Lq + row;
    float lse = row < s.Lq ? a.lse[at] : 0, delta = row < s.Lq ? a.delta[at] : 0;

    load_rows<P, T>(own, a.q, b, h, s.dh, first, P::ROWS, s.Lq);
    load_rows<P, T>(own_g, a.dout, b, h, s.dh, first, P::ROWS, s.Lq);
    M out[P::DH / TILE];
    UNROLL
    for (int t = 0; t < P::DH / TILE; t++) out[t].clear();
    walk<P>(
        s.Lk,
        [&](int key0, int stage) {
            fetch_tile<P, T>(keys + stage * P::TILE_SIZE, a.k, b, h, s.dh, key0, s.Lk);
            fetch_tile<P, T>(values + stage * P::TILE_SIZE, a.v, b, h, s.dh, key0, s.Lk);
        },
        [&](int key0, int stage) {
            warp_scores<M, P>(my_scores, mine, keys + stage * P::TILE_SIZE);
            warp_scores<M, P>(my_slopes, my_g, values + stage * P::TILE_SIZE);
            __syncwarp();
            for (int c = 0; c < P::COLS / 2; c += 4) {
                int k = r * P::LS + c0 + c;
                Quad m = a.mask.factors((uint32_t)at, (uint32_t)(key0 + c0 + c));
                Quad q = load_quad(my_scores + k, 4, true), g = load_quad(my_slopes + k, 4, true);
                for (int i = 0; i < 4; i++) {
                    bool there = row < s.Lq && key_is_there<P>(s, pad, key0 + c0 + c + i);
                    float p = there ? expf(q.v[i] * s.scale - lse) : 0.0f;
                    q.v[i] = p * (g.v[i] * m.v[i] - delta);
                }
                store_quad(my_factors + k, q, 4, true);
            }
            __syncwarp();
            warp_accumulate<M, P>(out, my_factors, keys + stage * P::TILE_SIZE);
        });
    store_rows<M, P, T>(out, my_scores, a.dq, b, h, s.dh, first + warp * TILE, s.Lq, s.scale);
}

// dk and dv of ROWS keys: the same with the sides changed, a lane to each query of the tile.
template <typename M, typename P, typename T>
__global__ void __launch_bounds__(P::THREADS) attention_dkv_kernel(BackwardArgs<T> a) {
    typedef typename P::E E;
    SHARED_MEMORY(E, own);
    E *own_v = own + P::ROWS * P::LD, *queries = own_v + P::ROWS * P::LD;
    E *grads = queries + P::STAGES * P::TILE_SIZE;
    float *scores = reinterpret_cast<float *>(grads + P::STAGES * P::TILE_SIZE);
    float *slopes = scores + P::ROWS * P::LS;
    E *dropped = reinterpret_cast<E *>(slopes + P::ROWS * P::LS),
      *factors = dropped + P::ROWS * P::LS;
    const HeadShape s = a.s;
    const BlockPlace place = place_of<P>(s.Lk);
    int bh = place.bh, b = bh / s.heads, h = bh % s.heads, first = place.first;
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, key0 = first + warp * TILE;
    const E *mine = own + warp * TILE * P::LD, *my_v = own_v + warp * TILE * P::LD;
    float *my_scores = scores + warp * TILE * P::LS, *my_slopes = slopes + warp * TILE * P::LS;
    E *my_dropped = dropped + warp * TILE * P::LS, *my_factors = factors + warp * TILE * P::LS;
    const uint8_t *pad = a.pad ? a.pad + (int64_t)b * s.Lk : NULL;

    load_rows<P, T>(own, a.k, b, h, s.dh, first, P::ROWS, s.Lk);
    load_rows<P, T>(own_v, a.v, b, h, s.dh, first, P::ROWS, s.Lk);
    M dk[P::DH / TILE], dv[P::DH / TILE];
    UNROLL
    for (int t = 0; t < P::DH / TILE; t++) {
        dk[t].clear();
        dv[t].clear();
    }
    walk<P>(
        s.Lq,
        [&](int query0, int stage) {
            fetch_tile<P, T>(queries + stage * P::TILE_SIZE, a.q, b, h, s.dh, query0, s.Lq);
            fetch_tile<P, T>(grads + stage * P::TILE_SIZE, a.dout, b, h, s.dh, query0, s.Lq);
        },
        [&](int query0, int stage) {
            warp_scores<M, P>(my_scores, mine, queries + stage * P::TILE_SIZE);
            warp_scores<M, P>(my_slopes, my_v, grads + stage * P::TILE_SIZE);
            __syncwarp();
            int query = query0 + lane;
            int64_t at = (int64_t)bh * s.Lq + query;
            float lse = query < s.Lq ? a.lse[at] : 0, delta = query < s.Lq ? a.delta[at] : 0;
            for (int r = 0; r < TILE; r += 4) {
                Quad m = a.mask.factors((uint32_t)at, (uint32_t)(key0 + r));
                for (int i = 0; i < 4; i++) {
                    int k = (r + i) * P::LS + lane;
                    bool there = query < s.Lq && key_is_there<P>(s, pad, key0 + r + i);
                    float p = there ? expf(my_scores[k] * s.scale - lse) : 0.0f;
                    my_dropped[k] = from_float<E>(p * m.v[i]);
                    my_factors[k] = from_float<E>(p * (my_slopes[k] * m.v[i] - delta));
                }
            }
            __syncwarp();
            warp_accumulate<M, P>(dv, my_dropped, grads + stage * P::TILE_SIZE);
            warp_accumulate<M, P>(dk, my_factors, queries + stage * P::TILE_SIZE);
        });
    store_rows<M, P, T>(dk, my_scores, a.dk, b, h, s.dh, key0, s.Lk, s.scale);
    store_rows<M, P, T>(dv, my_scores, a.dv, b, h, s.dh, key0, s.Lk, 1);
}

// ---- launching ----------------------------------------------------------------------------------

static dim3 grid_of(int length, int rows, int64_t heads) {
    return dim3((unsigned)((length + rows - 1) / rows * heads));
}

template <typename M, typename P, typename T>
static void run_forward(Device *d, ForwardArgs<T> a, int64_t B) {
    auto kernel = attention_forward_kernel<M, P, T>;
    if (!cuda_shared_memory(d, (const void *)kernel, P::forward_bytes())) return;
    LAUNCH(kernel, grid_of(a.s.Lq, P::ROWS, B * a.s.heads), dim3(P::THREADS), P::forward_bytes(),
           cuda_stream(d), a);
    cuda_launched(d, "attention_forward", B * a.s.heads * a.s.Lq, a.s.Lk);
}

template <typename M, typename P, typename T>
static void run_backward(Device *d, BackwardArgs<T> a, int64_t B) {
    int rows = (int)(B * a.s.heads * a.s.Lq);
    cudaStream_t stream = cuda_stream(d);
    auto by_query = attention_dq_kernel<M, P, T>;
    auto by_key = attention_dkv_kernel<M, P, T>;
    if (!cuda_shared_memory(d, (const void *)by_query, P::backward_bytes()) ||
        !cuda_shared_memory(d, (const void *)by_key, P::backward_bytes()))
        return;
    attention_delta(d, a, rows);
    LAUNCH(by_query, grid_of(a.s.Lq, P::ROWS, B * a.s.heads), dim3(P::THREADS), P::backward_bytes(),
           stream, a);
    LAUNCH(by_key, grid_of(a.s.Lk, P::ROWS, B * a.s.heads), dim3(P::THREADS), P::backward_bytes(),
           stream, a);
    cuda_launched(d, "attention_backward", rows, a.s.Lk);
}

// Chooses the kernel for the head's width. Narrower heads than 64 are rare and cost what 64 does.
#define BY_WIDTH(run, M, T, d, a, B)                                                               \
    do {                                                                                           \
        if ((a).s.dh <= 64)                                                                        \
            run<M, Plan<M, 64>, T>(d, a, B);                                                       \
        else                                                                                       \
            run<M, Plan<M, 128>, T>(d, a, B);                                                      \
    } while (0)

#endif
