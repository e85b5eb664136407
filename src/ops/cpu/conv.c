// SPDX-License-Identifier: Apache-2.0
// Convolutions through oneDNN, on its own layout from end to end: activations are never reordered,
// only weights are, once a step.
#include "ops/cpu/int8.h"
#include "ops/cpu/products.h"
#include "ops/cpu/tile_conv.h"

#include "base/memory.h"
#include <stdio.h>
#include <string.h>

enum { MAX_ARGS = 6 };

// A planned primitive with its memory objects. Data pointers are set before each execution.
typedef struct Plan {
    dnnl_primitive_t primitive;
    int n;
    dnnl_exec_arg_t args[MAX_ARGS];
    DnnlLayout weights; // the layout that the primitive chose
    int scratchpad;     // its argument, or 0: none
} Plan;

// A reorder between OIHW and a primitive's own layout.
typedef struct Reorder {
    dnnl_primitive_t primitive;
    dnnl_memory_t from, to;
} Reorder;

struct Conv {
    ConvSpec spec;
    int64_t weights;     // elements of w
    size_t output_bytes; // of y
    dnnl_alg_kind_t algorithm;
    char names[DIRECTIONS][24]; // of the code that does each, for people
    bool residual_as_sum;       // else a binary post-op
    Plan forward, data, dweights;
    ConvProduct *product; // in place of some of the three, or of all; or NULL
    TileConv *tiles;      // likewise, at bfloat16
    Int8Conv *int8;       // in place of all, at int8
    Reorder pack, pack_data, unpack;
    void *packed, *packed_data; // in the images' type
    size_t dpacked_bytes;       // of the weights' gradients as backward makes them
    Tensor scale, shift;
};

static bool conv_refused(Device *d, const ConvSpec *s, dnnl_status_t status, const char *what) {
    char text[160];
    if (status == dnnl_success) return false;
    snprintf(text, sizeof text, "convolution %ld x %ldx%ldx%ld -> %ld, kernel %d, stride %d: %s",
             (long)s->n, (long)s->in_c, (long)s->in_h, (long)s->in_w, (long)s->out_c, s->kernel,
             s->stride, what);
    return !cpu_status(d, status, text);
}

// ---- building blocks --------------------------------------------------------------------------

typedef struct Descs {
    DnnlLayout x, w_any, dw_any, w_plain, bias, y;
    dnnl_dims_t strides, dilates, padding;
} Descs;

// False, with the failure recorded, without memory.
static bool describe_tensors(Device *d, const ConvSpec *s, Descs *m) {
    int64_t oh = conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation);
    int64_t ow = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation);
    const dnnl_dims_t x = {s->n, s->in_c, s->in_h, s->in_w}, y = {s->n, s->out_c, oh, ow};
    const dnnl_dims_t w = {s->out_c, s->in_c, s->kernel, s->kernel}, b = {s->out_c};
    dnnl_data_type_t type = cpu_bf16(d) ? dnnl_bf16 : dnnl_f32;
    m->x = onednn_layout(4, x, type, cpu_image_tag(d, s->in_c));
    m->y = onednn_layout(4, y, type, cpu_image_tag(d, s->out_c));
    m->w_any = onednn_layout(4, w, type, dnnl_format_tag_any);
    m->dw_any = onednn_layout(4, w, dnnl_f32, dnnl_format_tag_any);
    m->w_plain = onednn_layout(4, w, dnnl_f32, dnnl_oihw);
    m->bias = onednn_layout(1, b, dnnl_f32, dnnl_a);
    for (int i = 0; i < 2; i++) {
        m->strides[i] = s->stride;
        m->dilates[i] = s->dilation - 1;
        m->padding[i] = s->padding;
    }
    bool all = m->x && m->y && m->w_any && m->dw_any && m->w_plain && m->bias;
    return all || !conv_refused(d, s, dnnl_out_of_memory, "layouts");
}

static void free_descs(Descs *m) {
    DnnlLayout owned[] = {m->x, m->w_any, m->dw_any, m->w_plain, m->bias, m->y};
    for (int i = 0; i < 6; i++) onednn_layout_free(owned[i]);
}

