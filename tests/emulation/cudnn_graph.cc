// SPDX-License-Identifier: Apache-2.0
// What the fake cuDNN takes for a graph: a convolution in one of its three directions, forward
// followed by pointwise operations as the real one has kernels for (a sum with a tensor like y, a
// bias, relu, each at most once and in this order). Which engines it proposes, and how it runs
// them.
#include "cudnn_backend.h"

#include <algorithm>

namespace emulation {

namespace {

const cudnnBackendNumericalNote_t TENSOR_CORE = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;

// As the real heuristics: the fastest first, with such that do not repeat their bits, want a lot of
// memory, or have no plan after all.
const Engine fast[] = {
    {60, {TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, 0, true, true, false},
    {61, {TENSOR_CORE}, (int64_t)1 << 30, true, true, false},
    {62, {TENSOR_CORE}, 0, false, true, false},
    {63, {TENSOR_CORE}, WORKSPACE, true, true, false},
};
const Engine sure[] = {
    {1, {CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}, 0, true, true, true},
    {28, {}, WORKSPACE, true, false, false},
};

const int forward_kind = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
const int pointwise_kind = CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;

// The attributes of each direction.
struct Direction {
    int kind, x, w, y, convolution, alpha, beta;
};
const Direction directions[] = {
    {forward_kind, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

const Direction *direction_of(const Descriptor *op) {
    for (const Direction &d : directions)
        if (d.kind == op->type) return &d;
    return nullptr;
}

Tensor tensor_of(const Descriptor *d) {
    Tensor t;
    const int64_t *n = d->all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS),
                  *s = d->all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    t.type = d->one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
    t.n = (int)n[0], t.c = (int)n[1], t.h = (int)n[2], t.w = (int)n[3];
    t.sn = s[0], t.sc = s[1], t.sh = s[2], t.sw = s[3];
    return t;
}

bool is_virtual(const Descriptor *t) {
    return t->has(CUDNN_ATTR_TENSOR_IS_VIRTUAL) && t->one<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL);
}

Conv conv_of(const Descriptor *d) {
    Conv c;
    const int64_t *pad = d->all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
                  *stride = d->all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES),
                  *dilation = d->all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
    c.pad_h = (int)pad[0], c.pad_w = (int)pad[1];
    c.stride_h = (int)stride[0], c.stride_w = (int)stride[1];
    c.dilation_h = (int)dilation[0], c.dilation_w = (int)dilation[1];
    return c;
}

bool same_shape(const Tensor &a, const Tensor &b) {
    return a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w;
}

// ---- what is finalized --------------------------------------------------------------------------

cudnnStatus_t check_tensor(const Descriptor *d) {
    int64_t alignment = d->one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    cudnnDataType_t type = d->one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
    if (d->count(CUDNN_ATTR_TENSOR_DIMENSIONS) != 4 || d->count(CUDNN_ATTR_TENSOR_STRIDES) != 4)
        return refuse(CUDNN_STATUS_BAD_PARAM, "images have four dimensions and strides");
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only float and bf16 tensors");
    if (alignment < (int64_t)element_size(type == CUDNN_DATA_BFLOAT16) ||
        (alignment & (alignment - 1)))
        return refuse(CUDNN_STATUS_BAD_PARAM, "an alignment that is none");
    for (int i = 0; i < 4; i++)
        if (d->all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS)[i] < 1 ||
            d->all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES)[i] < 1)
            return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor's size or stride is not positive");
    if (!tensor_of(d).channels_last())
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only NHWC tensors and filters");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_convolution(const Descriptor *d) {
    if (d->one<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) != 2 ||
        d->one<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT ||
        d->one<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only 2-D cross-correlation with float sums");
    for (int i = 0; i < 2; i++)
        if (d->all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)[i] !=
            d->all<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)[i])
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "paddings that differ");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_product(const Descriptor *op, const Direction *d) {
    Tensor x = tensor_of(op->child(d->x)), w = tensor_of(op->child(d->w)),
           y = tensor_of(op->child(d->y));
    Conv c = conv_of(op->child(d->convolution));
    if (op->one<float>(d->alpha) != 1 || op->one<float>(d->beta) != 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "alpha is not 1 or beta not 0");
    if (w.c != x.c || y.n != x.n || y.c != w.n ||
        y.h != out_size(x.h, w.h, c.pad_h, c.stride_h, c.dilation_h) ||
        y.w != out_size(x.w, w.w, c.pad_w, c.stride_w, c.dilation_w))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the sizes of x, w and y do not fit");
    return CUDNN_STATUS_SUCCESS;
}

