// SPDX-License-Identifier: Apache-2.0
// cuBLASLt's matmul as plain loops. It refuses what the documentation does not list, and insists on
// the workspace and on the alignments that were promised when the algorithm was chosen.
#include "library.h"

#include <algorithm>
#include <cstdio>
#include <cublasLt.h>
#include <vector>

using namespace emulation;

namespace {

constexpr size_t WORKSPACE = 8192;
constexpr uint64_t ALGORITHM = 0x656d756c61746564;

struct Layout {
    uint64_t magic;
    uint64_t rows, columns;
    int64_t ld, batch_stride;
    uint32_t type;
    int32_t order, batches;

    bool bf16() const {
        return type == CUDA_R_16BF;
    }
    size_t at(int64_t row, int64_t column) const {
        return order == CUBLASLT_ORDER_COL ? (size_t)(column * ld + row)
                                           : (size_t)(row * ld + column);
    }
    // Bytes from the first element to behind the last one.
    size_t bytes() const {
        if (!rows || !columns) return 0;
        return ((size_t)(batches - 1) * batch_stride + at(rows - 1, columns - 1) + 1) *
               element_size(bf16());
    }
    bool valid() const {
        int64_t least = order == CUBLASLT_ORDER_COL ? rows : columns;
        return (type == CUDA_R_32F || type == CUDA_R_16BF) && ld >= least && batches >= 1 && rows &&
               columns && (order == CUBLASLT_ORDER_COL || order == CUBLASLT_ORDER_ROW);
    }
};
constexpr uint64_t LAYOUT = 0x4c41594f;

struct Operation {
    uint64_t magic;
    int32_t compute, scale, trans_a, trans_b, bias_type, pointer_mode;
    uint32_t epilogue;
    void *bias;
    int64_t bias_stride;
};
constexpr uint64_t OPERATION = 0x4f504552;

struct Preference {
    uint64_t magic;
    uint64_t workspace;
    uint32_t alignment[4]; // A, B, C, D
};
constexpr uint64_t PREFERENCE = 0x50524546;

// What stands in a cublasLtMatmulAlgo_t.
struct Algorithm {
    uint64_t magic, workspace;
    uint16_t alignment[4], bias_alignment, number;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t), "");

template <class T, class P> T *handle(P p, uint64_t magic, const char *what) {
    T *t = reinterpret_cast<T *>(const_cast<std::remove_const_t<std::remove_pointer_t<P>> *>(p));
    if (!t || t->magic != magic) fail("cuBLASLt: this is no %s (never made, or destroyed)", what);
    return t;
}
template <class T> T *destroy(T *t) {
    t->magic = 0;
    delete t;
    return nullptr;
}

template <class T> cublasStatus_t take(T *to, const void *from, size_t bytes) {
    if (bytes != sizeof *to) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, from, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

bool has_bias(uint32_t epilogue) {
    return epilogue != CUBLASLT_EPILOGUE_DEFAULT && epilogue != CUBLASLT_EPILOGUE_RELU;
}

cublasStatus_t refuse(cublasStatus_t status, const char *why) {
    fprintf(stderr, "emulation: cuBLASLt: %s\n", why);
    return status;
}

cublasStatus_t check(const Operation &o, const Layout &a, const Layout &b, const Layout &c,
                     const Layout &d) {
    if (!a.valid() || !b.valid() || !c.valid() || !d.valid())
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a layout's type, size, order or stride");
    uint64_t m = o.trans_a ? a.columns : a.rows, k = o.trans_a ? a.rows : a.columns;
    uint64_t n = o.trans_b ? b.rows : b.columns, kb = o.trans_b ? b.columns : b.rows;
    if (k != kb || d.rows != m || d.columns != n || c.rows != m || c.columns != n)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "the sizes of A, B, C and D do not fit");
    if (a.batches != b.batches || a.batches != c.batches || a.batches != d.batches)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "the batch counts differ");
    bool fast =
        o.compute == CUBLAS_COMPUTE_32F_FAST_TF32 || o.compute == CUBLAS_COMPUTE_32F_FAST_16BF;
    if (o.scale != CUDA_R_32F ||
        (!fast && o.compute != CUBLAS_COMPUTE_32F && o.compute != CUBLAS_COMPUTE_32F_PEDANTIC))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "this compute or scale type");
    if (a.type != b.type || c.type != d.type || (a.type == CUDA_R_32F && d.type != CUDA_R_32F) ||
        (fast && a.type != CUDA_R_32F))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "this combination of types");
    switch (o.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
        break;
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "this epilogue");
    }
    if (has_bias(o.epilogue) && o.bias_type >= 0 && (uint32_t)o.bias_type != d.type)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "a bias of another type than D");
    if (d.order != CUBLASLT_ORDER_COL && has_bias(o.epilogue))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "a bias with D in row order");
    return CUBLAS_STATUS_SUCCESS;
}

