// SPDX-License-Identifier: Apache-2.0
// Dense layers: their operands as matrices. Where activations are bfloat16 all factors are: weights
// come from the copy that weights_load keeps, float32 inputs are converted on the way.
#include "ops/cuda/cuda.h"

// ---- bfloat16 copies ----------------------------------------------------------------------------

struct ToBf16 {
    bf16 *to;
    const float *from;
    bool fast;
    __device__ void operator()(uint32_t, uint32_t c, int n) const {
        bool whole = fast && n == 4;
        store_quad(to + c, load_quad(from + c, n, whole), n, whole);
    }
};

static void convert_to_bf16(Device *d, bf16 *to, const float *from, int64_t count) {
    bool fast = (uintptr_t)to % 8 == 0 && (uintptr_t)from % 16 == 0;
    ToBf16 f = {to, from, fast};
    for_quads(d, "to_bf16", f, 1, count);
}

void cuda_weights_load(Device *d, Tensor flat, bool) {
    Cuda *c = cuda_of(d);
    if (d->activations != DTYPE_BF16 || d->failed) return;
    int64_t count = tensor_count(flat);
    if (count != c->weights_count) {
        d->release(d, c->weights_bf16); // waits for the ops that read it
        c->weights_bf16 = count ? (bf16 *)d->alloc(d, (size_t)count * sizeof(bf16)) : NULL;
        c->weights_count = c->weights_bf16 ? count : 0;
        c->generation++;
    }
    c->weights = f32(flat);
    if (count) convert_to_bf16(d, c->weights_bf16, c->weights, count);
}

// ---- operands -----------------------------------------------------------------------------------

// A tensor as `outer` matrices of `rows` rows, evenly spaced within each.
typedef struct Rows {
    char *data;
    DType type;
    int64_t outer, rows, cols, outer_stride, row_stride; // in elements
} Rows;

static Rows matrices_of(Tensor t) {
    Rows r = {(char *)t.data, t.dtype, 1, 1, tensor_columns(t), 0, 0};
    if (t.rank == 2 && !tensor_contiguous(t)) {
        r.rows = t.shape[0];
        r.row_stride = t.stride[0];
    } else if (t.rank == 3 && !tensor_contiguous(t) && t.shape[0] > 1) {
        r.outer = t.shape[0];
        r.outer_stride = t.stride[0];
        r.rows = t.shape[1];
        r.row_stride = t.stride[1];
        if (r.rows == 1) { // one token a sample: the samples are the rows
            r.rows = r.outer;
            r.row_stride = r.outer_stride;
            r.outer = 1;
        } else if (r.outer_stride == r.rows * r.row_stride) {
            r.rows *= r.outer;
            r.outer = 1;
        }
    } else if (t.rank == 3 && !tensor_contiguous(t)) {
        r.rows = t.shape[1];
        r.row_stride = t.stride[1];
    } else {
        r.rows = tensor_rows(t);
        r.row_stride = r.cols;
    }
    return r;
}

// The same rows, split into `outer` matrices.
static void split_rows(Rows *r, int64_t outer) {
    if (r->outer == outer) return;
    r->rows /= outer;
    r->outer = outer;
    r->outer_stride = r->rows * r->row_stride;
}

