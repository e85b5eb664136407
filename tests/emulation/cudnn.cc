// SPDX-License-Identifier: Apache-2.0
// cuDNN's handles, its legacy descriptors and its legacy convolutions. What the real library
// refuses or may refuse is refused.
#include "cudnn_fake.h"

#include <algorithm>
#include <cstdio>

using namespace emulation;

namespace {

bool rounds(const Tensor &t, const Conv &c) {
    return !t.bf16() && c.math != CUDNN_FMA_MATH;
}

cudnnStatus_t check(const Tensor *x, const Tensor *w, const Conv *c, const Tensor *y) {
    if (!x || !w || !c || !y) return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor is NULL");
    if (!x->count() || !w->count() || !y->count())
        return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor was never set");
    if (c->groups != 1 || c->mode != CUDNN_CROSS_CORRELATION || c->compute != CUDNN_DATA_FLOAT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED,
                      "only one group, cross-correlation and float sums");
    if (x->type != w->type || x->type != y->type)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "x, w and y must be of one type");
    if (!x->channels_last() || !w->channels_last() || !y->channels_last())
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only NHWC tensors and filters");
    if (w->c != x->c || y->n != x->n || y->c != w->n ||
        y->h != out_size(x->h, w->h, c->pad_h, c->stride_h, c->dilation_h) ||
        y->w != out_size(x->w, w->w, c->pad_w, c->stride_w, c->dilation_w))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the sizes of x, w and y do not fit");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t need_workspace(size_t bytes) {
    return bytes >= WORKSPACE
               ? CUDNN_STATUS_SUCCESS
               : refuse(CUDNN_STATUS_BAD_PARAM, "less workspace than the algorithm needs");
}

float scalar(const void *p) {
    require_host(p, "cuDNN: alpha and beta");
    return *static_cast<const float *>(p);
}

// One line of the table that the heuristics answer from.
template <class Algorithm> struct Known {
    Algorithm algorithm;
    bool repeats, runs;
    size_t memory;
};

// As the real ones list them: what is expected to be fastest first, with tensor cores and without,
// some that do not repeat their bits or want a lot of memory, and behind all those that cannot run.
template <class Perf, class Algorithm, size_t N>
cudnnStatus_t report(const Tensor *t, const Conv *c, int wanted, int *returned, Perf *results,
                     const Known<Algorithm> (&known)[N]) {
    if (wanted < 1) return refuse(CUDNN_STATUS_BAD_PARAM, "no algorithm is wanted");
    *returned = 0;
    if (refused("heuristics")) return CUDNN_STATUS_SUCCESS;
    bool fma = c->math == CUDNN_FMA_MATH, both = !fma && !t->bf16();
    for (int pass = 0; pass < 3; pass++) // tensor cores, none, cannot run
        for (const Known<Algorithm> &k : known) {
            if (k.runs == (pass == 2) || (pass == 1 && !both) || *returned == wanted) continue;
            Perf &r = results[(*returned)++];
            memset(&r, 0, sizeof r);
            r.algo = k.algorithm;
            r.determinism = k.repeats ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
            r.status = k.runs ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
            r.time = -1.0f; // nothing was measured
            r.memory = k.runs ? k.memory : 0;
            r.mathType = fma || pass == 1 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;
        }
    return CUDNN_STATUS_SUCCESS;
}

// What a call that runs something may be refused for.
cudnnStatus_t may_run(cudnnHandle_t h, const Conv *c, size_t bytes) {
    if (h->card != current_card())
        return refuse(CUDNN_STATUS_BAD_PARAM, "the handle is another card's");
    if (c->math == CUDNN_DEFAULT_MATH && refused("default-math"))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the arithmetic that was listed was not set");
    return need_workspace(bytes);
}

} // namespace