cudnnPointwiseMode_t mode_of(const Descriptor *op) {
    return op->child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)
        ->one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
}

cudnnStatus_t check_pointwise(const Descriptor *op) {
    bool add = mode_of(op) == CUDNN_POINTWISE_ADD;
    if (!add && mode_of(op) != CUDNN_POINTWISE_RELU_FWD)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only sums and relu");
    if (add != op->has(CUDNN_ATTR_OPERATION_POINTWISE_BDESC))
        return refuse(CUDNN_STATUS_BAD_PARAM, "a sum has two operands, relu one");
    Tensor x = tensor_of(op->child(CUDNN_ATTR_OPERATION_POINTWISE_XDESC)),
           y = tensor_of(op->child(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    if (!same_shape(x, y)) return refuse(CUDNN_STATUS_BAD_PARAM, "x and y differ in shape");
    if (!add) return CUDNN_STATUS_SUCCESS;
    Tensor b = tensor_of(op->child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
    bool bias = b.n == 1 && b.c == y.c && b.h == 1 && b.w == 1;
    if (!bias && !same_shape(b, y))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the second operand is neither like y nor a bias");
    return CUDNN_STATUS_SUCCESS;
}

const Descriptor *output_of(const Descriptor *op) {
    if (op->type == pointwise_kind) return op->child(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    const Direction *d = direction_of(op);
    return op->child(op->type == forward_kind ? d->y : d == &directions[1] ? d->x : d->w);
}

std::vector<const Descriptor *> tensors_of(const Descriptor *op) {
    std::vector<const Descriptor *> t;
    if (const Direction *d = direction_of(op))
        return {op->child(d->x), op->child(d->w), op->child(d->y)};
    for (int name : {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                     CUDNN_ATTR_OPERATION_POINTWISE_YDESC})
        if (op->has(name)) t.push_back(op->child(name));
    return t;
}

// The operations of a graph, each taking what the one before it made.
std::vector<const Descriptor *> chain_of(const Descriptor *graph) {
    std::vector<const Descriptor *> ops;
    for (int64_t i = 0; i < graph->count(CUDNN_ATTR_OPERATIONGRAPH_OPS); i++)
        ops.push_back(graph->child(CUDNN_ATTR_OPERATIONGRAPH_OPS, i));
    return ops;
}

// The tensors in memory, by their numbers.
std::map<int64_t, const Descriptor *> operands_of(const Descriptor *graph) {
    std::map<int64_t, const Descriptor *> found;
    for (const Descriptor *op : chain_of(graph))
        for (const Descriptor *t : tensors_of(op))
            if (!is_virtual(t)) found[t->one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)] = t;
    return found;
}

cudnnStatus_t check_graph(const Descriptor *g) {
    std::vector<const Descriptor *> ops = chain_of(g);
    std::map<int64_t, const Descriptor *> by_number;
    for (const Descriptor *op : ops) {
        if (!direction_of(op) && op->type != pointwise_kind)
            return refuse(CUDNN_STATUS_BAD_PARAM, "an operation that is none");
        for (const Descriptor *t : tensors_of(op)) {
            auto at = by_number.emplace(t->one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID), t);
            if (at.first->second != t)
                return refuse(CUDNN_STATUS_BAD_PARAM, "two tensors have one number");
        }
    }
    if (!direction_of(ops[0]) || (ops.size() > 1 && ops[0]->type != forward_kind))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "a graph that is no convolution");
    for (size_t i = 0; i < ops.size(); i++) {
        bool last = i + 1 == ops.size();
        if (is_virtual(output_of(ops[i])) == last)
            return refuse(CUDNN_STATUS_BAD_PARAM, "what is in between is virtual, the result not");
        if (i > 0 && (ops[i]->type != pointwise_kind ||
                      ops[i]->child(CUDNN_ATTR_OPERATION_POINTWISE_XDESC) != output_of(ops[i - 1])))
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "operations that are no chain");
    }
    if (refused("graphs")) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "told to refuse graphs");
    if (ops.size() > 1 && refused("fused-graphs"))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "told to refuse fused graphs");
    return CUDNN_STATUS_SUCCESS;
}