static OneDnnConv describe_conv(const Descs *m, ConstDnnlLayout weights,
                                dnnl_alg_kind_t algorithm) {
    OneDnnConv conv = {.algorithm = algorithm, .x = m->x, .w = weights, .bias = m->bias, .y = m->y};
    memcpy(conv.strides, m->strides, sizeof conv.strides);
    memcpy(conv.dilates, m->dilates, sizeof conv.dilates);
    memcpy(conv.pad, m->padding, sizeof conv.pad);
    return conv;
}

static void plan_arg(Device *d, Plan *p, int arg, ConstDnnlLayout md) {
    dnnl_memory_t memory = NULL;
    cpu_status(d, dnnl_memory_create(&memory, md, cpu_of(d)->engine, DNNL_MEMORY_NONE),
               "a memory object of a convolution");
    p->args[p->n++] = (dnnl_exec_arg_t){arg, memory};
}

// Takes over pd: makes the primitive and its scratchpad, and notes the weights' layout.
static void plan_finish(Device *d, const ConvSpec *s, Plan *p, dnnl_primitive_desc_t pd,
                        dnnl_query_t weights_query) {
    p->weights = onednn_layout_copy(dnnl_primitive_desc_query_md(pd, weights_query, 0));
    if (!p->weights) conv_refused(d, s, dnnl_out_of_memory, "layouts");
    ConstDnnlLayout pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t bytes = dnnl_memory_desc_get_size(pad);
    conv_refused(d, s, dnnl_primitive_create(&p->primitive, pd), "create");
    if (bytes && cpu_grow(d, &cpu_of(d)->scratchpad, bytes)) {
        p->scratchpad = p->n;
        plan_arg(d, p, DNNL_ARG_SCRATCHPAD, pad);
    }
}

static void plan_free(Plan *p) {
    for (int i = 0; i < p->n; i++) dnnl_memory_destroy(p->args[i].memory);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    onednn_layout_free(p->weights);
}

static void plan_run(Device *d, const char *what, Plan *p, int n, void *const *data) {
    for (int i = 0; i < n; i++) dnnl_memory_set_data_handle(p->args[i].memory, data[i]);
    if (p->scratchpad)
        dnnl_memory_set_data_handle(p->args[p->scratchpad].memory, cpu_of(d)->scratchpad.data);
    cpu_execute(d, what, p->primitive, p->n, p->args);
}

static void reorder_new(Device *d, const ConvSpec *s, Reorder *r, ConstDnnlLayout from,
                        ConstDnnlLayout to) {
    dnnl_engine_t e = cpu_of(d)->engine;
    dnnl_primitive_desc_t pd = NULL;
    if (conv_refused(d, s, dnnl_reorder_primitive_desc_create(&pd, from, e, to, e, NULL),
                     "reorder"))
        return;
    conv_refused(d, s, dnnl_primitive_create(&r->primitive, pd), "reorder");
    dnnl_primitive_desc_destroy(pd);
    conv_refused(d, s, dnnl_memory_create(&r->from, from, e, DNNL_MEMORY_NONE), "reorder");
    conv_refused(d, s, dnnl_memory_create(&r->to, to, e, DNNL_MEMORY_NONE), "reorder");
}

static void reorder_run(Device *d, Reorder *r, void *from, void *to) {
    dnnl_memory_set_data_handle(r->from, from);
    dnnl_memory_set_data_handle(r->to, to);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, r->from}, {DNNL_ARG_TO, r->to}};
    cpu_execute(d, "weight reorder", r->primitive, 2, args);
}

static void reorder_free(Reorder *r) {
    if (r->primitive) dnnl_primitive_destroy(r->primitive);
    if (r->from) dnnl_memory_destroy(r->from);
    if (r->to) dnnl_memory_destroy(r->to);
}

// Winograd's F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2016) takes a quarter of the multiplications and rounds a few times more. It pays from some tens
// of tiles on; the rule looks at the shape alone, never at a clock, so that a run repeats to the
// bit.
static bool wants_winograd(Device *d, const ConvSpec *s) {
    enum { TILE = 4, FEWEST = 64 };
    int64_t tiles = s->n * ((s->in_h + TILE - 1) / TILE) * ((s->in_w + TILE - 1) / TILE);
    return !cpu_bf16(d) && s->kernel == 3 && s->stride == 1 && s->dilation == 1 &&
           s->padding == 1 && cpu_of(d)->block == 16 && cpu_blocked(cpu_of(d), s->in_c) &&
           cpu_blocked(cpu_of(d), s->out_c) && tiles >= FEWEST;
}

// ---- the three primitives ---------------------------------------------------------------------

