// SPDX-License-Identifier: Apache-2.0
// The fake libraries against plain loops, and what they refuse; and what of src/ops/cuda is a thing
// of its own: convolutions as graphs, division by multiplication.
// cmocka has a macro fail, so it comes behind what declares a function of that name.
// clang-format off
#include "ops/cuda/dnn_graph.h"
#include "emulation.h"
#include "ops/cuda/divide.h"
#include "test_common.h"
// clang-format on

struct Matmul {
    bool ta, tb, bf16_in, bf16_out;
    cublasComputeType_t compute;
    cublasLtEpilogue_t epilogue;
    float alpha, beta;
    int batches;
};

// D = alpha op(A) op(B) + beta C by columns, everything with a leading dimension 3 too large.
static void check_matmul(cublasLtHandle_t handle, const Matmul &c) {
    const int m = 10, n = 7, k = 13;
    int ar = c.ta ? k : m, ac = c.ta ? m : k, br = c.tb ? n : k, bc = c.tb ? k : n;
    int64_t la = ar + 3, lb = br + 3, ld = m + 3, sa = la * ac, sb = lb * bc, sd = ld * n;
    std::vector<float> a = noises(sa * c.batches), b = noises(sb * c.batches, 400),
                       d = noises(sd * c.batches, 900), bias = noises(16, 1300);
    Buffer da(a, c.bf16_in), db(b, c.bf16_in), dd(d, c.bf16_out), dbias(bias, c.bf16_out), ws(4096);
    std::vector<float> want = d, want_bias = bias;
    auto in = [&](float x) {
        return c.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? emulation::round_tf32(x) : x;
    };
    for (int z = 0; z < c.batches; z++)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                float sum = 0;
                for (int l = 0; l < k; l++)
                    sum += in(a[z * sa + (c.ta ? i * la + l : l * la + i)]) *
                           in(b[z * sb + (c.tb ? l * lb + j : j * lb + l)]);
                float v = c.alpha * sum + c.beta * d[z * sd + j * ld + i];
                if (c.epilogue & CUBLASLT_EPILOGUE_BIAS) v += bias[i];
                if (c.epilogue & CUBLASLT_EPILOGUE_RELU) v = fmaxf(v, 0);
                want[z * sd + j * ld + i] = v;
            }
    if (c.epilogue == CUBLASLT_EPILOGUE_BGRADB)
        for (int j = 0; j < n; j++) {
            want_bias[j] = 0;
            for (int l = 0; l < k; l++) want_bias[j] += in(b[c.tb ? l * lb + j : j * lb + l]);
        }
    if (c.epilogue == CUBLASLT_EPILOGUE_BGRADA)
        for (int i = 0; i < m; i++) {
            want_bias[i] = 0;
            for (int l = 0; l < k; l++) want_bias[i] += in(a[c.ta ? i * la + l : l * la + i]);
        }
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t A, B, D;
    cublasLtMatmulPreference_t preference;
    OK(cublasLtMatmulDescCreate(&desc, c.compute, CUDA_R_32F));
    cublasOperation_t ta = c.ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb = c.tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta));
    OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb));
    OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &c.epilogue, 4));
    OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &dbias.p, 8));
    cudaDataType_t in_type = c.bf16_in ? CUDA_R_16BF : CUDA_R_32F;
    OK(cublasLtMatrixLayoutCreate(&A, in_type, ar, ac, la));
    OK(cublasLtMatrixLayoutCreate(&B, in_type, br, bc, lb));
    OK(cublasLtMatrixLayoutCreate(&D, c.bf16_out ? CUDA_R_16BF : CUDA_R_32F, m, n, ld));
    cublasLtMatrixLayout_t layouts[3] = {A, B, D};
    int64_t strides[3] = {sa, sb, sd};
    for (int i = 0; i < 3; i++) {
        OK(cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                            &c.batches, 4));
        OK(cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                            &strides[i], 8));
    }
    OK(cublasLtMatmulPreferenceCreate(&preference));
    size_t workspace = 16384;
    OK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                            &workspace, 8));
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    cublasStatus_t s =
        cublasLtMatmulAlgoGetHeuristic(handle, desc, A, B, D, D, preference, 1, &result, &found);
    if (!c.bf16_in && c.bf16_out)
        assert_int_equal(s, CUBLAS_STATUS_NOT_SUPPORTED);
    else {
        OK(s);
        assert_int_equal(found, 1);
        OK(cublasLtMatmul(handle, desc, &c.alpha, da.p, A, db.p, B, &c.beta, dd.p, D, dd.p, D,
                          &result.algo, ws.p, workspace, 0));
        close_to(dd.get(), want, c.bf16_out ? 8e-3f : 1e-5f);
        close_to(dbias.get(), want_bias, c.bf16_out ? 8e-3f : 1e-5f);
    }
    OK(cublasLtMatmulPreferenceDestroy(preference));
    OK(cublasLtMatrixLayoutDestroy(A));
    OK(cublasLtMatrixLayoutDestroy(B));
    OK(cublasLtMatrixLayoutDestroy(D));
    OK(cublasLtMatmulDescDestroy(desc));
}