extern "C" {

// ---- handles and descriptors --------------------------------------------------------------------
size_t cudnnGetVersion(void) {
    const char *other = getenv("EMULATION_CUDNN");
    return other ? strtoul(other, nullptr, 10) : CUDNN_VERSION;
}
const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_SUCCESS:
        return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
        return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
        return "CUDNN_STATUS_OTHER";
    }
}
void cudnnGetLastErrorString(char *message, size_t size) {
    snprintf(message, size, "%s", last_refusal());
}
cudnnStatus_t cudnnCreate(cudnnHandle_t *h) {
    *h = new cudnnContext;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) {
    delete h;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream) {
    h->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t h, cudaStream_t *stream) {
    *stream = h->stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *d) {
    *d = new cudnnTensorStruct;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) {
    delete d;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t d, cudnnDataType_t type, int n,
                                           int c, int h, int w, int sn, int sc, int sh, int sw) {
    if (!d || n < 1 || c < 1 || h < 1 || w < 1 || sn < 1 || sc < 1 || sh < 1 || sw < 1)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor's size or stride is not positive");
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only float and bf16 tensors");
    d->type = type;
    d->n = n, d->c = c, d->h = h, d->w = w;
    d->sn = sn, d->sc = sc, d->sh = sh, d->sw = sw;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
    if (format == CUDNN_TENSOR_NHWC)
        return cudnnSetTensor4dDescriptorEx(d, type, n, c, h, w, h * w * c, 1, w * c, c);
    if (format == CUDNN_TENSOR_NCHW)
        return cudnnSetTensor4dDescriptorEx(d, type, n, c, h, w, c * h * w, h * w, w, 1);
    return refuse(CUDNN_STATUS_BAD_PARAM, "this tensor format");
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *d) {
    *d = new cudnnFilterStruct;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) {
    delete d;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
    return cudnnSetTensor4dDescriptor(d, format, type, k, c, h, w);
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *d) {
    *d = new cudnnConvolutionStruct;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) {
    delete d;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w,
                                              int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
    if (!d || pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h < 1 ||
        dilation_w < 1)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a convolution's padding, stride or dilation");
    d->pad_h = pad_h, d->pad_w = pad_w, d->stride_h = stride_h, d->stride_w = stride_w;
    d->dilation_h = dilation_h, d->dilation_w = dilation_w, d->mode = mode, d->compute = compute;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
    d->math = math;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
    d->groups = groups;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(const cudnnConvolutionDescriptor_t d,
                                                    const cudnnTensorDescriptor_t x,
                                                    const cudnnFilterDescriptor_t f, int *n, int *c,
                                                    int *h, int *w) {
    if (!d || !x || !f || f->c != x->c) return refuse(CUDNN_STATUS_BAD_PARAM, "x and w do not fit");
    *n = x->n, *c = f->n;
    *h = out_size(x->h, f->h, d->pad_h, d->stride_h, d->dilation_h);
    *w = out_size(x->w, f->w, d->pad_w, d->stride_w, d->dilation_w);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t *d) {
    *d = new cudnnActivationStruct;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t d) {
    delete d;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d,
                                           cudnnActivationMode_t mode, cudnnNanPropagation_t,
                                           double) {
    d->mode = mode;
    return CUDNN_STATUS_SUCCESS;
}

// ---- choosing an algorithm ----------------------------------------------------------------------
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t x,
                                                     const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t c,
                                                     const cudnnTensorDescriptor_t y,
                                                     const int wanted, int *returned,
                                                     cudnnConvolutionFwdAlgoPerf_t *results) {
    static const Known<cudnnConvolutionFwdAlgo_t> known[] = {
        {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, true, true, (size_t)1 << 30},
        {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, true, true, WORKSPACE},
        {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, true, true, WORKSPACE},
        {CUDNN_CONVOLUTION_FWD_ALGO_FFT, true, false, 0}};
    cudnnStatus_t s = check(x, w, c, y);
    return s == CUDNN_STATUS_SUCCESS ? report(x, c, wanted, returned, results, known) : s;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t dx, const int wanted,
    int *returned, cudnnConvolutionBwdDataAlgoPerf_t *results) {
    static const Known<cudnnConvolutionBwdDataAlgo_t> known[] = {
        {CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, false, true, 0},
        {CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, true, true, WORKSPACE},
        {CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT, true, false, 0}};
    cudnnStatus_t s = check(dx, w, c, dy);
    return s == CUDNN_STATUS_SUCCESS ? report(dx, c, wanted, returned, results, known) : s;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t dw, const int wanted,
    int *returned, cudnnConvolutionBwdFilterAlgoPerf_t *results) {
    static const Known<cudnnConvolutionBwdFilterAlgo_t> known[] = {
        {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, false, true, 0},
        {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, true, true, WORKSPACE},
        {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT, true, false, 0}};
    cudnnStatus_t s = check(x, dw, c, dy);
    return s == CUDNN_STATUS_SUCCESS ? report(x, c, wanted, returned, results, known) : s;
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algorithm, size_t *bytes) {
    *bytes = WORKSPACE;
    if (algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM &&
        algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "NHWC needs IMPLICIT_(PRECOMP_)GEMM");
    return check(x, w, c, y);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algorithm, size_t *bytes) {
    *bytes = WORKSPACE;
    if (algorithm != CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "NHWC needs BWD_DATA_ALGO_1");
    return check(dx, w, c, dy);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *bytes) {
    *bytes = WORKSPACE;
    if (algorithm != CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "NHWC needs BWD_FILTER_ALGO_1");
    return check(x, dw, c, dy);
}

