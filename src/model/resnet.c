// SPDX-License-Identifier: Apache-2.0
// torchvision's ResNet up to layer4, with frozen batch norms folded into the convolutions.
#include "model/layers.h"

#include <math.h>
#include <stdio.h>

static const double norm_eps = 1e-5; // FrozenBatchNorm2d's

// A convolution with its folded norm.
typedef struct FrozenConv {
    Conv *plan;
    ConvSpec spec;
    int64_t out_h, out_w;
    Tensor w, dw;        // (O, I, k, k)
    char norm[32];       // "layer4.0.bn1"
    Tensor scale, shift; // (O), from the norm's buffers
} FrozenConv;

typedef struct Block {
    ParamRange params;
    int n;
    FrozenConv convs[RESNET_MAX_CONVS];
    bool downsample;
    FrozenConv down;
    // saved: inputs of each convolution and the block's output
    Tensor in[RESNET_MAX_CONVS], out;
} Block;

struct ResNet {
    Device *device;
    FrozenConv stem;
    Pool *pool;
    int n_blocks;
    Block *blocks;
    int64_t n, h, w; // input
    int64_t pool_h, pool_w;
    Tensor x, stem_out, pooled; // saved
    Tensor folds;               // memory of all scales and shifts
    int64_t folds_used;
};

enum { NORM_WEIGHT, NORM_BIAS, NORM_MEAN, NORM_VAR };

// One of the four tensors of a norm.
static const Param *norm_param(const Params *p, const char *norm, int which) {
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    char name[128];
    snprintf(name, sizeof name, "model.backbone.%s.%s", norm, names[which]);
    return params_find(p, name);
}

// scale = weight / sqrt(var + eps), shift = bias - mean * scale (torchvision's FrozenBatchNorm2d).
static void fold_norm(ResNet *r, const Params *p, const FrozenConv *c) {
    int64_t n = c->spec.out_c;
    float *host = TRY_NEW(float, 6 * n);
    if (!host) device_fail_memory(r->device, "the norm of %ld channels", (long)n);
    if (r->device->failed) {
        mem_free(host);
        return;
    }
    float *scale = host + 4 * n, *shift = host + 5 * n;
    for (int i = 0; i < 4; i++) param_get(p, norm_param(p, c->norm, i), host + i * n);
    for (int64_t i = 0; i < n; i++) {
        double s = host[NORM_WEIGHT * n + i] / sqrt(host[NORM_VAR * n + i] + norm_eps);
        scale[i] = (float)s;
        shift[i] = (float)(host[NORM_BIAS * n + i] - host[NORM_MEAN * n + i] * s);
        if (!isfinite(scale[i]) || !isfinite(shift[i]))
            device_fail(r->device,
                        "model.backbone.%s: channel %lld is not finite, its running_var %g: "
                        "the weights are damaged; take another file",
                        c->norm, (long long)i, (double)host[NORM_VAR * n + i]);
    }
    r->device->upload(r->device, c->scale.data, scale, (size_t)n * sizeof(float));
    r->device->upload(r->device, c->shift.data, shift, (size_t)n * sizeof(float));
    mem_free(host);
}

static void conv_init(ResNet *r, const Params *p, FrozenConv *c, ConvSpec spec, const char *conv,
                      const char *norm) {
    c->w = value_of(p, "model.backbone.%s.weight", conv);
    spec.rounding = c->w.rounding;
    c->spec = spec;
    c->out_h = conv_out_size(spec.in_h, spec.kernel, spec.stride, spec.padding, spec.dilation);
    c->out_w = conv_out_size(spec.in_w, spec.kernel, spec.stride, spec.padding, spec.dilation);
    c->dw = grad_of(p, "model.backbone.%s.weight", conv);
    c->plan = r->device->conv_new(r->device, spec);
    snprintf(c->norm, sizeof c->norm, "%s", norm);
    c->scale = tensor_slice(r->folds, 0, r->folds_used, spec.out_c);
    c->shift = tensor_slice(r->folds, 0, r->folds_used + spec.out_c, spec.out_c);
    r->folds_used += 2 * spec.out_c;
    fold_norm(r, p, c);
}