// oneDNN's relu makes 0 of NaN, so that a channel gone wrong would look like one that is off. In
// training the relu is a pass of our own.
static bool fuses_relu(const ConvSpec *s) {
    return s->relu && !s->train;
}

// Forward with fused residual and relu. The residual is a binary post-op where a fast kernel takes
// it, else it is copied into y first and summed (a slow generic kernel would cost far more).
// NULL where oneDNN has no such code, and, with the failure recorded, without memory: then no other
// code is to be taken, which would give other numbers.
static dnnl_primitive_desc_t forward_desc(Device *d, const ConvSpec *s, const Descs *m, bool sum,
                                          dnnl_alg_kind_t algorithm) {
    OneDnnConv conv = describe_conv(m, m->w_any, algorithm);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = onednn_attr_new(&attr, &ops);
    if (!made && s->residual && sum) made = onednn_append_sum(ops);
    if (!made && s->residual && !sum)
        made = dnnl_post_ops_append_binary(ops, dnnl_binary_add, m->y);
    if (!made && fuses_relu(s)) made = onednn_append_relu(ops);
    if (!made) made = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (!conv_refused(d, s, made, "attributes") &&
        onednn_conv_forward(&pd, cpu_of(d)->engine, &conv, s->train, attr) == dnnl_out_of_memory)
        conv_refused(d, s, dnnl_out_of_memory, "forward");
    dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    return pd;
}

// oneDNN's kernels for 3x3 convolutions without AVX-512 work on runs of pixels in a row, and are
// slow where rows are short or a stride takes them apart; with many channels a product is as fast
// there as anywhere (measured with checkops --rate).
static bool product_pays(const ConvSpec *s) {
    enum { DEEP = 128, SHORT_ROW = 8 };
    int64_t w = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation);
    return s->kernel == 3 && s->in_c >= DEEP && s->out_c >= DEEP &&
           (s->stride > 1 || w <= SHORT_ROW);
}

static bool pays_on_tiles(Device *d, const ConvSpec *s, Direction way) {
    return cpu_bf16(d) && cpu_of(d)->matrix_unit && tile_conv_pays(s, way);
}

// What oneDNN would do by plain loops, or slower than Winograd's algorithm or a product of our own,
// is that. At AVX-512 versions from 3.0 on have lost Winograd's algorithm; those before are as fast
// as ours on a batch, but not on the few tiles of one observation.
static bool better_by_product(Device *d, const ConvSpec *s, Direction way,
                              dnnl_primitive_desc_t pd) {
    if (cpu_bf16(d)) return pays_on_tiles(d, s, way) || cpu_onednn_errs(s, way);
    bool avx512 = cpu_of(d)->block == 16,
         blocked = cpu_lanes(d, s->in_c) > 1 && cpu_lanes(d, s->out_c) > 1;
    if (onednn_is_reference(pd)) return true;
    if (avx512 && s->train)
        return wants_winograd(d, s) && !strstr(onednn_implementation(pd), "wino") &&
               cpu_winograd_tile(s, way);
    if (avx512) return blocked && cpu_winograd_tile(s, way);
    return blocked && (cpu_winograd_tile(s, way) || product_pays(s));
}

