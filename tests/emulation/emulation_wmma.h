// SPDX-License-Identifier: Apache-2.0
// The part of nvcuda::wmma that tact may use: bf16 tiles (16x16x16, 32x8x16, 8x32x16) and TF32
// tiles (16x16x8) with float accumulators. A tile is spread over the lanes of its warp, so an
// operation on all of .x is right when it is the same for every element, and wrong when it relies
// on which element is where, as on the device. Each call waits for all 32 lanes.
#ifndef TACT_EMULATION_WMMA_H
#define TACT_EMULATION_WMMA_H

#include "emulation.h"

namespace nvcuda::wmma {

struct row_major;
struct col_major;
struct matrix_a;
struct matrix_b;
struct accumulator;
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32;
}

template <class T> struct Storage { typedef T type; };
template <> struct Storage<precision::tf32> { typedef float type; };

// Each lane has rows * columns / 32 elements, twice for bf16 inputs as in CUDA's 16x16x16.
template <class T, int ROWS, int COLUMNS, int COPIES> struct Tile {
    static constexpr int rows = ROWS, columns = COLUMNS, copies = COPIES;
    static constexpr int distinct = ROWS * COLUMNS / 32;
    static constexpr int num_elements = distinct * COPIES;
    static constexpr int num_storage_elements = num_elements;
    typedef T element_type;
    T x[num_elements];
};

template <class Use, int M, int N, int K, class T, class Order = void> class fragment;
template <int M, int N, int K, class T, class Order>
class fragment<matrix_a, M, N, K, T, Order>
    : public Tile<typename Storage<T>::type, M, K, std::is_same_v<T, __nv_bfloat16> ? 2 : 1> {};
template <int M, int N, int K, class T, class Order>
class fragment<matrix_b, M, N, K, T, Order>
    : public Tile<typename Storage<T>::type, K, N, std::is_same_v<T, __nv_bfloat16> ? 2 : 1> {};
template <int M, int N, int K>
class fragment<accumulator, M, N, K, float> : public Tile<float, M, N, 1> {};

inline float __float_to_tf32(float x) {
    return emulation::round_tf32(x);
}

} // namespace nvcuda::wmma

namespace emulation {

inline float element(float x) {
    return x;
}
inline float element(__nv_bfloat16 x) {
    return __bfloat162float(x);
}

// Which lane and index hold element e of a tile: scattered, so that nothing relies on it.
constexpr int tile_lane(int e) {
    return (e * 5 + e / 32) % 32;
}
constexpr int tile_index(int e) {
    return e / 32;
}

// The tile of a warp as float; lanes[l] are the fragments of type F.
template <class F> void gather(float *tile, const F *const lanes[32]) {
    for (int e = 0; e < F::rows * F::columns; e++) {
        const F *f = lanes[tile_lane(e)];
        tile[e] = element(f->x[tile_index(e)]);
        if (F::copies == 2 &&
            memcmp(&f->x[tile_index(e)], &f->x[tile_index(e) + F::distinct], sizeof f->x[0]) != 0)
            fail("the elements of a fragment were not all treated alike");
    }
}

template <class F> struct TileAccess {
    F *fragment;
    const void *memory;
    unsigned ldm;
    bool by_rows;
};

template <class F, class T> void tile_alike(void *const lanes[32], const char *what) {
    typedef TileAccess<F> Access;
    const Access *first = static_cast<const Access *>(lanes[0]);
    for (int i = 1; i < 32; i++) {
        const Access *a = static_cast<const Access *>(lanes[i]);
        if (a->memory != first->memory || a->ldm != first->ldm || a->by_rows != first->by_rows)
            fail("%s: lane %d gives another pointer or stride than lane 0", what, i);
    }
    if (reinterpret_cast<uintptr_t>(first->memory) % 32)
        fail("%s: the pointer %p is not 32-byte aligned", what, first->memory);
    if (first->ldm * sizeof(T) % 16)
        fail("%s: a stride of %u elements is no multiple of 16 bytes", what, first->ldm);
    if (first->ldm < (unsigned)(first->by_rows ? F::columns : F::rows))
        fail("%s: a stride of %u elements is less than the tile", what, first->ldm);
}

template <class F> size_t tile_offset(const TileAccess<F> *a, int e) {
    size_t row = e / F::columns, column = e % F::columns;
    return a->by_rows ? row * a->ldm + column : column * a->ldm + row;
}

template <class F>
void load_tile(F &f, const typename F::element_type *p, unsigned ldm, bool by_rows,
               const char *file, int line) {
    typedef typename F::element_type T;
    TileAccess<F> mine = {&f, p, ldm, by_rows};
    collective(
        "load_matrix_sync", ~0u, &mine,
        [](void *const *lanes) {
            tile_alike<F, T>(lanes, "load_matrix_sync");
            const TileAccess<F> *a = static_cast<const TileAccess<F> *>(lanes[0]);
            for (int e = 0; e < F::rows * F::columns; e++) {
                F *to = static_cast<const TileAccess<F> *>(lanes[tile_lane(e)])->fragment;
                T value = static_cast<const T *>(a->memory)[tile_offset(a, e)];
                for (int c = 0; c < F::copies; c++) to->x[tile_index(e) + c * F::distinct] = value;
            }
        },
        file, line);
}

template <class A, class B, class C> struct TileProduct {
    C *d;
    const A *a;
    const B *b;
    const C *c;
};

} // namespace emulation