// ---- convolutions -------------------------------------------------------------------------------
cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t h, const void *alpha,
                                      const cudnnTensorDescriptor_t xd, const void *x,
                                      const cudnnFilterDescriptor_t wd, const void *w,
                                      const cudnnConvolutionDescriptor_t c,
                                      cudnnConvolutionFwdAlgo_t algorithm, void *workspace,
                                      size_t bytes, const void *beta,
                                      const cudnnTensorDescriptor_t yd, void *y) {
    size_t unused;
    cudnnStatus_t s = cudnnGetConvolutionForwardWorkspaceSize(h, xd, wd, c, yd, algorithm, &unused);
    if (s == CUDNN_STATUS_SUCCESS) s = may_run(h, c, bytes);
    if (s != CUDNN_STATUS_SUCCESS) return s;
    if (algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM && refused("precomp"))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "told to refuse IMPLICIT_PRECOMP_GEMM");
    if (refused("forward"))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "told to refuse every algorithm");
    return done(emulation_enqueue(
        h->stream, [=, xs = *xd, ws = *wd, ys = *yd, cs = *c, a = scalar(alpha), b = scalar(beta)] {
            require(xs, x, "cudnnConvolutionForward: x");
            require(ws, w, "cudnnConvolutionForward: w");
            require(ys, y, "cudnnConvolutionForward: y");
            if (overlap(x, xs.bytes(), y, ys.bytes())) fail("cudnnConvolutionForward: y is x");
            use_workspace(workspace, bytes, "cudnnConvolutionForward: workspace");
            write(ys, y,
                  forward(xs, read(xs, x, rounds(xs, cs)), ws, read(ws, w, rounds(ws, cs)), cs, ys),
                  a, b);
            check_canaries("cudnnConvolutionForward");
        }));
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t h, const void *alpha1, const cudnnTensorDescriptor_t xd, const void *x,
    const cudnnFilterDescriptor_t wd, const void *w, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionFwdAlgo_t algorithm, void *workspace, size_t bytes, const void *alpha2,
    const cudnnTensorDescriptor_t zd, const void *z, const cudnnTensorDescriptor_t bd,
    const void *bias, const cudnnActivationDescriptor_t activation,
    const cudnnTensorDescriptor_t yd, void *y) {
    size_t unused;
    cudnnStatus_t s = cudnnGetConvolutionForwardWorkspaceSize(h, xd, wd, c, yd, algorithm, &unused);
    if (s == CUDNN_STATUS_SUCCESS) s = may_run(h, c, bytes);
    if (s != CUDNN_STATUS_SUCCESS) return s;
    if (!zd || !bd || !activation) return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor is NULL");
    if (activation->mode != CUDNN_ACTIVATION_RELU && activation->mode != CUDNN_ACTIVATION_IDENTITY)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only relu and identity");
    if (zd->type != yd->type || zd->n != yd->n || zd->c != yd->c || zd->h != yd->h ||
        zd->w != yd->w || zd->sn != yd->sn || zd->sc != yd->sc || zd->sh != yd->sh ||
        zd->sw != yd->sw)
        return refuse(CUDNN_STATUS_BAD_PARAM, "z is not laid out as y");
    if (bd->type != yd->type)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the bias is not of y's type");
    if (bd->n != 1 || bd->c != yd->c || bd->h != 1 || bd->w != 1)
        return refuse(CUDNN_STATUS_BAD_PARAM, "the bias is not (1, K, 1, 1)");
    bool relu = activation->mode == CUDNN_ACTIVATION_RELU;
    if (!relu && algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "identity needs IMPLICIT_PRECOMP_GEMM");
    if (refused("fused")) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "told to refuse fused calls");
    return done(emulation_enqueue(h->stream, [=, xs = *xd, ws = *wd, ys = *yd, bs = *bd, cs = *c,
                                              a1 = scalar(alpha1), a2 = scalar(alpha2)] {
        require(xs, x, "cudnnConvolutionBiasActivationForward: x");
        require(ws, w, "cudnnConvolutionBiasActivationForward: w");
        require(ys, y, "cudnnConvolutionBiasActivationForward: y");
        require(ys, z, "cudnnConvolutionBiasActivationForward: z");
        require(bs, bias, "cudnnConvolutionBiasActivationForward: bias");
        if (overlap(x, xs.bytes(), y, ys.bytes()))
            fail("cudnnConvolutionBiasActivationForward: y is x");
        if (z != y && overlap(z, ys.bytes(), y, ys.bytes()))
            fail("cudnnConvolutionBiasActivationForward: z and y overlap");
        use_workspace(workspace, bytes, "cudnnConvolutionBiasActivationForward: workspace");
        std::vector<float> out =
            forward(xs, read(xs, x, rounds(xs, cs)), ws, read(ws, w, rounds(ws, cs)), cs, ys);
        for (size_t i = 0; i < out.size(); i++) {
            int64_t ch = i % ys.c, v = i / ys.c % ys.w, row = i / ys.c / ys.w;
            size_t at = ys.at(row / ys.h, ch, row % ys.h, v);
            float value = a1 * out[i] + load(bias, ch * bs.sc, bs.bf16());
            if (a2 != 0) value += a2 * load(z, at, ys.bf16());
            out[i] = relu && !(value > 0) ? 0 : value; // of NaN 0, as the real one's
        }
        write(ys, y, out, 1, 0);
        check_canaries("cudnnConvolutionBiasActivationForward");
    }));
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t h, const void *alpha,
                                           const cudnnFilterDescriptor_t wd, const void *w,
                                           const cudnnTensorDescriptor_t dyd, const void *dy,
                                           const cudnnConvolutionDescriptor_t c,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace,
                                           size_t bytes, const void *beta,
                                           const cudnnTensorDescriptor_t dxd, void *dx) {
    size_t unused;
    cudnnStatus_t s =
        cudnnGetConvolutionBackwardDataWorkspaceSize(h, wd, dyd, c, dxd, algorithm, &unused);
    if (s == CUDNN_STATUS_SUCCESS) s = may_run(h, c, bytes);
    if (s != CUDNN_STATUS_SUCCESS) return s;
    if (refused("data"))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "told to refuse every algorithm");
    return done(emulation_enqueue(h->stream, [=, ws = *wd, ys = *dyd, xs = *dxd, cs = *c,
                                              a = scalar(alpha), b = scalar(beta)] {
        require(ws, w, "cudnnConvolutionBackwardData: w");
        require(ys, dy, "cudnnConvolutionBackwardData: dy");
        require(xs, dx, "cudnnConvolutionBackwardData: dx");
        if (overlap(dx, xs.bytes(), dy, ys.bytes())) fail("cudnnConvolutionBackwardData: dx is dy");
        use_workspace(workspace, bytes, "cudnnConvolutionBackwardData: workspace");
        write(xs, dx,
              backward_data(xs, ws, read(ws, w, rounds(ws, cs)), cs, ys,
                            read(ys, dy, rounds(ys, cs))),
              a, b);
        check_canaries("cudnnConvolutionBackwardData");
    }));
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t h, const void *alpha,
                                             const cudnnTensorDescriptor_t xd, const void *x,
                                             const cudnnTensorDescriptor_t dyd, const void *dy,
                                             const cudnnConvolutionDescriptor_t c,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm,
                                             void *workspace, size_t bytes, const void *beta,
                                             const cudnnFilterDescriptor_t dwd, void *dw) {
    size_t unused;
    cudnnStatus_t s =
        cudnnGetConvolutionBackwardFilterWorkspaceSize(h, xd, dyd, c, dwd, algorithm, &unused);
    if (s == CUDNN_STATUS_SUCCESS) s = may_run(h, c, bytes);
    if (s != CUDNN_STATUS_SUCCESS) return s;
    if (refused("filter"))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "told to refuse every algorithm");
    return done(emulation_enqueue(h->stream, [=, ws = *dwd, ys = *dyd, xs = *xd, cs = *c,
                                              a = scalar(alpha), b = scalar(beta)] {
        require(xs, x, "cudnnConvolutionBackwardFilter: x");
        require(ys, dy, "cudnnConvolutionBackwardFilter: dy");
        require(ws, dw, "cudnnConvolutionBackwardFilter: dw");
        use_workspace(workspace, bytes, "cudnnConvolutionBackwardFilter: workspace");
        write(ws, dw,
              backward_filter(xs, read(xs, x, rounds(xs, cs)), ws, cs, ys,
                              read(ys, dy, rounds(ys, cs))),
              a, b);
        check_canaries("cudnnConvolutionBackwardFilter");
    }));
}

} // extern "C"