static dnnl_primitive_desc_t plan_forward(Device *d, Conv *c, const Descs *m,
                                          bool used[DIRECTIONS]) {
    const ConvSpec *s = &c->spec;
    dnnl_primitive_desc_t pd = NULL;
    c->algorithm = dnnl_convolution_winograd;
    c->residual_as_sum = s->residual; // all that its kernel takes
    if (wants_winograd(d, s)) pd = forward_desc(d, s, m, s->residual, c->algorithm);
    if (!pd && !d->failed) {
        c->algorithm = dnnl_convolution_direct;
        c->residual_as_sum = false;
        pd = forward_desc(d, s, m, false, c->algorithm);
    }
    bool other = s->residual && !c->residual_as_sum && !d->failed;
    if (other && (!pd || !onednn_is_generated(pd))) {
        if (pd) dnnl_primitive_desc_destroy(pd);
        c->residual_as_sum = true;
        pd = forward_desc(d, s, m, true, c->algorithm);
    }
    if (!pd) conv_refused(d, s, dnnl_unimplemented, "forward"); // unless it failed before
    if (d->failed) {
        dnnl_primitive_desc_destroy(pd);
        return NULL;
    }
    snprintf(c->names[FORWARD], sizeof c->names[0], "%s", onednn_implementation(pd));
    used[FORWARD] = better_by_product(d, s, FORWARD, pd);
    if (used[FORWARD]) {
        c->residual_as_sum = false;
        return pd;
    }
    Plan *p = &c->forward;
    plan_arg(d, p, DNNL_ARG_SRC, m->x);
    plan_arg(d, p, DNNL_ARG_WEIGHTS, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    plan_arg(d, p, DNNL_ARG_BIAS, m->bias);
    plan_arg(d, p, DNNL_ARG_DST, m->y);
    if (s->residual && !c->residual_as_sum)
        plan_arg(d, p, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, m->y);
    plan_finish(d, s, p, pd, dnnl_query_weights_md);
    return pd;
}

typedef dnnl_status_t (*BackwardOf)(dnnl_primitive_desc_t *, dnnl_engine_t, const OneDnnConv *,
                                    const_dnnl_primitive_desc_t, const_dnnl_primitive_attr_t);

static dnnl_primitive_desc_t backward_desc(Device *d, const Conv *c, const Descs *m,
                                           ConstDnnlLayout weights, BackwardOf create,
                                           dnnl_primitive_desc_t hint) {
    OneDnnConv conv = describe_conv(m, weights, c->algorithm);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = onednn_attr_new(&attr, NULL);
    if (!made) made = create(&pd, cpu_of(d)->engine, &conv, hint, attr);
    conv_refused(d, &c->spec, made, "backward");
    dnnl_primitive_attr_destroy(attr);
    return pd;
}

static void plan_backward_data(Device *d, Conv *c, const Descs *m, dnnl_primitive_desc_t hint,
                               bool used[DIRECTIONS]) {
    dnnl_primitive_desc_t pd = backward_desc(d, c, m, m->w_any, onednn_conv_backward_data, hint);
    if (!pd) return;
    snprintf(c->names[BACKWARD_DATA], sizeof c->names[0], "%s", onednn_implementation(pd));
    used[BACKWARD_DATA] = better_by_product(d, &c->spec, BACKWARD_DATA, pd);
    if (used[BACKWARD_DATA]) {
        dnnl_primitive_desc_destroy(pd);
        return;
    }
    Plan *p = &c->data;
    plan_arg(d, p, DNNL_ARG_DIFF_SRC, m->x);
    plan_arg(d, p, DNNL_ARG_WEIGHTS, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    plan_arg(d, p, DNNL_ARG_DIFF_DST, m->y);
    plan_finish(d, &c->spec, p, pd, dnnl_query_weights_md);
    dnnl_primitive_desc_destroy(pd);
}

static void plan_backward_weights(Device *d, Conv *c, const Descs *m, dnnl_primitive_desc_t hint,
                                  bool used[DIRECTIONS]) {
    dnnl_primitive_desc_t pd =
        backward_desc(d, c, m, m->dw_any, onednn_conv_backward_weights, hint);
    if (!pd) return;
    snprintf(c->names[BACKWARD_WEIGHTS], sizeof c->names[0], "%s", onednn_implementation(pd));
    used[BACKWARD_WEIGHTS] = better_by_product(d, &c->spec, BACKWARD_WEIGHTS, pd);
    if (used[BACKWARD_WEIGHTS]) {
        dnnl_primitive_desc_destroy(pd);
        return;
    }
    Plan *p = &c->dweights;
    plan_arg(d, p, DNNL_ARG_SRC, m->x);
    plan_arg(d, p, DNNL_ARG_DIFF_WEIGHTS,
             dnnl_primitive_desc_query_md(pd, dnnl_query_diff_weights_md, 0));
    plan_arg(d, p, DNNL_ARG_DIFF_DST, m->y);
    plan_finish(d, &c->spec, p, pd, dnnl_query_diff_weights_md);
    dnnl_primitive_desc_destroy(pd);
}

// ---- ops --------------------------------------------------------------------------------------

static bool by_product(const Conv *c, Direction way) {
    return c->product && c->product->used[way];
}

static bool on_tiles(const Conv *c, Direction way) {
    return c->tiles && c->tiles->used[way];
}

static void conv_free(Device *d, Conv *c) {
    (void)d;
    if (!c) return;
    Plan *plans[] = {&c->forward, &c->data, &c->dweights};
    Reorder *reorders[] = {&c->pack, &c->pack_data, &c->unpack};
    void *owned[] = {c->packed, c->packed_data};
    for (int i = 0; i < 3; i++) plan_free(plans[i]);
    for (int i = 0; i < 3; i++) reorder_free(reorders[i]);
    for (int i = 0; i < 2; i++) mem_free(owned[i]);
    cpu_product_free(c->product);
    tile_conv_free(c->tiles);
    int8_conv_free(c->int8);
    mem_free(c);
}

static void plan_onednn(Device *d, Conv *c, bool used[DIRECTIONS]) {
    const ConvSpec *s = &c->spec;
    Descs m;
    if (!cpu_room(d)) return;
    bool described = describe_tensors(d, s, &m);
    dnnl_primitive_desc_t hint = described ? plan_forward(d, c, &m, used) : NULL;
    if (hint && s->train) {
        plan_backward_weights(d, c, &m, hint, used);
        if (s->need_dx) plan_backward_data(d, c, &m, hint, used);
    }
    if (hint) dnnl_primitive_desc_destroy(hint);
    if (!d->failed && !used[FORWARD]) {
        c->packed = d->alloc_raw(d, dnnl_memory_desc_get_size(c->forward.weights));
        reorder_new(d, s, &c->pack, m.w_plain, c->forward.weights);
    }
    if (!d->failed && s->train && !used[BACKWARD_WEIGHTS]) {
        c->dpacked_bytes = dnnl_memory_desc_get_size(c->dweights.weights);
        reorder_new(d, s, &c->unpack, c->dweights.weights, m.w_plain);
    }
    if (!d->failed && s->train && s->need_dx && !used[BACKWARD_DATA]) {
        c->packed_data = d->alloc(d, dnnl_memory_desc_get_size(c->data.weights));
        reorder_new(d, s, &c->pack_data, m.w_plain, c->data.weights);
    }
    free_descs(&m);
}

static Conv *conv_new(Device *d, ConvSpec spec) {
    Conv *c = TRY_NEW(Conv, 1);
    if (!c) {
        device_fail_memory(d, "a convolution's plan");
        return NULL;
    }
    const ConvSpec *s = &spec;
    bool used[DIRECTIONS] = {true, s->train && s->need_dx, s->train};
    c->spec = spec;
    c->weights = s->out_c * s->in_c * s->kernel * s->kernel;
    c->output_bytes =
        (size_t)(s->n * s->out_c) *
        (size_t)conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation) *
        (size_t)conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation) *
        (cpu_bf16(d) ? sizeof(bf16) : sizeof(float));
    if (cpu_rounds(d, s->rounding)) {
        c->int8 = int8_conv_new(d, s);
        memset(used, 0, sizeof used);
    } else if (!cpu_of(d)->products) {
        memset(used, 0, sizeof used);
        plan_onednn(d, c, used);
    }
    bool tiles[DIRECTIONS], any_tiles = false, any = false;
    for (int i = 0; i < DIRECTIONS; i++) {
        tiles[i] = used[i] && pays_on_tiles(d, s, (Direction)i);
        used[i] = used[i] && !tiles[i];
        any_tiles = any_tiles || tiles[i];
        any = any || used[i];
    }
    if (!d->failed && any_tiles) c->tiles = tile_conv_new(d, s, tiles);
    if (!d->failed && cpu_bf16(d) && cpu_of(d)->products)
        device_fail(d, "oneDNN has no convolutions at bfloat16 for this processor");
    if (!d->failed && any) c->product = cpu_product_new(d, s, used);
    if (!d->failed) return c;
    conv_free(d, c);
    return NULL;
}