static void block_conv_init(ResNet *r, const Params *p, FrozenConv *c, const BlockConv *b,
                            const char *prefix, int64_t h, int64_t w, bool relu, bool residual,
                            bool train) {
    ConvSpec spec = {.n = r->n,
                     .in_c = b->in_c,
                     .in_h = h,
                     .in_w = w,
                     .out_c = b->out_c,
                     .kernel = b->kernel,
                     .stride = b->stride,
                     .padding = b->padding,
                     .dilation = b->dilation,
                     .relu = relu,
                     .residual = residual,
                     .train = train,
                     .need_dx = true};
    char conv[64], norm[64];
    snprintf(conv, sizeof conv, "%s.%s", prefix, b->conv);
    snprintf(norm, sizeof norm, "%s.%s", prefix, b->norm);
    conv_init(r, p, c, spec, conv, norm);
}

// Plans one block; h and w are its input size and become its output size.
static void block_init(ResNet *r, const Params *p, Block *block, const BlockShape *shape,
                       const char *prefix, int64_t *h, int64_t *w, bool train) {
    int64_t in_h = *h, in_w = *w;
    char name[64];
    snprintf(name, sizeof name, "model.backbone.%s.", prefix);
    block->params = params_range(p, name);
    block->n = shape->n;
    block->downsample = shape->downsample;
    for (int i = 0; i < shape->n; i++) {
        bool last = i == shape->n - 1;
        FrozenConv *c = &block->convs[i];
        block_conv_init(r, p, c, &shape->convs[i], prefix, *h, *w, true, last, train);
        *h = c->out_h;
        *w = c->out_w;
    }
    if (shape->downsample)
        block_conv_init(r, p, &block->down, &shape->down, prefix, in_h, in_w, false, false, train);
}

// Elements of all scales and shifts, each rounded up to whole cache lines by being channels.
static int64_t fold_count(const ResNetShape *shape) {
    int64_t n = 2 * 64;
    for (int s = 0; s < RESNET_STAGES; s++)
        for (int b = 0; b < shape->blocks[s]; b++) {
            BlockShape block = resnet_block(shape, s, b);
            for (int i = 0; i < block.n; i++) n += 2 * block.convs[i].out_c;
            if (block.downsample) n += 2 * block.down.out_c;
        }
    return n;
}

bool resnet_new(Device *d, const Params *p, const PolicyConfig *c, int64_t n, int64_t h, int64_t w,
                bool train, ResNet **out, Error *err) {
    *out = NULL;
    ResNetShape shape;
    if (!resnet_shape(c->vision_backbone, c->replace_final_stride_with_dilation, &shape, err))
        return false;
    int n_blocks = 0;
    for (int s = 0; s < RESNET_STAGES; s++) n_blocks += shape.blocks[s];
    ResNet *r = TRY_NEW(ResNet, 1);
    if (!r) return fail_memory(err, "a plan of the ResNet");
    *r = (ResNet){.device = d, .n = n, .h = h, .w = w};
    r->blocks = TRY_NEW(Block, n_blocks);
    if (r->blocks)
        r->n_blocks = n_blocks;
    else
        device_fail_memory(d, "a plan of the ResNet's blocks");
    int64_t folds = fold_count(&shape);
    r->folds = params_flat(d, folds);
    if (!device_check(d, err)) goto error;

    ConvSpec stem = {.n = n,
                     .in_c = 3,
                     .in_h = h,
                     .in_w = w,
                     .out_c = 64,
                     .kernel = 7,
                     .stride = 2,
                     .padding = 3,
                     .dilation = 1,
                     .relu = true,
                     .train = train};
    conv_init(r, p, &r->stem, stem, "conv1", "bn1");
    r->pool = d->pool_new(d, n, 64, r->stem.out_h, r->stem.out_w, train);
    r->pool_h = h = conv_out_size(r->stem.out_h, 3, 2, 1, 1);
    r->pool_w = w = conv_out_size(r->stem.out_w, 3, 2, 1, 1);
    Block *block = r->blocks;
    for (int s = 0; s < RESNET_STAGES; s++)
        for (int b = 0; b < shape.blocks[s]; b++) {
            char prefix[32];
            snprintf(prefix, sizeof prefix, "layer%d.%d", s + 1, b);
            BlockShape bs = resnet_block(&shape, s, b);
            block_init(r, p, block++, &bs, prefix, &h, &w, train);
        }
    if (!device_check(d, err)) goto error;
    *out = r;
    return true;
error:
    resnet_free(r);
    return false;
}

