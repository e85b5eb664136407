// SPDX-License-Identifier: Apache-2.0
// Matrix products through cuBLASLt, with a bias as its epilogue. A product is planned when its
// shape is first met. What cuBLASLt refuses, then or when it runs, is done in the next best way,
// and logged once for each device: the bias in a pass of our own, and in the end the whole product,
// slowly.
//
// Which algorithm is taken depends on shapes, alignments, library and card alone: heuristics, no
// clock.
#include "ops/cuda/cuda.h"

extern "C" {
#include "base/log.h"
}
#include <string.h>

enum { MAX_MATMULS = 512, MAX_ALGORITHMS = 8 };

// What decides how a product is computed: D (m, n) = op(A) op(B) + beta D + bias, all row-major.
typedef struct MatmulKey {
    int64_t m, n, k, lda, ldb, ldd, batch, stride_a, stride_b, stride_d;
    int32_t type_ab, type_d, trans_a, trans_b, bias, align_a, align_b, align_d;
} MatmulKey;

struct Matmul {
    MatmulKey key;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algorithms[MAX_ALGORITHMS]; // the fastest first, by the heuristics
    int n_algorithms, next;                          // those before next were refused when they ran
    bool own_bias;                                   // the epilogue was refused
    cublasStatus_t refusal;                          // the last one
    uint64_t used;                                   // for replacing the oldest
};

// What one call adds to its plan.
typedef struct Operands {
    const void *a, *b, *bias;
    void *d;
    float beta;
} Operands;

// ---- planning -----------------------------------------------------------------------------------

static void matmul_plan_free(Matmul *p) {
    if (p->desc) cuda_lib.cublasLtMatmulDescDestroy(p->desc);
    if (p->a) cuda_lib.cublasLtMatrixLayoutDestroy(p->a);
    if (p->b) cuda_lib.cublasLtMatrixLayoutDestroy(p->b);
    if (p->d) cuda_lib.cublasLtMatrixLayoutDestroy(p->d);
    memset(p, 0, sizeof *p);
}

void cuda_matmul_free(Cuda *c) {
    for (int i = 0; i < c->n_matmuls; i++) matmul_plan_free(&c->matmuls[i]);
    mem_free(c->matmuls);
}

static bool blas_ok(Matmul *p, cublasStatus_t status) {
    if (status != CUBLAS_STATUS_SUCCESS) p->refusal = status;
    return status == CUBLAS_STATUS_SUCCESS;
}

static uint32_t alignment_of(const void *p) {
    uint32_t a = 256;
    while (a > 1 && (uintptr_t)p % a != 0) a /= 2;
    return a;
}

// cuBLAS counts columns first: a row-major (rows, cols) matrix is its column-major (cols, rows).
static bool make_layout(Matmul *p, cublasLtMatrixLayout_t *out, int type, int64_t rows,
                        int64_t cols, int64_t ld, int64_t stride) {
    if (!blas_ok(p, cuda_lib.cublasLtMatrixLayoutCreate(out, (cudaDataType_t)type, (uint64_t)cols,
                                                        (uint64_t)rows, ld)))
        return false;
    int32_t batch = (int32_t)p->key.batch;
    if (batch == 1) return true;
    return blas_ok(p, cuda_lib.cublasLtMatrixLayoutSetAttribute(
                          *out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch)) &&
           blas_ok(p,
                   cuda_lib.cublasLtMatrixLayoutSetAttribute(
                       *out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride));
}

template <typename T>
static bool set_desc(Matmul *p, cublasLtMatmulDescAttributes_t attribute, T value) {
    return blas_ok(
        p, cuda_lib.cublasLtMatmulDescSetAttribute(p->desc, attribute, &value, sizeof value));
}

// D^T = op(B)^T op(A)^T: the factors change places, and each keeps its transposition.
static bool make_desc(Device *d, Matmul *p) {
    const MatmulKey *k = &p->key;
    cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
    if (k->type_ab == CUDA_R_32F && d->precision != PRECISION_FLOAT32)
        compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    return blas_ok(p, cuda_lib.cublasLtMatmulDescCreate(&p->desc, compute, CUDA_R_32F)) &&
           set_desc(p, CUBLASLT_MATMUL_DESC_TRANSA, k->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N) &&
           set_desc(p, CUBLASLT_MATMUL_DESC_TRANSB, k->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N);
}

static bool prefer_alignment(Matmul *p, cublasLtMatmulPreference_t preference,
                             cublasLtMatmulPreferenceAttributes_t attribute, uint32_t alignment) {
    return blas_ok(p, cuda_lib.cublasLtMatmulPreferenceSetAttribute(preference, attribute,
                                                                    &alignment, sizeof alignment));
}

