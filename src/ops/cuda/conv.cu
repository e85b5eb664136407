// SPDX-License-Identifier: Apache-2.0
// Convolutions through cuDNN, NHWC. The frozen norm is folded into the packed weights; bias, residual
// and ReLU are part of the same call where cuDNN has such a kernel, else one pass of our own. Only
// algorithms that give the same bits every time are used. Which is fastest is found by trying, once for each
// shape; TACT_LOG_CONV in the environment says what was chosen.
#include "ops/cuda/cuda.h"

extern "C" {
#include "base/log.h"
}
#include <stdlib.h>
#include <string.h>

enum { MAX_ALGORITHMS = 16, MAX_CONV_SHAPES = 128 };
static const size_t workspace_limit = (size_t)256 << 20;

// What was chosen for one of the three products.
typedef struct Choice {
    int algorithm;
    cudnnMathType_t math;
    size_t workspace;
} Choice;

typedef struct Pass {
    cudnnConvolutionDescriptor_t conv;
    Choice choice;
} Pass;

// The choices for a shape, kept so that convolutions of one shape are computed alike.
typedef struct ConvChoice {
    ConvSpec spec;
    Choice forward, data, filter;
    bool fused;
} ConvChoice;

struct ConvChoices {
    int n;
    ConvChoice list[MAX_CONV_SHAPES];
};

struct Conv {
    ConvSpec spec;
    int64_t in_c, out_c, out_h, out_w; // channels as stored
    DType type;
    cudnnTensorDescriptor_t x, y, bias;
    cudnnFilterDescriptor_t w;
    cudnnActivationDescriptor_t activation;
    Pass forward, data, filter;
    bool fused;                     // bias, residual and relu within the forward call
    void *packed, *dpacked, *shift; // (O, k, k, I), the same, (O), in the activation type
    Tensor scale;                   // borrowed
};

static bool dnn_ok(Device *d, const ConvSpec *s, cudnnStatus_t status, const char *what) {
    if (status != CUDNN_STATUS_SUCCESS)
        device_fail(d, "convolution %ld x %ldx%ldx%ld -> %ld, kernel %d, stride %d: %s: cuDNN: %s",
                    (long)s->n, (long)s->in_c, (long)s->in_h, (long)s->in_w, (long)s->out_c, s->kernel,
                    s->stride, what, cudnnGetErrorString(status));
    return status == CUDNN_STATUS_SUCCESS;
}

static int64_t weight_count(const Conv *c) {
    return c->out_c * c->in_c * c->spec.kernel * c->spec.kernel;
}

// ---- planning -----------------------------------------------------------------------------------