// Calls f on every convolution.
static void each_conv(ResNet *r, void (*f)(Device *d, FrozenConv *c)) {
    f(r->device, &r->stem);
    for (int b = 0; b < r->n_blocks; b++) {
        Block *block = &r->blocks[b];
        for (int i = 0; i < block->n; i++) f(r->device, &block->convs[i]);
        if (block->downsample) f(r->device, &block->down);
    }
}

static void free_conv(Device *d, FrozenConv *c) {
    d->conv_free(d, c->plan);
}

void resnet_free(ResNet *r) {
    if (!r) return;
    each_conv(r, free_conv);
    r->device->pool_free(r->device, r->pool);
    r->device->release(r->device, r->folds.data);
    mem_free(r->blocks);
    mem_free(r);
}

static void load_conv(Device *d, FrozenConv *c) {
    d->conv_load(d, c->plan, c->w, c->scale, c->shift);
}

void resnet_load(ResNet *r) {
    each_conv(r, load_conv);
}

static const FrozenConv *last_conv(const ResNet *r) {
    const Block *b = &r->blocks[r->n_blocks - 1];
    return &b->convs[b->n - 1];
}

void resnet_output(const ResNet *r, int64_t *c, int64_t *h, int64_t *w) {
    const FrozenConv *last = last_conv(r);
    *c = last->spec.out_c;
    *h = last->out_h;
    *w = last->out_w;
}

// ---- forward ----------------------------------------------------------------------------------

static Tensor conv_apply(Net *net, FrozenConv *c, Tensor x, Tensor residual) {
    Tensor y = arena_image(&net->acts, c->spec.n, c->spec.out_c, c->out_h, c->out_w);
    net->device->conv_forward(net->device, c->plan, y, x, residual);
    return y;
}

static Tensor block_forward(Net *net, Block *b, Tensor x) {
    Tensor none = {0}, skip = b->downsample ? conv_apply(net, &b->down, x, none) : x;
    for (int i = 0; i < b->n; i++) {
        b->in[i] = x;
        x = conv_apply(net, &b->convs[i], x, i == b->n - 1 ? skip : none);
    }
    return b->out = x;
}

Tensor resnet_forward(Net *net, ResNet *r, Tensor x) {
    r->x = x;
    r->stem_out = conv_apply(net, &r->stem, x, (Tensor){0});
    r->pooled = arena_image(&net->acts, r->n, 64, r->pool_h, r->pool_w);
    net->device->pool_forward(net->device, r->pool, r->pooled, r->stem_out);
    x = r->pooled;
    for (int b = 0; b < r->n_blocks; b++) x = block_forward(net, &r->blocks[b], x);
    return x;
}

// ---- norms of frames --------------------------------------------------------------------------

// Mean and variance of a channel, over all images and places of x plain (N, C, H, W).
static void channel_moments(const float *x, const int64_t *shape, int64_t channel, float *mean,
                            float *variance) {
    const int64_t N = shape[0], C = shape[1], size = shape[2] * shape[3];
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < size; i++) sum += x[(n * C + channel) * size + i];
    const double middle = sum / (double)(N * size);
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < size; i++) {
            const double off = x[(n * C + channel) * size + i] - middle;
            squares += off * off;
        }
    *mean = (float)middle;
    *variance = (float)(squares / (double)(N * size));
}