static void test_cublaslt(void **) {
    cublasLtHandle_t h;
    OK(cublasLtCreate(&h));
    const cublasComputeType_t full = CUBLAS_COMPUTE_32F, tf32 = CUBLAS_COMPUTE_32F_FAST_TF32;
    for (int t = 0; t < 4; t++) {
        bool ta = t & 1, tb = t & 2;
        check_matmul(h, {ta, tb, false, false, full, CUBLASLT_EPILOGUE_DEFAULT, 1, 0, 1});
        check_matmul(h, {ta, tb, true, true, full, CUBLASLT_EPILOGUE_RELU_BIAS, 0.5f, 0, 1});
        check_matmul(h, {ta, tb, true, false, full, CUBLASLT_EPILOGUE_BIAS, 1, 1, 1});
        check_matmul(h, {ta, tb, false, false, tf32, CUBLASLT_EPILOGUE_BGRADA, 1, 1, 1});
        check_matmul(h, {ta, tb, false, false, tf32, CUBLASLT_EPILOGUE_BGRADB, 1, 0, 1});
        check_matmul(h, {ta, tb, false, false, full, CUBLASLT_EPILOGUE_RELU, -1, 2, 3});
    }
    check_matmul(h, {false, false, false, true, full, CUBLASLT_EPILOGUE_DEFAULT, 1, 0, 1});
    OK(cublasLtDestroy(h));
}

// The first that repeats its bits and fits into a small workspace.
template <class Perf> static Perf usable(const Perf *found, int n) {
    for (int i = 0; i < n; i++)
        if (found[i].status == CUDNN_STATUS_SUCCESS && found[i].memory <= 16384 &&
            found[i].determinism == CUDNN_DETERMINISTIC)
            return found[i];
    fail_msg("none of %d algorithms can be used", n);
    return {};
}

struct ConvCase {
    int n, c, h, w, k, kernel, stride, padding, dilation;
    bool bf16;
};

static DnnConv dnn_conv(const ConvCase &t, int pass, bool fused) {
    int reach = (t.kernel - 1) * t.dilation + 1;
    DnnConv c = {t.bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT,
                 t.n,
                 t.c,
                 t.h,
                 t.w,
                 t.k,
                 (t.h + 2 * t.padding - reach) / t.stride + 1,
                 (t.w + 2 * t.padding - reach) / t.stride + 1,
                 t.kernel,
                 t.stride,
                 t.padding,
                 t.dilation,
                 pass,
                 fused,
                 fused,
                 fused};
    return c;
}

// The engine of the first plan that is taken; -1: none.
static int64_t first_plan(DnnGraph *g, bool whole, int64_t limit) {
    for (int i = 0; i < g->n_proposals; i++)
        if (dnn_graph_plan(g, i, whole, limit) == CUDNN_STATUS_SUCCESS) return g->engine;
    return -1;
}

// A graph against the plain loops, with the engines that float32 is left.
static void check_graph(cudnnHandle_t handle, const ConvCase &t, int pass, bool fused,
                        DnnOperands operands, const Buffer &result,
                        const std::vector<float> &want) {
    DnnGraph g;
    Buffer workspace(4096);
    OK(dnn_graph_new(&g, dnn_conv(t, pass, fused), handle, nullptr));
    assert_int_equal(first_plan(&g, true, 16384), 28); // neither rounds, nor wants much
    OK(dnn_graph_run(&g, operands, workspace.p));
    close_to(result.get(), want, t.bf16 ? 1e-2f : 1e-5f);
    dnn_graph_free(&g);
}