static void conv_load(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    if (!c || d->failed) return;
    int64_t row = c->weights / c->spec.out_c;
    c->scale = scale;
    c->shift = shift;
    if (c->tiles) tile_conv_load(d, c->tiles, f32(w), f32(scale));
    if (!c->packed && !c->packed_data && !c->product && !c->int8) return;
    float *folded = cpu_grow(d, &cpu_of(d)->folded, (size_t)c->weights * sizeof *folded);
    if (!folded) return;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < c->spec.out_c; o++) {
        float s = f32(scale)[o];
        for (int64_t i = 0; i < row; i++) folded[o * row + i] = f32(w)[o * row + i] * s;
    }
    if (c->packed) reorder_run(d, &c->pack, folded, c->packed);
    if (c->packed_data) reorder_run(d, &c->pack_data, folded, c->packed_data);
    if (c->product) cpu_product_load(d, c->product, folded);
    if (c->int8) int8_conv_load(d, c->int8, folded);
}

static void conv_forward(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual) {
    if (!c || d->failed) return;
    if (c->int8) {
        int8_conv_forward(d, c->int8, y.data, x.data, f32(c->shift),
                          c->spec.residual ? residual.data : NULL);
        return;
    }
    if (by_product(c, FORWARD) && cpu_bf16(d)) {
        cpu_product_forward_of_halves(d, c->product, y.data, x.data, f32(c->shift),
                                      c->spec.residual ? residual.data : NULL);
        return;
    }
    if (by_product(c, FORWARD)) {
        cpu_product_forward(d, c->product, f32(y), f32(x), f32(c->shift),
                            c->spec.residual ? f32(residual) : NULL);
        return;
    }
    if (on_tiles(c, FORWARD)) {
        tile_conv_forward(d, c->tiles, y.data, x.data, f32(c->shift),
                          c->spec.residual ? residual.data : NULL);
        return;
    }
    if (c->residual_as_sum) memcpy(y.data, residual.data, c->output_bytes);
    void *data[] = {x.data, c->packed, c->shift.data, y.data, residual.data};
    plan_run(d, "convolution", &c->forward, c->spec.residual && !c->residual_as_sum ? 5 : 4, data);
    if (c->spec.relu && !fuses_relu(&c->spec)) cpu_relu_image(d, y.data, c->output_bytes);
}