// What a convolution makes of x without its norm, plain (N, C, H, W) on the host; NULL: the device
// failed. The caller frees it.
static float *conv_alone(Net *net, const FrozenConv *c, Tensor x) {
    Device *d = net->device;
    const int64_t *shape = SHAPE(c->spec.n, c->spec.out_c, c->out_h, c->out_w);
    ConvSpec spec = c->spec;
    spec.relu = spec.residual = spec.train = false;
    ArenaMark mark = arena_mark(&net->acts);
    Tensor scale = net_float(net, 1, SHAPE(spec.out_c)),
           shift = net_float(net, 1, SHAPE(spec.out_c));
    Tensor y = arena_image(&net->acts, shape[0], shape[1], shape[2], shape[3]);
    Tensor plain = net_float(net, 4, shape);
    Conv *plan = d->conv_new(d, spec);
    float *host = TRY_NEW(float, tensor_count(plain));
    if (!host) device_fail_memory(d, "what %s is made of", c->norm);
    if (!d->failed) {
        for (int64_t i = 0; i < spec.out_c; i++) host[i] = 1;
        d->upload(d, scale.data, host, (size_t)spec.out_c * sizeof(float));
        d->zero(d, shift);
        d->conv_load(d, plan, c->w, scale, shift);
        d->conv_forward(d, plan, y, x, (Tensor){0});
        d->image_to_plain(d, plain, y);
        d->download(d, host, plain.data, (size_t)tensor_count(plain) * sizeof(float));
    }
    d->conv_free(d, plan);
    arena_rewind(&net->acts, mark);
    if (!d->failed) return host;
    mem_free(host);
    return NULL;
}

static void take_norm(Net *net, ResNet *r, Params *p, FrozenConv *c, Tensor x) {
    const int64_t C = c->spec.out_c, *shape = SHAPE(c->spec.n, C, c->out_h, c->out_w);
    float *host = conv_alone(net, c, x), *moments = TRY_NEW(float, 2 * C);
    if (!moments) device_fail_memory(net->device, "%s", c->norm);
    if (host && moments) {
        for (int64_t i = 0; i < C; i++)
            channel_moments(host, shape, i, &moments[i], &moments[C + i]);
        param_set(p, norm_param(p, c->norm, NORM_MEAN), moments);
        param_set(p, norm_param(p, c->norm, NORM_VAR), moments + C);
        fold_norm(r, p, c);
        load_conv(net->device, c);
    }
    mem_free(host);
    mem_free(moments);
}

static Tensor block_take_norms(Net *net, ResNet *r, Params *p, Block *b, Tensor x) {
    Tensor none = {0}, skip = x;
    if (b->downsample) {
        take_norm(net, r, p, &b->down, x);
        skip = conv_apply(net, &b->down, x, none);
    }
    for (int i = 0; i < b->n; i++) {
        take_norm(net, r, p, &b->convs[i], x);
        x = conv_apply(net, &b->convs[i], x, i == b->n - 1 ? skip : none);
    }
    return x;
}

void resnet_take_norms(Net *net, ResNet *r, Params *p, Tensor x) {
    take_norm(net, r, p, &r->stem, x);
    x = conv_apply(net, &r->stem, x, (Tensor){0});
    Tensor pooled = arena_image(&net->acts, r->n, 64, r->pool_h, r->pool_w);
    net->device->pool_forward(net->device, r->pool, pooled, x);
    x = pooled;
    for (int b = 0; b < r->n_blocks; b++) x = block_take_norms(net, r, p, &r->blocks[b], x);
}

// ---- backward ---------------------------------------------------------------------------------

// Gradient buffers, each as large as the largest activation behind the pooling. Four are enough for
// a block: its two incoming gradients become dz and a free buffer, and two more hold the gradients
// along its chain of convolutions.
enum { GRAD_BUFFERS = 4 };
typedef struct GradBuffers {
    void *data[GRAD_BUFFERS];
    bool taken[GRAD_BUFFERS];
} GradBuffers;

static Tensor grad_buffer_take(GradBuffers *g, Tensor like) {
    for (int i = 0; i < GRAD_BUFFERS; i++)
        if (!g->taken[i]) {
            g->taken[i] = true;
            like.data = g->data[i];
            return like;
        }
    return (Tensor){0};
}