// Whether there are kernels: all in memory of one type, what is in between float, the sum with a
// tensor like y before the bias, relu last.
bool has_kernels(const Descriptor *g) {
    std::vector<const Descriptor *> ops = chain_of(g);
    cudnnDataType_t type = tensor_of(output_of(ops.back())).type;
    int stage = 0;
    for (const Descriptor *op : ops) {
        for (const Descriptor *t : tensors_of(op))
            if (tensor_of(t).type != (is_virtual(t) ? CUDNN_DATA_FLOAT : type)) return false;
        if (op->type != pointwise_kind) continue;
        int now = 3;
        if (mode_of(op) == CUDNN_POINTWISE_ADD)
            now = tensor_of(op->child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)).n == 1 &&
                          tensor_of(op->child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)).h == 1
                      ? 2
                      : 1;
        if (now <= stage || (now == 3 && stage != 2)) return false;
        stage = now;
    }
    return stage != 1;
}

// ---- running ------------------------------------------------------------------------------------

struct Run {
    const Engine *engine;
    Tensor x, w, y, result;
    Conv c;
    int pass;
    const void *px, *pw, *py;
    void *out;
    // Of a fused graph.
    bool fused = false, relu = false;
    const void *bias = nullptr, *residual = nullptr;
    Tensor bias_shape, residual_shape;
};

std::vector<float> factor(const Run &r, const Tensor &t, const void *p) {
    std::vector<float> v = read(t, p, !t.bf16() && r.engine->tensor_cores);
    if (r.engine->down_converts)
        for (float &f : v) f = __bfloat162float(__float2bfloat16_rn(f));
    return v;
}

void finish(const Run &r, std::vector<float> &out) {
    for (size_t i = 0; r.fused && i < out.size(); i++) {
        int64_t ch = (int64_t)i % r.y.c, v = (int64_t)i / r.y.c % r.y.w,
                row = (int64_t)i / r.y.c / r.y.w;
        float value = out[i];
        if (r.residual)
            value += load(r.residual, r.residual_shape.at(row / r.y.h, ch, row % r.y.h, v),
                          r.residual_shape.bf16());
        value += load(r.bias, r.bias_shape.at(0, ch, 0, 0), r.bias_shape.bf16());
        out[i] = r.relu && !(value > 0) ? 0 : value; // of NaN 0, as the real one's may
    }
}

void compute(const Run &r) {
    std::vector<float> out;
    if (r.pass == 0)
        out = forward(r.x, factor(r, r.x, r.px), r.w, factor(r, r.w, r.pw), r.c, r.y);
    else if (r.pass == 1)
        out = backward_data(r.x, r.w, factor(r, r.w, r.pw), r.c, r.y, factor(r, r.y, r.py));
    else
        out = backward_filter(r.x, factor(r, r.x, r.px), r.w, r.c, r.y, factor(r, r.y, r.py));
    finish(r, out);
    write(r.result, r.out, out, 1, 0);
}

// What a plan computes, of the operands that it is given.
Run run_of(const Descriptor *plan, std::map<const Descriptor *, void *> &given) {
    std::vector<const Descriptor *> ops = chain_of(plan->graph);
    const Direction *d = direction_of(ops[0]);
    const Descriptor *x = ops[0]->child(d->x), *w = ops[0]->child(d->w), *y = ops[0]->child(d->y),
                     *last = output_of(ops.back());
    Run r;
    r.engine = plan->engine;
    r.x = tensor_of(x), r.w = tensor_of(w), r.y = tensor_of(y), r.result = tensor_of(last);
    r.c = conv_of(ops[0]->child(d->convolution));
    r.pass = (int)(d - directions);
    r.px = given[x], r.pw = given[w];
    r.py = is_virtual(y) ? nullptr : given[y];
    r.out = given[last];
    r.fused = ops.size() > 1;
    for (size_t i = ops.size(); i-- > 1;) {
        if (mode_of(ops[i]) == CUDNN_POINTWISE_RELU_FWD) r.relu = true;
        if (mode_of(ops[i]) != CUDNN_POINTWISE_ADD) continue;
        const Descriptor *b = ops[i]->child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
        (r.bias ? r.residual_shape : r.bias_shape) = tensor_of(b); // from the end: the bias first
        (r.bias ? r.residual : r.bias) = given[b];
    }
    return r;
}