namespace nvcuda::wmma {

template <class Use, int M, int N, int K, class T, class Order, class V>
void fill_fragment(fragment<Use, M, N, K, T, Order> &f, V value, EMULATION_SITE) {
    typedef typename fragment<Use, M, N, K, T, Order>::element_type E;
    emulation::collective(
        "fill_fragment", ~0u, &f, [](void *const *) {}, file, line);
    for (int i = 0; i < f.num_elements; i++) f.x[i] = static_cast<E>(value);
}

template <class Use, int M, int N, int K, class T, class Order>
void load_matrix_sync(fragment<Use, M, N, K, T, Order> &f, const typename Storage<T>::type *p,
                      unsigned ldm, EMULATION_SITE) {
    emulation::load_tile(f, p, ldm, std::is_same_v<Order, row_major>, file, line);
}
template <int M, int N, int K>
void load_matrix_sync(fragment<accumulator, M, N, K, float> &f, const float *p, unsigned ldm,
                      layout_t layout, EMULATION_SITE) {
    emulation::load_tile(f, p, ldm, layout == mem_row_major, file, line);
}

template <int M, int N, int K>
void store_matrix_sync(float *p, const fragment<accumulator, M, N, K, float> &f, unsigned ldm,
                       layout_t layout, EMULATION_SITE) {
    typedef const fragment<accumulator, M, N, K, float> F;
    emulation::TileAccess<F> mine = {&f, p, ldm, layout == mem_row_major};
    emulation::collective(
        "store_matrix_sync", ~0u, &mine,
        [](void *const *lanes) {
            emulation::tile_alike<F, float>(lanes, "store_matrix_sync");
            const auto *a = static_cast<const emulation::TileAccess<F> *>(lanes[0]);
            float *memory = static_cast<float *>(const_cast<void *>(a->memory));
            for (int e = 0; e < M * N; e++) {
                int lane = emulation::tile_lane(e);
                memory[emulation::tile_offset(a, e)] =
                    static_cast<const emulation::TileAccess<F> *>(lanes[lane])
                        ->fragment->x[emulation::tile_index(e)];
            }
        },
        file, line);
}

template <int M, int N, int K, class T, class OrderA, class OrderB>
void mma_sync(fragment<accumulator, M, N, K, float> &d,
              const fragment<matrix_a, M, N, K, T, OrderA> &a,
              const fragment<matrix_b, M, N, K, T, OrderB> &b,
              const fragment<accumulator, M, N, K, float> &c, EMULATION_SITE) {
    typedef fragment<matrix_a, M, N, K, T, OrderA> A;
    typedef fragment<matrix_b, M, N, K, T, OrderB> B;
    typedef fragment<accumulator, M, N, K, float> C;
    typedef emulation::TileProduct<A, B, C> Product;
    static_assert(std::is_same_v<T, __nv_bfloat16> ||
                      (std::is_same_v<T, precision::tf32> && M == 16 && N == 16 && K == 8),
                  "only bf16 and 16x16x8 tf32");
    Product mine = {&d, &a, &b, &c};
    emulation::collective(
        "mma_sync", ~0u, &mine,
        [](void *const *lanes) {
            const A *as[32];
            const B *bs[32];
            const C *cs[32];
            for (int i = 0; i < 32; i++) {
                const Product *p = static_cast<const Product *>(lanes[i]);
                as[i] = p->a, bs[i] = p->b, cs[i] = p->c;
            }
            float ta[M * K], tb[K * N], tc[M * N];
            emulation::gather(ta, as);
            emulation::gather(tb, bs);
            emulation::gather(tc, cs);
            if (std::is_same_v<T, precision::tf32>) {
                for (int e = 0; e < M * K; e++)
                    if (emulation::bits<unsigned>(ta[e]) & 0x1fff && !isnan(ta[e]))
                        emulation::fail("mma_sync: an element of A was not rounded to TF32");
                for (int e = 0; e < K * N; e++)
                    if (emulation::bits<unsigned>(tb[e]) & 0x1fff && !isnan(tb[e]))
                        emulation::fail("mma_sync: an element of B was not rounded to TF32");
            }
            for (int m = 0; m < M; m++)
                for (int k = 0; k < K; k++)
                    for (int n = 0; n < N; n++) tc[m * N + n] += ta[m * K + k] * tb[k * N + n];
            for (int e = 0; e < M * N; e++)
                static_cast<const Product *>(lanes[emulation::tile_lane(e)])
                    ->d->x[emulation::tile_index(e)] = tc[e];
        },
        file, line);
}

} // namespace nvcuda::wmma

#endif