static void grad_buffer_return(GradBuffers *g, Tensor t) {
    for (int i = 0; i < GRAD_BUFFERS; i++)
        if (t.data && g->data[i] == t.data) g->taken[i] = false;
}

static int64_t largest_activation(const ResNet *r) {
    Device *d = r->device;
    size_t most = d->image_bytes(d, r->n, 64, r->pool_h, r->pool_w);
    for (int b = 0; b < r->n_blocks; b++)
        for (int i = 0; i < r->blocks[b].n; i++) {
            const FrozenConv *c = &r->blocks[b].convs[i];
            size_t bytes = d->image_bytes(d, c->spec.n, c->spec.out_c, c->out_h, c->out_w);
            if (bytes > most) most = bytes;
        }
    return (int64_t)most;
}

// dy and dskip together are the gradient of the block's output; they become those of its input.
static void block_backward(Net *net, Block *b, GradBuffers *g, Tensor *dy, Tensor *dskip) {
    Device *d = net->device;
    Tensor dz = *dy, x = b->in[0];
    d->relu_backward(d, dz, *dy, *dskip, b->out);
    grad_buffer_return(g, *dskip);
    Tensor chain = dz;
    for (int i = b->n - 1; i >= 0; i--) {
        FrozenConv *c = &b->convs[i];
        Tensor dx = grad_buffer_take(g, b->in[i]);
        d->conv_backward(d, c->plan, dx, c->dw, chain, b->in[i]);
        if (chain.data != dz.data) grad_buffer_return(g, chain);
        if (i > 0) d->relu_backward(d, dx, dx, (Tensor){0}, b->in[i]);
        chain = dx;
    }
    *dy = chain;
    *dskip = dz; // identity: the skip's gradient is dz itself
    if (b->downsample) {
        *dskip = grad_buffer_take(g, x);
        d->conv_backward(d, b->down.plan, *dskip, b->down.dw, dz, x);
        grad_buffer_return(g, dz);
    }
}

void resnet_backward(Net *net, ResNet *r, Tensor dy, bool last) {
    Device *d = net->device;
    ArenaMark mark = arena_mark(&net->acts);
    GradBuffers g = {0};
    for (int i = 0; i < GRAD_BUFFERS; i++)
        g.data[i] = arena_tensor(&net->acts, DTYPE_U8, 1, SHAPE(largest_activation(r))).data;
    Tensor dmain = dy, dskip = {0};
    for (int b = r->n_blocks - 1; b >= 0; b--) {
        block_backward(net, &r->blocks[b], &g, &dmain, &dskip);
        if (last) net_grads_ready(net, r->blocks[b].params);
    }

    // The pooled map is not behind a relu: its two gradients are only added.
    Tensor sum = dmain;
    d->add(d, tensor_reshape(sum, 4, sum.shape), tensor_reshape(dmain, 4, dmain.shape),
           tensor_reshape(dskip, 4, dskip.shape));
    Tensor dstem = arena_image(&net->acts, r->n, 64, r->stem.out_h, r->stem.out_w);
    d->pool_backward(d, r->pool, dstem, sum);
    d->relu_backward(d, dstem, dstem, (Tensor){0}, r->stem_out);
    d->conv_backward(d, r->stem.plan, (Tensor){0}, r->stem.dw, dstem, r->x);
    arena_rewind(&net->acts, mark);
}

// ---- arithmetic -------------------------------------------------------------------------------

static double conv_flops(const FrozenConv *c, bool backward) {
    const ConvSpec *s = &c->spec;
    double forward = 2.0 * (double)(s->n * s->out_c * c->out_h * c->out_w) *
                     (double)(s->in_c * s->kernel * s->kernel);
    return forward * (backward ? 1 + 1 + s->need_dx : 1);
}

double resnet_flops(const ResNet *r, bool backward) {
    double total = conv_flops(&r->stem, backward);
    for (int b = 0; b < r->n_blocks; b++) {
        const Block *block = &r->blocks[b];
        for (int i = 0; i < block->n; i++) total += conv_flops(&block->convs[i], backward);
        if (block->downsample) total += conv_flops(&block->down, backward);
    }
    return total;
}