// Everything that a plan was made of has to live while it is run.
void require_alive(const Descriptor *d) {
    live(d, "cudnnBackendExecute: what the plan was made of");
    for (const auto &v : d->values)
        for (int64_t i = 0; v.second.type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < v.second.count;
             i++)
            require_alive(live(d->child(v.first, i), "cudnnBackendExecute"));
    if (d->graph) require_alive(d->graph);
}

} // namespace

cudnnStatus_t check_whole(const Descriptor *d) {
    if (const Direction *direction = direction_of(d)) return check_product(d, direction);
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return check_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return check_convolution(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return check_pointwise(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return check_graph(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        if (d->count(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) !=
            d->count(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS))
            return refuse(CUDNN_STATUS_BAD_PARAM, "not as many pointers as numbers");
        return CUDNN_STATUS_SUCCESS;
    default:
        return CUDNN_STATUS_SUCCESS;
    }
}

std::vector<const Engine *> engines_for(const Descriptor *graph, cudnnBackendHeurMode_t mode) {
    std::vector<const Engine *> found;
    if (!has_kernels(graph) || refused("graph-heuristics")) return found;
    if (mode == CUDNN_HEUR_MODE_A)
        for (const Engine &e : fast) found.push_back(&e);
    // The last one again, with other settings: a list that is cut short has room for no other.
    while (mode == CUDNN_HEUR_MODE_A && found.size() < 40) found.push_back(&fast[3]);
    if (mode == CUDNN_HEUR_MODE_FALLBACK)
        for (const Engine &e : sure) found.push_back(&e);
    return found;
}

cudnnStatus_t execute(cudnnHandle_t h, const Descriptor *plan, const Descriptor *variant) {
    require_alive(plan);
    if (h->card != current_card())
        return refuse(CUDNN_STATUS_BAD_PARAM, "the handle is another card's");
    if (refused("graph-run"))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "told to refuse to run graphs");
    std::map<int64_t, const Descriptor *> wanted = operands_of(plan->graph);
    std::map<const Descriptor *, void *> given;
    int64_t n = variant->count(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    for (int64_t i = 0; i < n; i++) {
        auto at = wanted.find(variant->all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)[i]);
        if (at == wanted.end() || given.count(at->second))
            return refuse(CUDNN_STATUS_BAD_PARAM, "an operand that is not asked for, or twice");
        given[at->second] = variant->all<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)[i];
    }
    if (given.size() != wanted.size())
        return refuse(CUDNN_STATUS_BAD_PARAM, "an operand is missing");
    Run r = run_of(plan, given);
    void *workspace = variant->one<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    size_t bytes = (size_t)plan->engine->workspace;
    std::vector<std::pair<Tensor, void *>> memory; // what is read
    for (auto &g : given)
        if (g.second != r.out) memory.push_back({tensor_of(g.first), g.second});
    if (memory.size() + 1 != given.size())
        return refuse(CUDNN_STATUS_BAD_PARAM, "the result is an operand");
    return done(emulation_enqueue(h->stream, [=] {
        require(r.result, r.out, "cudnnBackendExecute: the result");
        for (const auto &m : memory) {
            require(m.first, m.second, "cudnnBackendExecute: an operand");
            if (overlap(m.second, m.first.bytes(), r.out, r.result.bytes()))
                fail("cudnnBackendExecute: the result overlaps an operand");
        }
        if (bytes) use_workspace(workspace, bytes, "cudnnBackendExecute: workspace");
        compute(r);
        check_canaries("cudnnBackendExecute");
    }));
}

} // namespace emulation