// Fills in the algorithms; none where cuBLASLt has none, which is no failure yet.
static void list_algorithms(Device *d, Matmul *p) {
    const MatmulKey *k = &p->key;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found[MAX_ALGORITHMS];
    int n = 0;
    uint64_t bytes = CUDA_MATMUL_WORKSPACE;
    p->n_algorithms = p->next = 0;
    if (!blas_ok(p, cuda_lib.cublasLtMatmulPreferenceCreate(&preference))) return;
    if (blas_ok(p,
                cuda_lib.cublasLtMatmulPreferenceSetAttribute(
                    preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes)) &&
        prefer_alignment(p, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, k->align_b) &&
        prefer_alignment(p, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, k->align_a) &&
        prefer_alignment(p, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, k->align_d) &&
        prefer_alignment(p, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, k->align_d) &&
        blas_ok(p, cuda_lib.cublasLtMatmulAlgoGetHeuristic(cuda_of(d)->blas, p->desc, p->b, p->a,
                                                           p->d, p->d, preference, MAX_ALGORITHMS,
                                                           found, &n)))
        for (int i = 0; i < n; i++)
            if (blas_ok(p, found[i].state) && found[i].workspaceSize <= bytes)
                p->algorithms[p->n_algorithms++] = found[i].algo;
    cuda_lib.cublasLtMatmulPreferenceDestroy(preference);
}

static bool describe_product(Device *d, Matmul *p) {
    const MatmulKey *k = &p->key;
    int64_t a_rows = k->trans_a ? k->k : k->m, a_cols = k->trans_a ? k->m : k->k;
    int64_t b_rows = k->trans_b ? k->n : k->k, b_cols = k->trans_b ? k->k : k->n;
    p->refusal = CUBLAS_STATUS_NOT_SUPPORTED; // should the heuristics have nothing and not say why
    return make_desc(d, p) &&
           make_layout(p, &p->a, k->type_ab, a_rows, a_cols, k->lda, k->stride_a) &&
           make_layout(p, &p->b, k->type_ab, b_rows, b_cols, k->ldb, k->stride_b) &&
           make_layout(p, &p->d, k->type_d, k->m, k->n, k->ldd, k->stride_d);
}

// The plan for a key, made when it is first met; NULL, with the failure recorded, for want of
// memory.
static Matmul *matmul_plan_for(Device *d, const MatmulKey *key, const void *bias) {
    Cuda *c = cuda_of(d);
    if (!c->matmuls) c->matmuls = TRY_NEW(Matmul, MAX_MATMULS);
    if (!c->matmuls) {
        device_fail_memory(d, "the plans of matrix products");
        return NULL;
    }
    Matmul *oldest = &c->matmuls[0];
    for (int i = 0; i < c->n_matmuls; i++) {
        Matmul *p = &c->matmuls[i];
        if (p->used < oldest->used) oldest = p;
        if (memcmp(&p->key, key, sizeof *key) != 0) continue;
        p->used = ++c->matmul_clock;
        return p;
    }
    Matmul *p = c->n_matmuls < MAX_MATMULS ? &c->matmuls[c->n_matmuls++] : oldest;
    matmul_plan_free(p);
    p->key = *key;
    p->used = ++c->matmul_clock;
    if (!describe_product(d, p)) return p; // without algorithms
    // The pointer too: its alignment counts.
    if (!bias || (set_desc(p, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS) &&
                  set_desc(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias)))
        list_algorithms(d, p);
    return p;
}

// ---- what cuBLASLt does not do ------------------------------------------------------------------

template <typename U> struct AddBias {
    U *d;
    const U *bias;
    int64_t ld, stride;
    uint32_t m;
    __device__ void operator()(uint32_t row, uint32_t c, int n) const {
        U *to = d + row / m * stride + row % m * ld + c;
        Quad q = load_quad(to, n, false), b = load_quad(bias + c, n, false);
        for (int i = 0; i < 4; i++) q.v[i] += b.v[i];
        store_quad(to, q, n, false);
    }
};

template <typename U> static void add_bias(Device *d, const MatmulKey *k, Operands o) {
    AddBias<U> f = {(U *)o.d, (const U *)o.bias, k->ldd, k->stride_d, (uint32_t)k->m};
    for_quads(d, "add_bias", f, k->batch * k->m, k->n);
}

// Four elements of a row of D to a thread, in float32.
template <typename T, typename U> struct Product {
    const T *a, *b;
    U *d;
    MatmulKey k;
    float beta;
    __device__ void operator()(uint32_t row, uint32_t c, int n) const {
        int64_t batch = row / (uint32_t)k.m, i = row % (uint32_t)k.m;
        const T *pa = a + batch * k.stride_a + i * (k.trans_a ? 1 : k.lda);
        const T *pb = b + batch * k.stride_b + (int64_t)c * (k.trans_b ? k.ldb : 1);
        int64_t step_a = k.trans_a ? k.lda : 1, step_b = k.trans_b ? 1 : k.ldb;
        int64_t next = k.trans_b ? k.ldb : 1;
        U *to = d + batch * k.stride_d + i * k.ldd + c;
        Quad sum = {{0, 0, 0, 0}};
        for (int64_t l = 0; l < k.k; l++)
            for (int j = 0; j < n; j++)
                sum.v[j] += to_float(pa[l * step_a]) * to_float(pb[l * step_b + j * next]);
        if (beta != 0) {
            Quad old = load_quad(to, n, false);
            for (int j = 0; j < 4; j++) sum.v[j] += beta * old.v[j];
        }
        store_quad(to, sum, n, false);
    }
};