float rounded(float x, int32_t compute) {
    if (compute == CUBLAS_COMPUTE_32F_FAST_TF32) return round_tf32(x);
    if (compute == CUBLAS_COMPUTE_32F_FAST_16BF) return __bfloat162float(__float2bfloat16_rn(x));
    return x;
}

// op(A) by rows and op(B) by columns, as float with the k elements of each in a row.
std::vector<float> packed(const void *p, const Layout &l, bool k_is_row, int32_t compute,
                          size_t offset) {
    size_t outer = k_is_row ? l.columns : l.rows, k = k_is_row ? l.rows : l.columns;
    std::vector<float> out(outer * k);
#pragma omp parallel for
    for (size_t i = 0; i < outer; i++)
        for (size_t j = 0; j < k; j++)
            out[i * k + j] =
                rounded(load(p, offset + (k_is_row ? l.at(j, i) : l.at(i, j)), l.bf16()), compute);
    return out;
}

struct Call {
    Operation o;
    Layout a, b, c, d;
    const void *pa, *pb, *pc;
    void *pd;
    float alpha, beta;
};

void multiply(const Call &call, int batch) {
    const Operation &o = call.o;
    const Layout &d = call.d;
    int64_t m = d.rows, n = d.columns, k = o.trans_a ? call.a.rows : call.a.columns;
    std::vector<float> a =
        packed(call.pa, call.a, o.trans_a, o.compute, batch * call.a.batch_stride);
    std::vector<float> b =
        packed(call.pb, call.b, !o.trans_b, o.compute, batch * call.b.batch_stride);
    size_t offset_c = batch * call.c.batch_stride, offset_d = batch * d.batch_stride;
    size_t offset_bias = batch * o.bias_stride;
    bool bias = o.epilogue == CUBLASLT_EPILOGUE_BIAS || o.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    bool relu = o.epilogue == CUBLASLT_EPILOGUE_RELU || o.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
#pragma omp parallel for if (m * n * k > 20000)
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            double value = call.alpha * dot(&a[i * k], &b[j * k], k);
            if (call.beta != 0)
                value +=
                    (double)call.beta * load(call.pc, offset_c + call.c.at(i, j), call.c.bf16());
            if (bias) value += load(o.bias, offset_bias + i, d.bf16());
            if (relu && value < 0) value = 0;
            store(call.pd, offset_d + d.at(i, j), d.bf16(), (float)value);
        }
    if (o.epilogue != CUBLASLT_EPILOGUE_BGRADA && o.epilogue != CUBLASLT_EPILOGUE_BGRADB) return;
    const std::vector<float> &from = o.epilogue == CUBLASLT_EPILOGUE_BGRADA ? a : b;
    for (size_t i = 0; i < from.size() / k; i++) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++) sum += from[i * k + j];
        store(o.bias, offset_bias + i, d.bf16(), (float)sum);
    }
}

