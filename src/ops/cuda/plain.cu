// SPDX-License-Identifier: Apache-2.0
// Data movement, sums over samples, embeddings, and normal random numbers.
#include "ops/cuda/cuda.h"

static void zero(Device *d, Tensor y) {
    if (d->failed) return;
    cuda_ok(
        d,
        cudaMemsetAsync(y.data, 0, (size_t)tensor_count(y) * dtype_size(y.dtype), cuda_stream(d)),
        "zero");
}

template <typename T> struct Copy {
    View<T> y, x;
    __device__ void operator()(uint32_t r, uint32_t c, int n) const {
        store_quad(y.row(r) + c, load_quad(x.row(r) + c, n, x.fast), n, y.fast);
    }
};

template <typename T> static void copy_of(Device *d, Tensor y, Tensor x) {
    Copy<T> f = {view_of<T>(y), view_of<T>(x)};
    for_quads(d, "copy", f, tensor_rows(y), tensor_columns(y));
}

static void copy(Device *d, Tensor y, Tensor x) {
    BY_TYPE(y.dtype, copy_of, d, y, x);
}

// ---- sums ---------------------------------------------------------------------------------------

template <typename T> struct Add {
    T *y;
    const T *a, *b;
    bool fast;
    __device__ void operator()(uint32_t, uint32_t c, int n) const {
        Quad p = load_quad(a + c, n, fast), q = load_quad(b + c, n, fast);
        for (int i = 0; i < 4; i++) p.v[i] += q.v[i];
        store_quad(y + c, p, n, fast);
    }
};

template <typename T> static bool quad_aligned(const void *p) {
    return (uintptr_t)p % (4 * sizeof(T)) == 0;
}

template <typename T> static void add_of(Device *d, Tensor y, Tensor a, Tensor b, int64_t n) {
    bool fast =
        n % 4 == 0 && quad_aligned<T>(y.data) && quad_aligned<T>(a.data) && quad_aligned<T>(b.data);
    Add<T> f = {(T *)y.data, (const T *)a.data, (const T *)b.data, fast};
    for_quads(d, "add", f, 1, n);
}

static void add(Device *d, Tensor y, Tensor a, Tensor b) {
    int64_t n = tensor_count(y);
    BY_TYPE(y.dtype, add_of, d, y, a, b, n);
}

struct Lerp {
    float *y;
    const float *x;
    const float *halt; // may be NULL
    float weight;
    bool fast;
    __device__ void operator()(uint32_t, uint32_t c, int n) const {
        if (halt && *halt != 0) return;
        bool whole = fast && n == 4;
        Quad p = load_quad(y + c, n, whole), q = load_quad(x + c, n, whole);
        for (int i = 0; i < 4; i++) p.v[i] += weight * (q.v[i] - p.v[i]);
        store_quad(y + c, p, n, whole);
    }
};

static void lerp(Device *d, Tensor y, Tensor x, Tensor halt, float weight) {
    Lerp f = {f32(y), f32(x), f32(halt), weight,
              quad_aligned<float>(y.data) && quad_aligned<float>(x.data)};
    for_quads(d, "lerp", f, 1, tensor_count(y));
}

template <typename T> struct AddRows {
    View<T> y, x;
    View<float> row;
    bool has_x;
    Divider L;
    __device__ void operator()(uint32_t r, uint32_t c, int n) const {
        uint32_t l = L.rest(r, L.quotient(r));
        Quad q = load_quad(row.row(l) + c, n, row.fast);
        if (has_x) {
            Quad p = load_quad(x.row(r) + c, n, x.fast);
            for (int i = 0; i < 4; i++) q.v[i] += p.v[i];
        }
        store_quad(y.row(r) + c, q, n, y.fast);
    }
};

template <typename T> static void add_rows_of(Device *d, Tensor y, Tensor x, Tensor row) {
    AddRows<T> f = {view_of<T>(y), view_of<T>(x.data ? x : y), view_of<float>(row), x.data != NULL,
                    divider_of((uint32_t)y.shape[1])};
    for_quads(d, "add_rows", f, tensor_rows(y), tensor_columns(y));
}

static void add_rows(Device *d, Tensor y, Tensor x, Tensor row) {
    BY_TYPE(y.dtype, add_rows_of, d, y, x, row);
}