template <typename T, typename U>
static void own_product(Device *d, const MatmulKey *k, Operands o) {
    Product<T, U> f = {(const T *)o.a, (const T *)o.b, (U *)o.d, *k, o.beta};
    for_quads(d, "matrix product", f, k->batch * k->m, k->n);
}

static void add_own_bias(Device *d, const MatmulKey *k, Operands o) {
    if (!o.bias) return;
    if (k->type_d == CUDA_R_32F)
        add_bias<float>(d, k, o);
    else
        add_bias<bf16>(d, k, o);
}

static void own_product_and_bias(Device *d, const MatmulKey *k, Operands o) {
    if (k->type_ab == CUDA_R_32F)
        own_product<float, float>(d, k, o);
    else if (k->type_d == CUDA_R_32F)
        own_product<bf16, float>(d, k, o);
    else
        own_product<bf16, bf16>(d, k, o);
    add_own_bias(d, k, o);
}

// Logs what cuBLASLt refused, once for each device.
static void log_refusal(const Matmul *p, bool *logged, const char *refused, const char *instead) {
    if (*logged) return;
    *logged = true;
    const MatmulKey *k = &p->key;
    log_info("cuda: cuBLASLt refuses %s of %ld x %ld x %ld (%s): %s; %s", refused, (long)k->m,
             (long)k->n, (long)k->k, k->type_ab == CUDA_R_32F ? "float32" : "bfloat16",
             cuda_lib.cublasLtGetStatusString(p->refusal), instead);
}

// ---- running ------------------------------------------------------------------------------------

// False when every algorithm is refused: nothing was issued then.
static bool run_planned(Device *d, Matmul *p, Operands o) {
    Cuda *c = cuda_of(d);
    const float one = 1;
    if (o.bias && !p->own_bias && !set_desc(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, o.bias))
        return false;
    for (; p->next < p->n_algorithms; p->next++) {
        if (blas_ok(p,
                    cuda_lib.cublasLtMatmul(c->blas, p->desc, &one, o.b, p->b, o.a, p->a, &o.beta,
                                            o.d, p->d, o.d, p->d, &p->algorithms[p->next],
                                            c->workspace, CUDA_MATMUL_WORKSPACE, cuda_stream(d))))
            return true;
        cudaGetLastError(); // a refusal is not to be blamed on a later launch
    }
    return false;
}

// Plans the product once more, without the epilogue.
static void give_up_epilogue(Device *d, Matmul *p) {
    p->own_bias = true;
    p->n_algorithms = p->next = 0;
    if (p->desc && set_desc(p, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT))
        list_algorithms(d, p);
}

void cuda_matmul(Device *d, Matrix a, bool trans_a, Matrix b, bool trans_b, float beta,
                 const void *bias, void *out, cudaDataType_t type, int64_t ldd, int64_t stride_d,
                 int64_t batch) {
    if (d->failed) return;
    MatmulKey key;
    memset(&key, 0, sizeof key); // its padding is compared too
    key.m = trans_a ? a.cols : a.rows;
    key.k = trans_a ? a.rows : a.cols;
    key.n = trans_b ? b.rows : b.cols;
    key.lda = a.ld, key.ldb = b.ld, key.ldd = ldd;
    key.batch = batch, key.stride_a = a.batch_stride, key.stride_b = b.batch_stride;
    key.stride_d = stride_d;
    key.type_ab = a.type, key.type_d = type;
    key.trans_a = trans_a, key.trans_b = trans_b, key.bias = bias != NULL;
    key.align_a = (int32_t)alignment_of(a.data), key.align_b = (int32_t)alignment_of(b.data);
    key.align_d = (int32_t)alignment_of(out);
    if (key.m == 0 || key.n == 0) return;
    cuda_attach(d);
    Cuda *c = cuda_of(d);
    Operands o = {a.data, b.data, bias, out, beta};
    Matmul *p = matmul_plan_for(d, &key, bias);
    if (!p) return;
    cuda_issued(d, "matrix product", key.batch * key.m, key.n);
    bool done = run_planned(d, p, o);
    if (!done && bias && !p->own_bias) {
        log_refusal(p, &c->bias_refusal_logged, "a bias with the product",
                    "tact adds it in a pass of its own");
        give_up_epilogue(d, p);
        done = run_planned(d, p, o);
    }
    if (!done) {
        log_refusal(p, &c->product_refusal_logged, "a product",
                    "tact computes it itself, which is slow");
        own_product_and_bias(d, &key, o);
    } else if (p->own_bias) {
        add_own_bias(d, &key, o);
    }
}