// FMA keeps float32 whole; the default lets tensor cores round factors to TF32.
static cudnnMathType_t wanted_math(Device *d) {
    if (d->precision == PRECISION_BFLOAT16) return CUDNN_TENSOR_OP_MATH;
    return d->precision == PRECISION_FLOAT32 ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

static void describe_pass(Device *d, const ConvSpec *s, Pass *p) {
    dnn_ok(d, s, cudnnCreateConvolutionDescriptor(&p->conv), "describe");
    if (d->failed) return;
    dnn_ok(d, s, cudnnSetConvolution2dDescriptor(p->conv, s->padding, s->padding, s->stride, s->stride,
                                                 s->dilation, s->dilation, CUDNN_CROSS_CORRELATION,
                                                 CUDNN_DATA_FLOAT), "describe");
    dnn_ok(d, s, cudnnSetConvolutionMathType(p->conv, wanted_math(d)), "describe");
}

static void describe(Device *d, Conv *c) {
    const ConvSpec *s = &c->spec;
    cudnnDataType_t type = c->type == DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const cudnnTensorFormat_t nhwc = CUDNN_TENSOR_NHWC;
    int n = (int)s->n, k = s->kernel, in_c = (int)c->in_c, out_c = (int)c->out_c;
    if (!dnn_ok(d, s, cudnnCreateTensorDescriptor(&c->x), "describe") ||
        !dnn_ok(d, s, cudnnCreateTensorDescriptor(&c->y), "describe") ||
        !dnn_ok(d, s, cudnnCreateTensorDescriptor(&c->bias), "describe") ||
        !dnn_ok(d, s, cudnnCreateFilterDescriptor(&c->w), "describe") ||
        !dnn_ok(d, s, cudnnCreateActivationDescriptor(&c->activation), "describe"))
        return;
    dnn_ok(d, s, cudnnSetTensor4dDescriptor(c->x, nhwc, type, n, in_c, (int)s->in_h, (int)s->in_w),
           "input");
    dnn_ok(d, s, cudnnSetTensor4dDescriptor(c->y, nhwc, type, n, out_c, (int)c->out_h, (int)c->out_w),
           "output");
    dnn_ok(d, s, cudnnSetTensor4dDescriptor(c->bias, nhwc, type, 1, out_c, 1, 1), "bias");
    dnn_ok(d, s, cudnnSetFilter4dDescriptor(c->w, type, nhwc, out_c, in_c, k, k), "weights");
    dnn_ok(d, s, cudnnSetActivationDescriptor(
                     c->activation, s->relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                     CUDNN_NOT_PROPAGATE_NAN, 0), "activation");
    describe_pass(d, s, &c->forward);
    describe_pass(d, s, &c->data);
    describe_pass(d, s, &c->filter);
}

// The first that ran, fits, repeats its bits and keeps the precision; cuDNN lists the fastest first. It
// tries other arithmetic than was asked for too: float32 takes FMA only.
template <typename Perf>
static bool choose(Device *d, const ConvSpec *s, Pass *p, const Perf *found, int n, const char *what) {
    for (int i = 0; i < n; i++) {
        if (found[i].status != CUDNN_STATUS_SUCCESS || found[i].memory > workspace_limit ||
            found[i].determinism != CUDNN_DETERMINISTIC ||
            (d->precision == PRECISION_FLOAT32 && found[i].mathType != CUDNN_FMA_MATH))
            continue;
        p->choice = Choice{(int)found[i].algo, found[i].mathType, found[i].memory};
        return true;
    }
    return dnn_ok(d, s, CUDNN_STATUS_NOT_SUPPORTED, what);
}

// Memory to try algorithms on: x, y, w as the convolution will have them.
typedef struct Trial {
    void *x, *y, *w;
} Trial;

static void find_forward(Device *d, Conv *c, Trial t) {
    Cuda *u = cuda_of(d);
    cudnnConvolutionFwdAlgoPerf_t found[MAX_ALGORITHMS];
    int n = 0;
    if (!cuda_workspace(d, workspace_limit)) return;
    if (dnn_ok(d, &c->spec, cudnnFindConvolutionForwardAlgorithmEx(
                   u->dnn, c->x, t.x, c->w, t.w, c->forward.conv, c->y, t.y, MAX_ALGORITHMS, &n, found,
                   u->workspace, workspace_limit), "forward"))
        choose(d, &c->spec, &c->forward, found, n, "forward");
}

static void find_data(Device *d, Conv *c, Trial t) {
    Cuda *u = cuda_of(d);
    cudnnConvolutionBwdDataAlgoPerf_t found[MAX_ALGORITHMS];
    int n = 0;
    if (dnn_ok(d, &c->spec, cudnnFindConvolutionBackwardDataAlgorithmEx(
                   u->dnn, c->w, t.w, c->y, t.y, c->data.conv, c->x, t.x, MAX_ALGORITHMS, &n, found,
                   u->workspace, workspace_limit), "backward data"))
        choose(d, &c->spec, &c->data, found, n, "backward data");
}

static void find_filter(Device *d, Conv *c, Trial t) {
    Cuda *u = cuda_of(d);
    cudnnConvolutionBwdFilterAlgoPerf_t found[MAX_ALGORITHMS];
    int n = 0;
    if (dnn_ok(d, &c->spec, cudnnFindConvolutionBackwardFilterAlgorithmEx(
                   u->dnn, c->x, t.x, c->y, t.y, c->filter.conv, c->w, t.w, MAX_ALGORITHMS, &n, found,
                   u->workspace, workspace_limit), "backward weights"))
        choose(d, &c->spec, &c->filter, found, n, "backward weights");
}

static cudnnStatus_t run_fused(Device *d, Conv *c, void *y, const void *x, const void *residual) {
    Cuda *u = cuda_of(d);
    const float one = 1, zero = 0;
    return cudnnConvolutionBiasActivationForward(
        u->dnn, &one, c->x, x, c->w, c->packed, c->forward.conv,
        (cudnnConvolutionFwdAlgo_t)c->forward.choice.algorithm, u->workspace, u->workspace_bytes,
        residual ? &one : &zero, c->y, residual ? residual : y, c->bias, c->shift, c->activation, c->y,
        y);
}

// Without an activation cuDNN fuses the bias with one algorithm only.
static bool may_fuse(const Conv *c) {
    return c->spec.relu || c->forward.choice.algorithm ==
                               CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
}

// Tries everything on memory of the convolution's own sizes.
static void find_algorithms(Device *d, Conv *c) {
    const ConvSpec *s = &c->spec;
    size_t size = dtype_size(c->type);
    Trial t = {d->alloc(d, (size_t)(s->n * c->in_c * s->in_h * s->in_w) * size),
               d->alloc(d, (size_t)(s->n * c->out_c * c->out_h * c->out_w) * size), c->dpacked};
    void *w = t.w ? NULL : d->alloc(d, (size_t)weight_count(c) * size);
    if (w) t.w = w;
    if (!d->failed) find_forward(d, c, t);
    if (!d->failed && s->train) find_filter(d, c, t);
    if (!d->failed && s->train && s->need_dx) find_data(d, c, t);
    cudaGetLastError(); // an algorithm that could not run is no failure
    if (!d->failed && may_fuse(c))
        c->fused = run_fused(d, c, t.y, t.x, s->residual ? t.y : NULL) == CUDNN_STATUS_SUCCESS;
    cuda_ok(d, cudaStreamSynchronize(cuda_of(d)->stream), "trying convolutions");
    d->release(d, t.x);
    d->release(d, t.y);
    d->release(d, w);
}

static bool same_spec(const ConvSpec *a, const ConvSpec *b) {
    return a->n == b->n && a->in_c == b->in_c && a->in_h == b->in_h && a->in_w == b->in_w &&
           a->out_c == b->out_c && a->kernel == b->kernel && a->stride == b->stride &&
           a->padding == b->padding && a->dilation == b->dilation && a->relu == b->relu &&
           a->residual == b->residual && a->train == b->train && a->need_dx == b->need_dx;
}

static void log_choice(const Conv *c) {
    if (!getenv("TACT_LOG_CONV")) return;
    const ConvSpec *s = &c->spec;
    log_info("conv %ldx%ldx%ldx%ld -> %ld, kernel %d, stride %d: forward %d (math %d, %zu kB%s), "
             "data %d (math %d, %zu kB), filter %d (math %d, %zu kB)",
             (long)s->n, (long)s->in_c, (long)s->in_h, (long)s->in_w, (long)s->out_c, s->kernel, s->stride,
             c->forward.choice.algorithm, (int)c->forward.choice.math,
             c->forward.choice.workspace / 1024, c->fused ? ", fused" : "", c->data.choice.algorithm,
             (int)c->data.choice.math, c->data.choice.workspace / 1024, c->filter.choice.algorithm,
             (int)c->filter.choice.math, c->filter.choice.workspace / 1024);
}

// Takes over what was chosen for this shape before, or finds it.
static void choose_algorithms(Device *d, Conv *c) {
    Cuda *u = cuda_of(d);
    if (!u->conv_choices) u->conv_choices = NEW(ConvChoices, 1);
    ConvChoices *all = u->conv_choices;
    ConvChoice *known = NULL;
    for (int i = 0; i < all->n && !known; i++)
        if (same_spec(&all->list[i].spec, &c->spec)) known = &all->list[i];
    if (known) {
        c->forward.choice = known->forward;
        c->data.choice = known->data;
        c->filter.choice = known->filter;
        c->fused = known->fused;
    } else {
        find_algorithms(d, c);
        if (!d->failed && all->n < MAX_CONV_SHAPES)
            all->list[all->n++] = ConvChoice{c->spec, c->forward.choice, c->data.choice,
                                             c->filter.choice, c->fused};
        if (!d->failed) log_choice(c);
    }
    Pass *passes[] = {&c->forward, &c->data, &c->filter};
    const bool used[] = {true, c->spec.train && c->spec.need_dx, c->spec.train};
    for (int i = 0; i < 3 && !d->failed; i++)
        if (used[i])
            dnn_ok(d, &c->spec, cudnnSetConvolutionMathType(passes[i]->conv, passes[i]->choice.math),
                   "arithmetic");
}

static void conv_free(Device *d, Conv *c) {
    if (!c) return;
    Pass *passes[] = {&c->forward, &c->data, &c->filter};
    for (int i = 0; i < 3; i++)
        if (passes[i]->conv) cudnnDestroyConvolutionDescriptor(passes[i]->conv);
    cudnnTensorDescriptor_t tensors[] = {c->x, c->y, c->bias};
    for (int i = 0; i < 3; i++)
        if (tensors[i]) cudnnDestroyTensorDescriptor(tensors[i]);
    if (c->w) cudnnDestroyFilterDescriptor(c->w);
    if (c->activation) cudnnDestroyActivationDescriptor(c->activation);
    d->release(d, c->packed);
    d->release(d, c->dpacked);
    d->release(d, c->shift);
    mem_free(c);
}

static Conv *conv_new(Device *d, ConvSpec spec) {
    if (d->failed) return NULL;
    Conv *c = NEW(Conv, 1);
    c->spec = spec;
    c->type = d->activations;
    c->in_c = image_channels(spec.in_c);
    c->out_c = image_channels(spec.out_c);
    c->out_h = conv_out_size(spec.in_h, spec.kernel, spec.stride, spec.padding, spec.dilation);
    c->out_w = conv_out_size(spec.in_w, spec.kernel, spec.stride, spec.padding, spec.dilation);
    size_t size = dtype_size(c->type);
    if (spec.n * c->in_c * spec.in_h * spec.in_w > INT32_MAX ||
        spec.n * c->out_c * c->out_h * c->out_w > INT32_MAX) {
        device_fail(d, "convolution of %ld images of %ldx%ld: more than 2^31 values, which cuDNN does not "
                       "take; use a smaller --batch_size or --policy.resize_shape",
                    (long)spec.n, (long)spec.in_h, (long)spec.in_w);
        mem_free(c);
        return NULL;
    }
    describe(d, c);
    c->packed = d->alloc(d, (size_t)weight_count(c) * size);
    c->shift = d->alloc(d, (size_t)c->out_c * size);
    if (spec.train) c->dpacked = d->alloc(d, (size_t)weight_count(c) * size);
    if (!d->failed) choose_algorithms(d, c);
    if (!d->failed) return c;
    conv_free(d, c);
    return NULL;
}

// ---- weights ------------------------------------------------------------------------------------

struct WeightShape {
    uint32_t O, I, area, stored_i; // channels as in w, as stored
};

static WeightShape weight_shape(const Conv *c) {
    WeightShape s = {(uint32_t)c->spec.out_c, (uint32_t)c->spec.in_c,
                     (uint32_t)(c->spec.kernel * c->spec.kernel), (uint32_t)c->in_c};
    return s;
}

// Row: an output channel as stored; columns: (tap, input channel) as stored.
template <typename T> struct Pack {
    T *packed, *shift_out;
    const float *w, *scale, *shift;
    WeightShape s;
    __device__ void operator()(uint32_t o, uint32_t c, int n) const {
        uint32_t row = s.area * s.stored_i;
        for (int k = 0; k < n; k++) {
            uint32_t tap = (c + k) / s.stored_i, i = (c + k) % s.stored_i;
            float v = 0;
            if (o < s.O && i < s.I) v = w[((uint64_t)o * s.I + i) * s.area + tap] * scale[o];
            packed[(uint64_t)o * row + c + k] = from_float<T>(v);
        }
        if (c == 0) shift_out[o] = from_float<T>(o < s.O ? shift[o] : 0.0f);
    }
};

template <typename T> static void pack(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    Pack<T> f = {(T *)c->packed, (T *)c->shift, f32(w), f32(scale), f32(shift), weight_shape(c)};
    for_quads(d, "conv_load", f, c->out_c, c->in_c * c->spec.kernel * c->spec.kernel);
}

static void conv_load(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    if (!c) return;
    c->scale = scale;
    if (c->type == DTYPE_BF16) pack<bf16>(d, c, w, scale, shift);
    else pack<float>(d, c, w, scale, shift);
}

// dw += scale * dpacked, back in (O, I, k, k). Row: an output channel; columns: (input channel, tap).
template <typename T> struct Unpack {
    float *dw;
    const T *dpacked;
    const float *scale;
    WeightShape s;
    __device__ void operator()(uint32_t o, uint32_t c, int n) const {
        for (int k = 0; k < n; k++) {
            uint32_t i = (c + k) / s.area, tap = (c + k) % s.area;
            float v = to_float(dpacked[((uint64_t)o * s.area + tap) * s.stored_i + i]);
            dw[(uint64_t)o * s.I * s.area + c + k] += scale[o] * v;
        }
    }
};

template <typename T> static void unpack(Device *d, Conv *c, Tensor dw) {
    Unpack<T> f = {f32(dw), (const T *)c->dpacked, f32(c->scale), weight_shape(c)};
    for_quads(d, "conv_backward", f, c->spec.out_c, c->spec.in_c * c->spec.kernel * c->spec.kernel);
}

// ---- forward and backward -----------------------------------------------------------------------

// y = act(y + shift + residual), where cuDNN did not do it. Row: a pixel.
template <typename T> struct Finish {
    T *y;
    const T *residual, *shift;
    uint32_t C;
    bool relu, fast;
    __device__ void operator()(uint32_t pixel, uint32_t c, int n) const {
        uint64_t at = (uint64_t)pixel * C + c;
        Quad q = load_quad(y + at, n, fast), b = load_quad(shift + c, n, fast);
        Quad r = {{0, 0, 0, 0}};
        if (residual) r = load_quad(residual + at, n, fast);
        for (int i = 0; i < 4; i++) {
            q.v[i] += b.v[i] + r.v[i];
            if (relu) q.v[i] = q.v[i] < 0 ? 0 : q.v[i];
        }
        store_quad(y + at, q, n, fast);
    }
};

template <typename T> static void finish(Device *d, Conv *c, Tensor y, Tensor residual) {
    Finish<T> f = {(T *)y.data, (const T *)residual.data, (const T *)c->shift, (uint32_t)c->out_c,
                   c->spec.relu, c->out_c % 4 == 0};
    for_quads(d, "conv_forward", f, c->spec.n * c->out_h * c->out_w, c->out_c);
}

static void conv_forward(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual) {
    if (!c || d->failed) return;
    Cuda *u = cuda_of(d);
    if (!c->spec.residual) residual.data = NULL;
    if (c->fused) {
        dnn_ok(d, &c->spec, run_fused(d, c, y.data, x.data, residual.data), "forward");
        return;
    }
    const float one = 1, zero = 0;
    if (!dnn_ok(d, &c->spec, cudnnConvolutionForward(
                    u->dnn, &one, c->x, x.data, c->w, c->packed, c->forward.conv,
                    (cudnnConvolutionFwdAlgo_t)c->forward.choice.algorithm, u->workspace,
                    u->workspace_bytes, &zero, c->y, y.data), "forward"))
        return;
    BY_TYPE(y, finish<float>(d, c, y, residual), finish<bf16>(d, c, y, residual));
}

static void conv_backward(Device *d, Conv *c, Tensor dx, Tensor dw, Tensor dz, Tensor x) {
    if (!c || d->failed) return;
    Cuda *u = cuda_of(d);
    const float one = 1, zero = 0;
    if (c->spec.need_dx)
        dnn_ok(d, &c->spec, cudnnConvolutionBackwardData(
                   u->dnn, &one, c->w, c->packed, c->y, dz.data, c->data.conv,
                   (cudnnConvolutionBwdDataAlgo_t)c->data.choice.algorithm, u->workspace,
                   u->workspace_bytes,                   &zero, c->x, dx.data), "backward data");
    dnn_ok(d, &c->spec, cudnnConvolutionBackwardFilter(
               u->dnn, &one, c->x, x.data, c->y, dz.data, c->filter.conv,
               (cudnnConvolutionBwdFilterAlgo_t)c->filter.choice.algorithm, u->workspace,
               u->workspace_bytes, &zero, c->w, c->dpacked), "backward weights");
    if (c->type == DTYPE_BF16) unpack<bf16>(d, c, dw);
    else unpack<float>(d, c, dw);
}

void cuda_conv_ops(Device *d) {
    d->conv_new = conv_new;
    d->conv_free = conv_free;
    d->conv_load = conv_load;
    d->conv_forward = conv_forward;
    d->conv_backward = conv_backward;
}