void check_pointers(const Call &call, const Algorithm *algorithm) {
    require_device(call.pa, call.a.bytes(), "cublasLtMatmul: A");
    require_device(call.pb, call.b.bytes(), "cublasLtMatmul: B");
    require_device(call.pc, call.c.bytes(), "cublasLtMatmul: C");
    require_device(call.pd, call.d.bytes(), "cublasLtMatmul: D");
    const void *p[4] = {call.pa, call.pb, call.pc, call.pd};
    const Layout *l[4] = {&call.a, &call.b, &call.c, &call.d};
    for (int i = 0; i < 4; i++) {
        size_t wanted = element_size(l[i]->bf16());
        if (algorithm) wanted = std::max<size_t>(wanted, algorithm->alignment[i]);
        if (!aligned(p[i], wanted))
            fail("cublasLtMatmul: %c = %p is not aligned to %zu bytes, as its algorithm was "
                 "promised",
                 "ABCD"[i], p[i], wanted);
    }
    const uint32_t epilogue = call.o.epilogue;
    if (!has_bias(epilogue)) return;
    size_t length = epilogue == CUBLASLT_EPILOGUE_BGRADB ? call.d.columns : call.d.rows;
    length += (size_t)(call.d.batches - 1) * call.o.bias_stride;
    if (!call.o.bias) fail("cublasLtMatmul: the epilogue needs a bias pointer");
    require_device(call.o.bias, length * element_size(call.d.bf16()), "cublasLtMatmul: bias");
    if (algorithm && !aligned(call.o.bias, algorithm->bias_alignment))
        fail("cublasLtMatmul: the bias is less aligned than when the algorithm was chosen");
}

} // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *h) {
    *h = reinterpret_cast<cublasLtHandle_t>(new int(current_card()));
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t h) {
    delete reinterpret_cast<int *>(h);
    return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion(void) {
    return CUBLAS_VERSION;
}
const char *cublasLtGetStatusName(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
        return "CUBLAS_STATUS_OTHER";
    }
}
const char *cublasLtGetStatusString(cublasStatus_t status) {
    return cublasLtGetStatusName(status);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    Operation *o = new Operation{OPERATION,
                                 compute,
                                 scale,
                                 CUBLAS_OP_N,
                                 CUBLAS_OP_N,
                                 -1,
                                 CUBLASLT_POINTER_MODE_HOST,
                                 CUBLASLT_EPILOGUE_DEFAULT,
                                 nullptr,
                                 0};
    *desc = reinterpret_cast<cublasLtMatmulDesc_t>(o);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
    destroy(handle<Operation>(desc, OPERATION, "matmul descriptor"));
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    Operation *o = handle<Operation>(desc, OPERATION, "matmul descriptor");
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
        return take(&o->compute, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
        return take(&o->scale, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return take(&o->trans_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return take(&o->trans_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return take(&o->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return take(&o->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return take(&o->bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
        return take(&o->bias_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: {
        cublasStatus_t s = take(&o->pointer_mode, value, bytes);
        if (o->pointer_mode != CUBLASLT_POINTER_MODE_HOST)
            return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "alpha and beta on the device");
        return s;
    }
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "this attribute of a matmul descriptor");
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
    Layout *l = new Layout{LAYOUT, rows, columns, ld, 0, (uint32_t)type, CUBLASLT_ORDER_COL, 1};
    *layout = reinterpret_cast<cublasLtMatrixLayout_t>(l);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    destroy(handle<Layout>(layout, LAYOUT, "matrix layout"));
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes) {
    Layout *l = handle<Layout>(layout, LAYOUT, "matrix layout");
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
        return take(&l->type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
        return take(&l->order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return take(&l->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
        return take(&l->columns, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
        return take(&l->ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return take(&l->batches, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return take(&l->batch_stride, value, bytes);
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "this attribute of a matrix layout");
    }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    Preference *p = new Preference{PREFERENCE, 0, {256, 256, 256, 256}};
    *preference = reinterpret_cast<cublasLtMatmulPreference_t>(p);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    destroy(handle<Preference>(preference, PREFERENCE, "matmul preference"));
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    Preference *p = handle<Preference>(preference, PREFERENCE, "matmul preference");
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return take(&p->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return take(&p->alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return take(&p->alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return take(&p->alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return take(&p->alignment[3], value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
    case CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT:
        return CUBLAS_STATUS_SUCCESS;
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "this attribute of a matmul preference");
    }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *returned) {
    *returned = 0;
    const Operation *o = handle<Operation>(desc, OPERATION, "matmul descriptor");
    const Preference *p = handle<Preference>(preference, PREFERENCE, "matmul preference");
    if (!h || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    cublasStatus_t status = check(*o, *handle<Layout>(a, LAYOUT, "matrix layout"),
                                  *handle<Layout>(b, LAYOUT, "matrix layout"),
                                  *handle<Layout>(c, LAYOUT, "matrix layout"),
                                  *handle<Layout>(d, LAYOUT, "matrix layout"));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    // Where there are no results, the real library says either success or NOT_SUPPORTED.
    if (refused("products")) return CUBLAS_STATUS_SUCCESS;
    if (has_bias(o->epilogue) && refused("epilogue")) return CUBLAS_STATUS_NOT_SUPPORTED;
    Algorithm algorithm = {};
    algorithm.magic = ALGORITHM;
    algorithm.workspace = std::min<uint64_t>(p->workspace, WORKSPACE);
    for (int i = 0; i < 4; i++) algorithm.alignment[i] = (uint16_t)std::min(p->alignment[i], 256u);
    algorithm.bias_alignment = 16;
    while (!aligned(o->bias, algorithm.bias_alignment)) algorithm.bias_alignment /= 2;
    for (; *returned < std::min(wanted, 2); ++*returned) {
        cublasLtMatmulHeuristicResult_t &r = results[*returned];
        algorithm.number = (uint16_t)*returned;
        memset(&r, 0, sizeof r);
        memcpy(&r.algo, &algorithm, sizeof algorithm);
        r.workspaceSize = algorithm.workspace;
        r.state = CUBLAS_STATUS_SUCCESS;
        r.wavesCount = 1;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t la, const void *b,
                              cublasLtMatrixLayout_t lb, const void *beta, const void *c,
                              cublasLtMatrixLayout_t lc, void *d, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    if (!h || !alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
    require_host(alpha, "cublasLtMatmul: alpha");
    require_host(beta, "cublasLtMatmul: beta");
    Call call = {*handle<Operation>(desc, OPERATION, "matmul descriptor"),
                 *handle<Layout>(la, LAYOUT, "matrix layout"),
                 *handle<Layout>(lb, LAYOUT, "matrix layout"),
                 *handle<Layout>(lc, LAYOUT, "matrix layout"),
                 *handle<Layout>(ld, LAYOUT, "matrix layout"),
                 a,
                 b,
                 c,
                 d,
                 *static_cast<const float *>(alpha),
                 *static_cast<const float *>(beta)};
    cublasStatus_t status = check(call.o, call.a, call.b, call.c, call.d);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (c == d && (call.c.ld != call.d.ld || call.c.order != call.d.order ||
                   call.c.batch_stride != call.d.batch_stride))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "C and D are one, with two layouts");
    bool chosen = algo != nullptr;
    Algorithm algorithm = {};
    if (chosen) memcpy(&algorithm, algo, sizeof algorithm);
    if (chosen && algorithm.magic != ALGORITHM)
        fail("cublasLtMatmul: the algorithm does not come from cublasLtMatmulAlgoGetHeuristic");
    if (*reinterpret_cast<int *>(h) != current_card())
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "the handle is another card's");
    if ((has_bias(call.o.epilogue) && refused("epilogue-run")) || refused("products-run") ||
        (chosen && algorithm.number == 0 && refused("first-product")))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (algorithm.workspace > workspace_bytes)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "less workspace than the algorithm needs");
    cudaError_t e = emulation_enqueue(stream, [=, card = current_card()] {
        set_running_card(card);
        const void *used[] = {a, b, c, d, workspace};
        check_structure("cublasLtMatmul", 0, used, sizeof used);
        check_pointers(call, chosen ? &algorithm : nullptr);
        require_device(workspace, workspace_bytes, "cublasLtMatmul: workspace");
        if (workspace_bytes && !aligned(workspace, 16))
            fail("cublasLtMatmul: the workspace is not aligned to 16 bytes");
        if (workspace_bytes) memset(workspace, 0xff, std::min(workspace_bytes, WORKSPACE));
        for (int i = 0; i < call.d.batches; i++) multiply(call, i);
        check_canaries("cublasLtMatmul");
    });
    return e == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // extern "C"
