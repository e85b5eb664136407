// SPDX-License-Identifier: Apache-2.0
// Convolutions through cuDNN, NHWC: its graphs (conv_graph.cu), and the legacy calls for what those
// refuse. The frozen norm is folded into the packed weights; bias, residual and ReLU are part of
// the same call where cuDNN has such a kernel, else one pass of our own.
#include "ops/cuda/conv.h"

static int64_t weight_count(const Conv *c) {
    return c->out_c * c->in_c * c->spec.kernel * c->spec.kernel;
}

// ---- describing ---------------------------------------------------------------------------------

static void describe_pass(Device *d, const ConvSpec *s, Pass *p) {
    dnn_ok(d, s, cuda_lib.cudnnCreateConvolutionDescriptor(&p->conv), "describe");
    if (d->failed) return;
    dnn_ok(d, s,
           cuda_lib.cudnnSetConvolution2dDescriptor(p->conv, s->padding, s->padding, s->stride,
                                                    s->stride, s->dilation, s->dilation,
                                                    CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
           "describe");
    dnn_ok(d, s, cuda_lib.cudnnSetConvolutionMathType(p->conv, conv_math(d)), "describe");
}

static void describe_convolution(Device *d, Conv *c) {
    const ConvSpec *s = &c->spec;
    cudnnDataType_t type = c->type == DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const cudnnTensorFormat_t nhwc = CUDNN_TENSOR_NHWC;
    int n = (int)s->n, k = s->kernel, in_c = (int)c->in_c, out_c = (int)c->out_c;
    if (!dnn_ok(d, s, cuda_lib.cudnnCreateTensorDescriptor(&c->x), "describe") ||
        !dnn_ok(d, s, cuda_lib.cudnnCreateTensorDescriptor(&c->y), "describe") ||
        !dnn_ok(d, s, cuda_lib.cudnnCreateTensorDescriptor(&c->bias), "describe") ||
        !dnn_ok(d, s, cuda_lib.cudnnCreateFilterDescriptor(&c->w), "describe") ||
        !dnn_ok(d, s, cuda_lib.cudnnCreateActivationDescriptor(&c->activation), "describe"))
        return;
    dnn_ok(
        d, s,
        cuda_lib.cudnnSetTensor4dDescriptor(c->x, nhwc, type, n, in_c, (int)s->in_h, (int)s->in_w),
        "input");
    dnn_ok(d, s,
           cuda_lib.cudnnSetTensor4dDescriptor(c->y, nhwc, type, n, out_c, (int)c->out_h,
                                               (int)c->out_w),
           "output");
    dnn_ok(d, s, cuda_lib.cudnnSetTensor4dDescriptor(c->bias, nhwc, type, 1, out_c, 1, 1), "bias");
    dnn_ok(d, s, cuda_lib.cudnnSetFilter4dDescriptor(c->w, type, nhwc, out_c, in_c, k, k),
           "weights");
    dnn_ok(d, s,
           cuda_lib.cudnnSetActivationDescriptor(
               c->activation, s->relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
               CUDNN_NOT_PROPAGATE_NAN, 0),
           "activation");
    for (int i = 0; i < PASSES && !d->failed; i++) describe_pass(d, s, &c->passes[i]);
}

// ---- the calls ----------------------------------------------------------------------------------
// Each gets the size of workspace that was asked for when its algorithm was chosen, even where the
// buffer has grown since, so that the same call computes the same bits.

cudnnStatus_t conv_run_forward(Device *d, const Conv *c, void *y, const void *x) {
    const Choice *a = &c->passes[FORWARD].choice;
    if (a->algorithm == OWN_KERNEL) {
        conv_own_forward(d, c, y, x);
        return CUDNN_STATUS_SUCCESS;
    }
    if (a->algorithm == GRAPH)
        return conv_graph_run(d, c, FORWARD, DnnOperands{x, c->packed, y, NULL, NULL});
    const float one = 1, zero = 0;
    return cuda_lib.cudnnConvolutionForward(cuda_of(d)->dnn, &one, c->x, x, c->w, c->packed,
                                            c->passes[FORWARD].conv,
                                            (cudnnConvolutionFwdAlgo_t)a->algorithm,
                                            cuda_of(d)->workspace, a->workspace, &zero, c->y, y);
}

cudnnStatus_t conv_run_fused(Device *d, const Conv *c, void *y, const void *x,
                             const void *residual) {
    const Choice *a = &c->passes[FORWARD].choice;
    if (a->algorithm == GRAPH)
        return conv_graph_run(d, c, FORWARD, DnnOperands{x, c->packed, y, c->shift, residual});
    const float one = 1, zero = 0;
    return cuda_lib.cudnnConvolutionBiasActivationForward(
        cuda_of(d)->dnn, &one, c->x, x, c->w, c->packed, c->passes[FORWARD].conv,
        (cudnnConvolutionFwdAlgo_t)a->algorithm, cuda_of(d)->workspace, a->workspace,
        residual ? &one : &zero, c->y, residual ? residual : y, c->bias, c->shift, c->activation,
        c->y, y);
}

cudnnStatus_t conv_run_data(Device *d, const Conv *c, void *dx, const void *dz) {
    const Choice *a = &c->passes[DATA].choice;
    if (a->algorithm == OWN_KERNEL) {
        conv_own_data(d, c, dx, dz);
        return CUDNN_STATUS_SUCCESS;
    }
    if (a->algorithm == GRAPH)
        return conv_graph_run(d, c, DATA, DnnOperands{dx, c->packed, dz, NULL, NULL});
    const float one = 1, zero = 0;
    return cuda_lib.cudnnConvolutionBackwardData(
        cuda_of(d)->dnn, &one, c->w, c->packed, c->y, dz, c->passes[DATA].conv,
        (cudnnConvolutionBwdDataAlgo_t)a->algorithm, cuda_of(d)->workspace, a->workspace, &zero,
        c->x, dx);
}

cudnnStatus_t conv_run_filter(Device *d, const Conv *c, const void *x, const void *dz) {
    const Choice *a = &c->passes[FILTER].choice;
    if (a->algorithm == OWN_KERNEL) {
        conv_own_filter(d, c, x, dz);
        return CUDNN_STATUS_SUCCESS;
    }
    if (a->algorithm == GRAPH)
        return conv_graph_run(d, c, FILTER, DnnOperands{x, c->dpacked, dz, NULL, NULL});
    const float one = 1, zero = 0;
    return cuda_lib.cudnnConvolutionBackwardFilter(
        cuda_of(d)->dnn, &one, c->x, x, c->y, dz, c->passes[FILTER].conv,
        (cudnnConvolutionBwdFilterAlgo_t)a->algorithm, cuda_of(d)->workspace, a->workspace, &zero,
        c->w, c->dpacked);
}

static void conv_free(Device *d, Conv *c) {
    if (!c) return;
    cuda_attach(d);
    for (int i = 0; i < PASSES; i++)
        if (c->passes[i].conv) cuda_lib.cudnnDestroyConvolutionDescriptor(c->passes[i].conv);
    cudnnTensorDescriptor_t tensors[] = {c->x, c->y, c->bias};
    for (int i = 0; i < 3; i++)
        if (tensors[i]) cuda_lib.cudnnDestroyTensorDescriptor(tensors[i]);
    if (c->w) cuda_lib.cudnnDestroyFilterDescriptor(c->w);
    if (c->activation) cuda_lib.cudnnDestroyActivationDescriptor(c->activation);
    d->release(d, c->packed);
    d->release(d, c->dpacked);
    d->release(d, c->shift);
    mem_free(c);
}

static Conv *conv_new(Device *d, ConvSpec spec) {
    if (d->failed) return NULL;
    cuda_attach(d);
    Conv *c = TRY_NEW(Conv, 1);
    if (!c) {
        device_fail_memory(d, "a convolution");
        return NULL;
    }
    c->spec = spec;
    c->type = d->activations;
    c->in_c = image_channels(spec.in_c);
    c->out_c = image_channels(spec.out_c);
    c->out_h = conv_out_size(spec.in_h, spec.kernel, spec.stride, spec.padding, spec.dilation);
    c->out_w = conv_out_size(spec.in_w, spec.kernel, spec.stride, spec.padding, spec.dilation);
    size_t size = dtype_size(c->type);
    if (spec.n * c->in_c * spec.in_h * spec.in_w > INT32_MAX ||
        spec.n * c->out_c * c->out_h * c->out_w > INT32_MAX) {
        device_fail(
            d,
            "convolution of %ld images of %ldx%ld: more than 2^31 values, which cuDNN does not "
            "take; use a smaller --batch_size or --policy.resize_shape",
            (long)spec.n, (long)spec.in_h, (long)spec.in_w);
        mem_free(c);
        return NULL;
    }
    describe_convolution(d, c);
    c->packed = d->alloc(d, (size_t)weight_count(c) * size);
    c->shift = d->alloc(d, (size_t)c->out_c * size);
    if (spec.train) c->dpacked = d->alloc(d, (size_t)weight_count(c) * size);
    if (!d->failed) conv_choose(d, c);
    if (!d->failed) return c;
    conv_free(d, c);
    return NULL;
}

// ---- weights ------------------------------------------------------------------------------------

struct WeightShape {
    uint32_t O, I; // channels as in w
    Divider area, stored_i;
};

static WeightShape weight_shape(const Conv *c) {
    WeightShape s = {(uint32_t)c->spec.out_c, (uint32_t)c->spec.in_c,
                     divider_of((uint32_t)(c->spec.kernel * c->spec.kernel)),
                     divider_of((uint32_t)c->in_c)};
    return s;
}

// Row: an output channel as stored; columns: (tap, input channel) as stored.
template <typename T> struct Pack {
    T *packed, *shift_out;
    const float *w, *scale, *shift;
    WeightShape s;
    __device__ void operator()(uint32_t o, uint32_t c, int n) const {
        uint32_t area = s.area.divisor, row = area * s.stored_i.divisor;
        for (int k = 0; k < n; k++) {
            uint32_t tap = s.stored_i.quotient(c + k), i = s.stored_i.rest(c + k, tap);
            float v = 0;
            if (o < s.O && i < s.I) v = w[((uint64_t)o * s.I + i) * area + tap] * scale[o];
            packed[(uint64_t)o * row + c + k] = from_float<T>(v);
        }
        if (c == 0) shift_out[o] = from_float<T>(o < s.O ? shift[o] : 0.0f);
    }
};

template <typename T>
static void pack_weights(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    Pack<T> f = {(T *)c->packed, (T *)c->shift, f32(w), f32(scale), f32(shift), weight_shape(c)};
    for_quads(d, "conv_load", f, c->out_c, c->in_c * c->spec.kernel * c->spec.kernel);
}

static void conv_load(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    if (!c) return;
    c->scale = scale;
    BY_TYPE(c->type, pack_weights, d, c, w, scale, shift);
}

// dw += scale * dpacked, back in (O, I, k, k). Row: an output channel; columns: (input channel,
// tap).
template <typename T> struct Unpack {
    float *dw;
    const T *dpacked;
    const float *scale;
    WeightShape s;
    __device__ void operator()(uint32_t o, uint32_t c, int n) const {
        const uint32_t area = s.area.divisor;
        for (int k = 0; k < n; k++) {
            uint32_t i = s.area.quotient(c + k), tap = s.area.rest(c + k, i);
            float v = to_float(dpacked[((uint64_t)o * area + tap) * s.stored_i.divisor + i]);
            dw[(uint64_t)o * s.I * area + c + k] += scale[o] * v;
        }
    }
};

template <typename T> static void add_weight_gradients(Device *d, Conv *c, Tensor dw) {
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

template <typename T> static void finish_forward(Device *d, Conv *c, Tensor y, Tensor residual) {
    Finish<T> f = {(T *)y.data,  (const T *)residual.data, (const T *)c->shift, (uint32_t)c->out_c,
                   c->spec.relu, c->out_c % 4 == 0};
    for_quads(d, "conv_forward", f, c->spec.n * c->out_h * c->out_w, c->out_c);
}

static void conv_forward(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual) {
    if (!c || d->failed) return;
    cuda_attach(d);
    cuda_issued(d, conv_pass_name(FORWARD), c->spec.n * c->out_h * c->out_w, c->out_c);
    if (!c->spec.residual) residual.data = NULL;
    if (c->fused) {
        cudnnStatus_t status = conv_run_fused(d, c, y.data, x.data, residual.data);
        if (status == CUDNN_STATUS_SUCCESS) return;
        if (c->passes[FORWARD].choice.algorithm == GRAPH) { // it ran when it was tried
            dnn_ok(d, &c->spec, status, conv_pass_name(FORWARD));
            return;
        }
        conv_give_up_fused(d, c, status);
    }
    if (!dnn_ok(d, &c->spec, conv_run_forward(d, c, y.data, x.data), conv_pass_name(FORWARD)))
        return;
    BY_TYPE(y.dtype, finish_forward, d, c, y, residual);
}

static void conv_backward(Device *d, Conv *c, Tensor dx, Tensor dw, Tensor dz, Tensor x) {
    if (!c || d->failed) return;
    cuda_attach(d);
    int64_t rows = c->spec.n * c->out_h * c->out_w;
    if (c->spec.need_dx) {
        cuda_issued(d, conv_pass_name(DATA), rows, c->out_c);
        dnn_ok(d, &c->spec, conv_run_data(d, c, dx.data, dz.data), conv_pass_name(DATA));
    }
    cuda_issued(d, conv_pass_name(FILTER), rows, c->out_c);
    dnn_ok(d, &c->spec, conv_run_filter(d, c, x.data, dz.data), conv_pass_name(FILTER));
    BY_TYPE(c->type, add_weight_gradients, d, c, dw);
}

void cuda_conv_ops(Device *d) {
    d->conv_new = conv_new;
    d->conv_free = conv_free;
    d->conv_load = conv_load;
    d->conv_forward = conv_forward;
    d->conv_backward = conv_backward;
}