static void check_conv(cudnnHandle_t handle, const ConvCase &t) {
    int reach = (t.kernel - 1) * t.dilation + 1;
    int p = (t.h + 2 * t.padding - reach) / t.stride + 1,
        q = (t.w + 2 * t.padding - reach) / t.stride + 1;
    size_t nx = (size_t)t.n * t.h * t.w * t.c, nw = (size_t)t.k * t.kernel * t.kernel * t.c,
           ny = (size_t)t.n * p * q * t.k;
    std::vector<float> x = noises(nx), w = noises(nw, 3000), dy = noises(ny, 6000),
                       bias = noises(t.k, 9000), z = noises(ny, 9900), dw0 = noises(nw, 77);
    Buffer bx(x, t.bf16), bw(w, t.bf16), bdy(dy, t.bf16), bb(bias, t.bf16), bz(z, t.bf16),
        by(ny, t.bf16), bdx(nx, t.bf16), bdw(dw0, t.bf16), ws(8192);
    std::vector<float> y(ny, 0.0f), fused(ny), dx(nx, 0.0f), dw = dw0;
    for (size_t o = 0; o < ny; o++) {
        int k = o % t.k, oq = o / t.k % q, op = o / t.k / q % p, n = o / t.k / q / p;
        for (int r = 0; r < t.kernel; r++)
            for (int s = 0; s < t.kernel; s++) {
                int h = op * t.stride - t.padding + r * t.dilation,
                    v = oq * t.stride - t.padding + s * t.dilation;
                if (h < 0 || h >= t.h || v < 0 || v >= t.w) continue;
                for (int c = 0; c < t.c; c++) {
                    size_t ix = ((size_t)(n * t.h + h) * t.w + v) * t.c + c;
                    size_t iw = ((size_t)(k * t.kernel + r) * t.kernel + s) * t.c + c;
                    y[o] += x[ix] * w[iw];
                    dx[ix] += dy[o] * w[iw];
                    dw[iw] += dy[o] * x[ix];
                }
            }
        fused[o] = fmaxf(y[o] + z[o] + bias[k], 0);
    }
    cudnnTensorDescriptor_t dX, dY, dB;
    cudnnFilterDescriptor_t dW;
    cudnnConvolutionDescriptor_t conv;
    cudnnActivationDescriptor_t act;
    cudnnDataType_t type = t.bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    OK(cudnnCreateTensorDescriptor(&dX));
    OK(cudnnCreateTensorDescriptor(&dY));
    OK(cudnnCreateTensorDescriptor(&dB));
    OK(cudnnCreateFilterDescriptor(&dW));
    OK(cudnnCreateConvolutionDescriptor(&conv));
    OK(cudnnCreateActivationDescriptor(&act));
    OK(cudnnSetTensor4dDescriptor(dX, CUDNN_TENSOR_NHWC, type, t.n, t.c, t.h, t.w));
    OK(cudnnSetTensor4dDescriptor(dY, CUDNN_TENSOR_NHWC, type, t.n, t.k, p, q));
    OK(cudnnSetTensor4dDescriptor(dB, CUDNN_TENSOR_NHWC, type, 1, t.k, 1, 1));
    OK(cudnnSetFilter4dDescriptor(dW, type, CUDNN_TENSOR_NHWC, t.k, t.c, t.kernel, t.kernel));
    OK(cudnnSetConvolution2dDescriptor(conv, t.padding, t.padding, t.stride, t.stride, t.dilation,
                                       t.dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    OK(cudnnSetConvolutionMathType(conv, CUDNN_FMA_MATH));
    OK(cudnnSetActivationDescriptor(act, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
    int on, oc, oh, ow, found;
    OK(cudnnGetConvolution2dForwardOutputDim(conv, dX, dW, &on, &oc, &oh, &ow));
    assert_true(on == t.n && oc == t.k && oh == p && ow == q);
    cudnnConvolutionFwdAlgoPerf_t f;
    cudnnConvolutionBwdDataAlgoPerf_t bd;
    cudnnConvolutionBwdFilterAlgoPerf_t bf;
    cudnnConvolutionFwdAlgoPerf_t fs[9];
    cudnnConvolutionBwdDataAlgoPerf_t bds[9];
    cudnnConvolutionBwdFilterAlgoPerf_t bfs[9];
    OK(cudnnGetConvolutionForwardAlgorithm_v7(handle, dX, dW, conv, dY, 9, &found, fs));
    f = usable(fs, found);
    OK(cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, dW, dY, conv, dX, 9, &found, bds));
    bd = usable(bds, found);
    OK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, dX, dY, conv, dW, 9, &found, bfs));
    bf = usable(bfs, found);
    float one = 1, zero = 0, tolerance = t.bf16 ? 1e-2f : 1e-5f;
    OK(cudnnConvolutionForward(handle, &one, dX, bx.p, dW, bw.p, conv, f.algo, ws.p, f.memory,
                               &zero, dY, by.p));
    close_to(by.get(), y, tolerance);
    OK(cudnnConvolutionBiasActivationForward(handle, &one, dX, bx.p, dW, bw.p, conv, f.algo, ws.p,
                                             f.memory, &one, dY, bz.p, dB, bb.p, act, dY, by.p));
    close_to(by.get(), fused, tolerance);
    OK(cudnnConvolutionBackwardData(handle, &one, dW, bw.p, dY, bdy.p, conv, bd.algo, ws.p,
                                    bd.memory, &zero, dX, bdx.p));
    close_to(bdx.get(), dx, tolerance);
    OK(cudnnConvolutionBackwardFilter(handle, &one, dX, bx.p, dY, bdy.p, conv, bf.algo, ws.p,
                                      bf.memory, &one, dW, bdw.p));
    close_to(bdw.get(), dw, tolerance);
    Buffer by2(ny, t.bf16), bdx2(nx, t.bf16), bdw2(nw, t.bf16);
    for (size_t k = 0; k < nw; k++) dw[k] -= dw0[k];
    check_graph(handle, t, FORWARD, false, {bx.p, bw.p, by2.p, nullptr, nullptr}, by2, y);
    check_graph(handle, t, FORWARD, true, {bx.p, bw.p, by2.p, bb.p, bz.p}, by2, fused);
    check_graph(handle, t, DATA, false, {bdx2.p, bw.p, bdy.p, nullptr, nullptr}, bdx2, dx);
    check_graph(handle, t, FILTER, false, {bx.p, bdw2.p, bdy.p, nullptr, nullptr}, bdw2, dw);
    assert_int_equal(cudnnConvolutionForward(handle, &one, dX, bx.p, dW, bw.p, conv, f.algo, ws.p,
                                             100, &zero, dY, by.p),
                     CUDNN_STATUS_BAD_PARAM);
    OK(cudnnDestroyTensorDescriptor(dX));
    OK(cudnnDestroyTensorDescriptor(dY));
    OK(cudnnDestroyTensorDescriptor(dB));
    OK(cudnnDestroyFilterDescriptor(dW));
    OK(cudnnDestroyConvolutionDescriptor(conv));
    OK(cudnnDestroyActivationDescriptor(act));
}

static void test_cudnn(void **) {
    cudnnHandle_t h;
    OK(cudnnCreate(&h));
    for (int bf16 = 0; bf16 < 2; bf16++) {
        check_conv(h, {2, 3, 9, 8, 5, 7, 2, 3, 1, (bool)bf16});
        check_conv(h, {1, 8, 6, 7, 4, 3, 1, 1, 1, (bool)bf16});
        check_conv(h, {2, 4, 7, 5, 6, 1, 2, 0, 1, (bool)bf16});
        check_conv(h, {1, 4, 8, 8, 3, 3, 1, 2, 2, (bool)bf16});
    }
    OK(cudnnDestroy(h));
}

// ---- graphs -------------------------------------------------------------------------------------

static const ConvCase small = {1, 8, 6, 7, 4, 3, 1, 1, 1, true};

// Which engine is taken, by what is asked of it.
static void test_engines(void **) {
    cudnnHandle_t h;
    DnnGraph g;
    OK(cudnnCreate(&h));
    OK(dnn_graph_new(&g, dnn_conv(small, FORWARD, true), h, nullptr));
    assert_int_equal(first_plan(&g, false, 16384), 63);   // repeats, has a plan, is small enough
    assert_int_equal(first_plan(&g, false, 1 << 30), 61); // the faster one that wants a lot
    assert_int_equal(first_plan(&g, false, 100), -1);     // nothing that keeps its word is so small
    assert_int_equal(first_plan(&g, true, 16384), 28);    // no tensor cores
    dnn_graph_free(&g);
    OK(cudnnDestroy(h));
}

typedef cudnnBackendDescriptor_t Descriptor;

static Descriptor new_descriptor(cudnnBackendDescriptorType_t type) {
    Descriptor d;
    OK(cudnnBackendCreateDescriptor(type, &d));
    return d;
}

static void test_descriptors(void **) {
    int64_t one = 1, sizes[] = {1, 8, 2, 2}, strides[] = {32, 1, 16, 8};
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    Descriptor t = new_descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR),
               op = new_descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    auto set = [&](Descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t of,
                   int64_t n,
                   const void *values) { return cudnnBackendSetAttribute(d, name, of, n, values); };
    OK(set(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &one));
    OK(set(t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
    OK(set(t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes));
    OK(set(t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides));
    // Not all is set; a wrong type, number and name; a tensor that is not finalized.
    assert_int_equal(cudnnBackendFinalize(t), CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(set(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_FLOAT, 1, &one),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(set(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 2, sizes),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(set(t, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &one),
                     CUDNN_STATUS_NOT_SUPPORTED);
    assert_int_equal(
        set(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t),
        CUDNN_STATUS_BAD_PARAM);
    int64_t three = 3, sixteen = 16;
    OK(set(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &three));
    assert_int_equal(cudnnBackendFinalize(t), CUDNN_STATUS_BAD_PARAM);
    OK(set(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &sixteen));
    OK(cudnnBackendFinalize(t));
    assert_int_equal(set(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &one),
                     CUDNN_STATUS_NOT_INITIALIZED);
    OK(set(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t));
    assert_int_equal(set(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                         CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t), // a tensor where none belongs
                     CUDNN_STATUS_BAD_PARAM);
    OK(cudnnBackendDestroyDescriptor(op));
    OK(cudnnBackendDestroyDescriptor(t));
}

// Operands that are missing, and ones that the plan knows nothing of.
static void test_operands(void **) {
    cudnnHandle_t h;
    DnnGraph g;
    Buffer b(4096), w(4096), y(4096), workspace(4096);
    const int64_t numbers[] = {1, 2, 7};
    const void *pointers[] = {b.p, w.p, y.p};
    OK(cudnnCreate(&h));
    OK(dnn_graph_new(&g, dnn_conv(small, FORWARD, false), h, nullptr));
    assert_true(first_plan(&g, true, 16384) >= 0);
    for (int64_t n = 2; n <= 3; n++) {
        Descriptor v = new_descriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
        OK(cudnnBackendSetAttribute(v, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n,
                                    numbers));
        OK(cudnnBackendSetAttribute(v, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                    n, pointers));
        OK(cudnnBackendSetAttribute(v, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                    &workspace.p));
        OK(cudnnBackendFinalize(v));
        assert_int_equal(cudnnBackendExecute(h, g.plan, v), CUDNN_STATUS_BAD_PARAM);
        OK(cudnnBackendDestroyDescriptor(v));
    }
    dnn_graph_free(&g);
    OK(cudnnDestroy(h));
}

// ---- division -----------------------------------------------------------------------------------

static void test_division(void **) {
    const uint32_t edges[] = {1,          2,           3,           5,           7,          10,
                              64,         75,          641,         65535,       65536,      65537,
                              0x7fffffff, 0x80000000u, 0x80000001u, 0xfffffffeu, 0xffffffffu};
    uint64_t random = 1;
    for (uint32_t d : edges) {
        Divider by = divider_of(d);
        for (int i = 0; i < 20000; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t n = (uint32_t)(random >> 32);
            if (i % 4 == 1) n = n / d * d;     // a multiple
            if (i % 4 == 2) n = n / d * d - 1; // and what is below it
            uint32_t q = by.quotient(n);
            if (q != n / d || by.rest(n, q) != n % d) fail_msg("%u / %u is not %u", n, d, q);
        }
    }
}

int main() {
    Error err;
    if (!cuda_libraries_load("the test", &err)) return 1;
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_cublaslt), cmocka_unit_test(test_cudnn),
        cmocka_unit_test(test_engines),  cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_operands), cmocka_unit_test(test_division),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