template <typename T> struct SumRows {
    View<float> drow;
    View<T> dy;
    uint32_t B, L;
    __device__ void operator()(uint32_t l, uint32_t c, int n) const {
        Quad sum = load_quad(drow.row(l) + c, n, drow.fast);
        for (uint32_t b = 0; b < B; b++) {
            Quad q = load_quad(dy.row(b * L + l) + c, n, dy.fast);
            for (int i = 0; i < 4; i++) sum.v[i] += q.v[i];
        }
        store_quad(drow.row(l) + c, sum, n, drow.fast);
    }
};

template <typename T> static void sum_rows_of(Device *d, Tensor drow, Tensor dy) {
    SumRows<T> f = {view_of<float>(drow), view_of<T>(dy), (uint32_t)dy.shape[0],
                    (uint32_t)dy.shape[1]};
    for_quads(d, "sum_rows", f, dy.shape[1], tensor_columns(dy));
}

static void sum_rows(Device *d, Tensor drow, Tensor dy) {
    BY_TYPE(dy.dtype, sum_rows_of, d, drow, dy);
}

// ---- embeddings ---------------------------------------------------------------------------------

struct Embed {
    float *y;
    const float *base, *table;
    const int32_t *index;
    uint32_t D;
    __device__ void operator()(uint32_t l, uint32_t c, int n) const {
        int32_t row = index[l];
        for (int i = 0; i < n; i++) {
            int64_t at = (int64_t)l * D + c + i;
            float v = base ? base[at] : 0.0f;
            y[at] = row >= 0 ? v + table[(int64_t)row * D + c + i] : v;
        }
    }
};

static void embed_forward(Device *d, Tensor y, Tensor base, Tensor table, Tensor index) {
    Embed f = {f32(y), f32(base), f32(table), (const int32_t *)index.data,
               (uint32_t)tensor_columns(y)};
    for_quads(d, "embed_forward", f, tensor_rows(y), tensor_columns(y));
}

// What token l adds to one row of the table.
struct EmbedBackward {
    const float *dy;
    const int32_t *index;
    int32_t row;
    uint32_t D;
    __device__ Pair operator()(uint32_t l, uint32_t c) const {
        Pair p = {index[l] == row ? dy[(int64_t)l * D + c] : 0.0f, 0.0f};
        return p;
    }
};

// A sum over the tokens for each of the table's few rows.
static void embed_backward(Device *d, Tensor dtable, Tensor dy, Tensor index) {
    int64_t D = tensor_columns(dy);
    for (int64_t r = 0; r < dtable.shape[0] && !d->failed; r++) {
        EmbedBackward f = {f32(dy), (const int32_t *)index.data, (int32_t)r, (uint32_t)D};
        add_column_sums(d, "embed_backward", f, dy.shape[0], D, f32(dtable) + r * D, NULL);
    }
}

// ---- random numbers -----------------------------------------------------------------------------

struct Normal {
    View<float> y;
    RngKey key;
    const StepNumbers *numbers;
    __device__ void operator()(uint32_t r, uint32_t c, int n) const {
        RngKey k = key;
        uint32_t words[4];
        if (numbers) k.step = numbers->step;
        rng_words(words, k, r, c / 4);
        Quad q;
        for (int i = 0; i < 4; i += 2) { // 1 - u is in (0, 1]: the logarithm is finite
            float radius = sqrtf(-2.0f * logf(1.0f - rng_unit(words[i])));
            float angle = 6.2831853f * rng_unit(words[i + 1]);
            q.v[i] = radius * cosf(angle);
            q.v[i + 1] = radius * sinf(angle);
        }
        store_quad(y.row(r) + c, q, n, y.fast);
    }
};

static void random_normal(Device *d, Tensor y, RngKey key) {
    Normal f = {view_of<float>(y), key, cuda_numbers(d)};
    for_quads(d, "random_normal", f, tensor_rows(y), tensor_columns(y));
}

void cuda_plain_ops(Device *d) {
    d->zero = zero;
    d->copy = copy;
    d->add = add;
    d->lerp = lerp;
    d->add_rows = add_rows;
    d->sum_rows = sum_rows;
    d->embed_forward = embed_forward;
    d->embed_backward = embed_backward;
    d->random_normal = random_normal;
}