static void backward_weights(Device *d, Conv *c, Tensor dw, Tensor dz, Tensor x) {
    float *unpacked = cpu_grow(d, &cpu_of(d)->folded, (size_t)c->weights * sizeof *unpacked);
    float *packed = cpu_grow(d, &cpu_of(d)->gradients, c->dpacked_bytes);
    if (!unpacked || !packed) return;
    plan_run(d, "convolution backward weights", &c->dweights, 3,
             (void *[]){x.data, packed, dz.data});
    reorder_run(d, &c->unpack, packed, unpacked);
    int64_t row = c->weights / c->spec.out_c;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < c->spec.out_c; o++) {
        float s = f32(c->scale)[o];
        for (int64_t i = 0; i < row; i++) f32(dw)[o * row + i] += s * unpacked[o * row + i];
    }
}

static void conv_backward(Device *d, Conv *c, Tensor dx, Tensor dw, Tensor dz, Tensor x) {
    if (!c || d->failed) return;
    void *data[] = {dx.data, c->packed_data, dz.data};
    if (by_product(c, BACKWARD_DATA))
        cpu_product_data(d, c->product, f32(dx), f32(dz));
    else if (on_tiles(c, BACKWARD_DATA))
        tile_conv_data(d, c->tiles, dx.data, dz.data);
    else if (c->spec.need_dx)
        plan_run(d, "convolution backward data", &c->data, 3, data);
    if (by_product(c, BACKWARD_WEIGHTS) && cpu_bf16(d))
        cpu_product_weights_of_halves(d, c->product, f32(dw), f32(c->scale), dz.data, x.data);
    else if (by_product(c, BACKWARD_WEIGHTS))
        cpu_product_weights(d, c->product, f32(dw), f32(c->scale), f32(dz), f32(x));
    else if (on_tiles(c, BACKWARD_WEIGHTS))
        tile_conv_weights(d, c->tiles, f32(dw), f32(c->scale), dz.data, x.data);
    else
        backward_weights(d, c, dw, dz, x);
}

void cpu_conv_ways(const Conv *c, char *out, size_t room) {
    size_t used = 0;
    for (int i = 0; i < DIRECTIONS && used < room; i++) {
        Direction way = (Direction)i;
        const char *name = by_product(c, way) ? cpu_product_name(c->product, way)
                           : on_tiles(c, way) ? "tiles"
                           : c->int8 && !i    ? "int8"
                                              : c->names[i];
        if (*name) used += (size_t)snprintf(out + used, room - used, "%s%s", i ? ", " : "", name);
    }
}

void cpu_conv_ops(Device *d) {
    d->conv_new = conv_new;
    d->conv_free = conv_free;
    d->conv_load = conv_load;
    d->conv_forward = conv_forward;
    d->conv_backward = conv_backward;
}