static cudaDataType_t blas_type(DType type) {
    return type == DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static Matrix matrix_of(Rows r) {
    Matrix m = {r.data, blas_type(r.type), r.rows, r.cols, r.row_stride, r.outer_stride};
    return m;
}

// Rows in another type, contiguous.
template <typename From, typename To> struct Convert {
    View<From> x;
    To *y;
    uint32_t D;
    __device__ void operator()(uint32_t r, uint32_t c, int n) const {
        store_quad(y + (uint64_t)r * D + c, load_quad(x.row(r) + c, n, x.fast), n, false);
    }
};

static size_t scratch_for(Device *d, Tensor t) {
    if (!t.data || t.dtype == d->activations) return 0;
    return ((size_t)tensor_count(t) * sizeof(bf16) + 255) / 256 * 256;
}

// t as a factor of a product, which has to be of the activation type: t itself, its place in the
// parameters' bfloat16 copy, or a copy in the scratch at *at, which moves on.
static Tensor as_factor(Device *d, Tensor t, char **at) {
    if (scratch_for(d, t) == 0 || d->failed) return t;
    Cuda *c = cuda_of(d);
    if (c->weights && f32(t) >= c->weights && f32(t) < c->weights + c->weights_count &&
        tensor_contiguous(t))
        return tensor_view(c->weights_bf16 + (f32(t) - c->weights), DTYPE_BF16, t.rank, t.shape);
    Tensor y = tensor_view(*at, DTYPE_BF16, t.rank, t.shape);
    Convert<float, bf16> f = {view_of<float>(t), (bf16 *)*at, (uint32_t)tensor_columns(t)};
    for_quads(d, "to_bf16", f, tensor_rows(t), tensor_columns(t));
    *at += scratch_for(d, t);
    return y;
}

// The bias as the epilogue needs it: of y's type and aligned to 16 bytes; copied like a factor
// where it is not.
static const void *as_bias(Device *d, Tensor b, DType type, char **at) {
    if (!b.data) return NULL;
    Tensor as = b;
    if (type == DTYPE_BF16) as = as_factor(d, b, at);
    if ((uintptr_t)as.data % 16 == 0) return as.data;
    char *copy = *at;
    cuda_ok(d,
            cudaMemcpyAsync(copy, as.data, (size_t)tensor_count(b) * dtype_size(as.dtype),
                            cudaMemcpyDeviceToDevice, cuda_stream(d)),
            "bias");
    *at += ((size_t)tensor_count(b) * 4 + 255) / 256 * 256;
    return copy;
}

// ---- the op -------------------------------------------------------------------------------------

static void linear_forward(Device *d, Tensor y, Tensor x, Tensor w, Tensor b) {
    size_t bytes = scratch_for(d, x) + scratch_for(d, w);
    if (b.data) bytes += scratch_for(d, b) + ((size_t)tensor_count(b) * 4 + 255) / 256 * 256;
    char *at = (char *)cuda_scratch(d, bytes);
    if (d->failed) return;
    x = as_factor(d, x, &at);
    w = as_factor(d, w, &at);
    const void *bias = as_bias(d, b, y.dtype, &at);
    Rows rx = matrices_of(x), ry = matrices_of(y);
    int64_t outer = rx.outer > ry.outer ? rx.outer : ry.outer;
    split_rows(&rx, outer);
    split_rows(&ry, outer);
    Matrix mw = {w.data, blas_type(w.dtype), w.shape[0], w.shape[1], w.shape[1], 0};
    cuda_matmul(d, matrix_of(rx), false, mw, true, 0, bias, ry.data, blas_type(ry.type),
                ry.row_stride, ry.outer_stride, outer);
}

template <typename T> struct ColumnValue {
    View<T> dy;
    __device__ Pair operator()(uint32_t r, uint32_t c) const {
        Pair p = {to_float(dy.row(r)[c]), 0};
        return p;
    }
};

template <typename T> static void add_bias_gradient(Device *d, Tensor db, Tensor dy) {
    ColumnValue<T> f = {view_of<T>(dy)};
    add_column_sums(d, "linear_backward", f, tensor_rows(dy), tensor_columns(dy), f32(db), NULL);
}

static void linear_backward(Device *d, Tensor dx, Tensor dw, Tensor db, Tensor dy, Tensor x,
                            Tensor w, bool accumulate) {
    // First, for both this and the factors below use the scratch.
    if (db.data) BY_TYPE(dy.dtype, add_bias_gradient, d, db, dy);
    if (!dx.data) w.data = NULL;
    if (!dw.data) x.data = NULL;
    char *at = (char *)cuda_scratch(d, scratch_for(d, x) + scratch_for(d, w) + scratch_for(d, dy));
    if (d->failed) return;
    x = as_factor(d, x, &at);
    w = as_factor(d, w, &at);
    if (dx.data || dw.data) dy = as_factor(d, dy, &at);
    Rows rdy = matrices_of(dy), rdx = dx.data ? matrices_of(dx) : rdy,
         rx = x.data ? matrices_of(x) : rdy;
    int64_t outer = rdy.outer;
    if (rdx.outer > outer) outer = rdx.outer;
    if (rx.outer > outer) outer = rx.outer;
    split_rows(&rdy, outer);
    split_rows(&rdx, outer);
    split_rows(&rx, outer);
    if (dx.data) {
        Matrix mw = {w.data, blas_type(w.dtype), w.shape[0], w.shape[1], w.shape[1], 0};
        cuda_matmul(d, matrix_of(rdy), false, mw, false, accumulate, NULL, rdx.data,
                    blas_type(rdx.type), rdx.row_stride, rdx.outer_stride, outer);
    }
    size_t size = dtype_size(rdy.type);
    for (int64_t o = 0; dw.data && o < outer; o++) { // one after another: they add to one matrix
        Rows g = rdy, v = rx;
        g.data += (size_t)(o * g.outer_stride) * size;
        v.data += (size_t)(o * v.outer_stride) * size;
        g.outer_stride = v.outer_stride = 0;
        cuda_matmul(d, matrix_of(g), true, matrix_of(v), false, 1, NULL, dw.data, CUDA_R_32F,
                    v.cols, 0, 1);
    }
}

void cuda_linear_ops(Device *d) {
    d->linear_forward = linear_forward;
    d->linear_backward = linear_backward;
}
