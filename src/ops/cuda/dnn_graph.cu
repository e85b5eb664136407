// SPDX-License-Identifier: Apache-2.0
// The calls that make a graph of cuDNN's of a convolution. Descriptors are made, filled attribute
// by attribute and finalized, from the tensors up to the plan; each refers to finalized ones only.
#include "ops/cuda/dnn_graph.h"

#include <stdio.h>
#include <string.h>

typedef cudnnBackendDescriptor_t Descriptor;

// The numbers by which tensors and operands find each other.
enum { X = 1, W, Y, BIAS, RESIDUAL, INNER };

static const int64_t alignment = 16;

// ---- descriptors --------------------------------------------------------------------------------

// A descriptor that is being filled: the first refusal is kept, and what comes behind it is not
// tried.
struct Filling {
    DnnGraph *g;
    Descriptor descriptor;
    cudnnStatus_t status;
};

static Filling fill(DnnGraph *g, cudnnBackendDescriptorType_t type) {
    Filling f = {g, NULL, CUDNN_STATUS_INTERNAL_ERROR};
    if (g->n_owned == DNN_DESCRIPTORS) return f;
    f.status = cuda_lib.cudnnBackendCreateDescriptor(type, &f.descriptor);
    if (f.status == CUDNN_STATUS_SUCCESS) g->owned[g->n_owned++] = f.descriptor;
    return f;
}

static void set(Filling *f, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t count, const void *values) {
    if (f->status == CUDNN_STATUS_SUCCESS)
        f->status = cuda_lib.cudnnBackendSetAttribute(f->descriptor, name, type, count, values);
}

static void set_descriptor(Filling *f, cudnnBackendAttributeName_t name, Descriptor d) {
    set(f, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d);
}

static void set_int(Filling *f, cudnnBackendAttributeName_t name, int64_t value) {
    set(f, name, CUDNN_TYPE_INT64, 1, &value);
}

static void set_type(Filling *f, cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    set(f, name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

static void set_pair(Filling *f, cudnnBackendAttributeName_t name, int64_t value) {
    const int64_t both[] = {value, value};
    set(f, name, CUDNN_TYPE_INT64, 2, both);
}

// Finalizes it; NULL with *status set where anything was refused.
static Descriptor finish(Filling *f, cudnnStatus_t *status) {
    if (f->status == CUDNN_STATUS_SUCCESS) f->status = cuda_lib.cudnnBackendFinalize(f->descriptor);
    if (f->status == CUDNN_STATUS_SUCCESS) return f->descriptor;
    if (*status == CUDNN_STATUS_SUCCESS) *status = f->status;
    return NULL;
}

// (n, c, h, w) with the channels beside each other. Virtual: it goes from one operation to the next
// and is in no memory.
static Descriptor make_tensor(DnnGraph *g, int64_t uid, cudnnDataType_t type, bool is_virtual,
                              int64_t n, int64_t c, int64_t h, int64_t w, cudnnStatus_t *status) {
    const int64_t sizes[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c};
    Filling f = fill(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set_int(&f, CUDNN_ATTR_TENSOR_UNIQUE_ID, uid);
    set_type(&f, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    set_int(&f, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
    set(&f, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes);
    set(&f, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(&f, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    return finish(&f, status);
}

static Descriptor make_convolution(DnnGraph *g, cudnnStatus_t *status) {
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    Filling f = fill(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set_int(&f, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2);
    set_type(&f, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    set(&f, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set_pair(&f, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, g->conv.padding);
    set_pair(&f, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, g->conv.padding);
    set_pair(&f, CUDNN_ATTR_CONVOLUTION_DILATIONS, g->conv.dilation);
    set_pair(&f, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, g->conv.stride);
    return finish(&f, status);
}

// What an operation of each pass and its attributes are called.
static const struct {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t convolution, alpha, beta, x, w, y;
} names[PASSES] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

static Descriptor make_product(DnnGraph *g, Descriptor x, Descriptor w, Descriptor y,
                               cudnnStatus_t *status) {
    const float one = 1, zero = 0;
    Descriptor convolution = make_convolution(g, status);
    auto name = names[g->conv.pass];
    Filling f = fill(g, name.operation);
    set(&f, name.alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(&f, name.beta, CUDNN_TYPE_FLOAT, 1, &zero);
    set_descriptor(&f, name.convolution, convolution);
    set_descriptor(&f, name.x, x);
    set_descriptor(&f, name.w, w);
    set_descriptor(&f, name.y, y);
    return finish(&f, status);
}

// y = mode(x, b), or mode(x) where b is NULL.
static Descriptor make_pointwise(DnnGraph *g, cudnnPointwiseMode_t mode, Descriptor x, Descriptor b,
                                 Descriptor y, cudnnStatus_t *status) {
    Filling p = fill(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(&p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set_type(&p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    Descriptor pointwise = finish(&p, status);
    Filling f = fill(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(&f, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    set_descriptor(&f, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) set_descriptor(&f, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_descriptor(&f, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return finish(&f, status);
}

// ---- the graph ----------------------------------------------------------------------------------

// What y is before the next operation of a fused graph: virtual, in float32.
static Descriptor inner(DnnGraph *g, int64_t uid, cudnnStatus_t *status) {
    const DnnConv *c = &g->conv;
    return make_tensor(g, uid, CUDNN_DATA_FLOAT, true, c->n, c->k, c->p, c->q, status);
}

// The operations behind the product, which left its result in `from`; the last one writes y.
static int add_finish(DnnGraph *g, Descriptor from, Descriptor y, Descriptor *ops,
                      cudnnStatus_t *status) {
    const DnnConv *c = &g->conv;
    int n = 0;
    Descriptor bias = make_tensor(g, BIAS, c->type, false, 1, c->k, 1, 1, status);
    if (c->residual) {
        Descriptor residual =
            make_tensor(g, RESIDUAL, c->type, false, c->n, c->k, c->p, c->q, status);
        Descriptor sum = inner(g, INNER + 1, status);
        ops[n++] = make_pointwise(g, CUDNN_POINTWISE_ADD, from, residual, sum, status);
        from = sum;
    }
    Descriptor with_bias = c->relu ? inner(g, INNER + 2, status) : y;
    ops[n++] = make_pointwise(g, CUDNN_POINTWISE_ADD, from, bias, with_bias, status);
    if (c->relu) ops[n++] = make_pointwise(g, CUDNN_POINTWISE_RELU_FWD, with_bias, NULL, y, status);
    return n;
}

static cudnnStatus_t describe(DnnGraph *g) {
    const DnnConv *c = &g->conv;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    Descriptor ops[4];
    Descriptor x = make_tensor(g, X, c->type, false, c->n, c->c, c->h, c->w, &status);
    Descriptor w = make_tensor(g, W, c->type, false, c->k, c->c, c->kernel, c->kernel, &status);
    Descriptor y = make_tensor(g, Y, c->type, false, c->n, c->k, c->p, c->q, &status);
    Descriptor product = c->fused ? inner(g, INNER, &status) : y;
    int n = 1;
    ops[0] = make_product(g, x, w, product, &status);
    if (c->fused) n += add_finish(g, product, y, ops + 1, &status);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    Filling f = fill(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(&f, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, ops);
    if (g->handle) set(&f, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->handle);
    g->graph = finish(&f, &status);
    return status;
}

// ---- proposals ----------------------------------------------------------------------------------

static void destroy(Descriptor *d) {
    if (*d) cuda_lib.cudnnBackendDestroyDescriptor(*d);
    *d = NULL;
}

// Adds what one kind of heuristics proposes, at most `room`. That it proposes nothing is no refusal
// yet.
static cudnnStatus_t add_proposals(DnnGraph *g, cudnnBackendHeurMode_t mode, int64_t room) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    Filling f = fill(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_descriptor(&f, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g->graph);
    set(&f, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
#if CUDNN_VERSION >= 90800
    if (g->properties) set_descriptor(&f, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, g->properties);
#endif
    Descriptor heuristics = finish(&f, &status);
    if (!heuristics) return status;
    int64_t found = 0;
    Descriptor *to = g->proposals + g->n_proposals;
    // cuDNN fills in descriptors that are there.
    for (int64_t i = 0; i < room && status == CUDNN_STATUS_SUCCESS; i++)
        status = cuda_lib.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &to[i]);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cuda_lib.cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, room, &found, to);
    if (status != CUDNN_STATUS_SUCCESS || found < 0) found = 0;
    if (found > room) found = room;
    for (int64_t i = found; i < room; i++) destroy(&to[i]);
    g->n_proposals += (int)found;
    return status;
}

cudnnStatus_t dnn_graph_new(DnnGraph *g, DnnConv conv, cudnnHandle_t handle,
                            cudnnBackendDescriptor_t properties) {
    memset(g, 0, sizeof *g);
    g->conv = conv;
    g->handle = handle;
    g->properties = properties;
    cudnnStatus_t status = describe(g);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    status = add_proposals(g, CUDNN_HEUR_MODE_A, DNN_FAST);
    cudnnStatus_t fallback = add_proposals(g, CUDNN_HEUR_MODE_FALLBACK, DNN_SURE);
    if (g->n_proposals > 0) return CUDNN_STATUS_SUCCESS;
    if (status == CUDNN_STATUS_SUCCESS) status = fallback;
    return status == CUDNN_STATUS_SUCCESS ? CUDNN_STATUS_NOT_SUPPORTED : status;
}

void dnn_graph_free(DnnGraph *g) {
    destroy(&g->variant);
    destroy(&g->plan);
    for (int i = 0; i < DNN_PROPOSALS; i++) destroy(&g->proposals[i]);
    while (g->n_owned > 0) destroy(&g->owned[--g->n_owned]);
    memset(g, 0, sizeof *g);
}

// ---- plans --------------------------------------------------------------------------------------

// Whether an engine's sums repeat and keep the precision, by what cuDNN notes of it.
static bool keeps_word(const cudnnBackendNumericalNote_t *notes, int64_t n, bool whole) {
    for (int64_t i = 0; i < n; i++) switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            return false;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
            if (whole) return false;
            break;
        default:
            break;
        }
    return true;
}

// The engine of a proposal: its number, and whether it may be used.
static cudnnStatus_t look_at_engine(Descriptor proposal, bool whole, int64_t *number) {
    enum { MAX_NOTES = 32 };
    cudnnBackendNumericalNote_t notes[MAX_NOTES];
    int64_t n = 0;
    Descriptor engine = NULL;
    cudnnStatus_t status =
        cuda_lib.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cuda_lib.cudnnBackendGetAttribute(proposal, CUDNN_ATTR_ENGINECFG_ENGINE,
                                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cuda_lib.cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX,
                                                   CUDNN_TYPE_INT64, 1, &n, number);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cuda_lib.cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                   CUDNN_TYPE_NUMERICAL_NOTE, MAX_NOTES, &n, notes);
    // More notes than there is room for: what they say is not known.
    if (status == CUDNN_STATUS_SUCCESS && (n > MAX_NOTES || !keeps_word(notes, n, whole)))
        status = CUDNN_STATUS_NOT_SUPPORTED;
    destroy(&engine);
    return status;
}

cudnnStatus_t dnn_graph_plan(DnnGraph *g, int i, bool whole, int64_t limit) {
    int64_t n = 0;
    destroy(&g->variant);
    destroy(&g->plan);
    cudnnStatus_t status = look_at_engine(g->proposals[i], whole, &g->engine);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    status =
        cuda_lib.cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &g->plan);
    Filling f = {g, g->plan, status};
    set_descriptor(&f, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, g->proposals[i]);
    if (g->handle) set(&f, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->handle);
#if CUDNN_VERSION >= 90800
    if (g->properties) set_descriptor(&f, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, g->properties);
#endif
    status = CUDNN_STATUS_SUCCESS;
    if (finish(&f, &status))
        status =
            cuda_lib.cudnnBackendGetAttribute(g->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                              CUDNN_TYPE_INT64, 1, &n, &g->workspace);
    if (status == CUDNN_STATUS_SUCCESS && (g->workspace < 0 || g->workspace > limit))
        status = CUDNN_STATUS_NOT_SUPPORTED;
    if (status != CUDNN_STATUS_SUCCESS) destroy(&g->plan);
    return status;
}

// ---- running ------------------------------------------------------------------------------------

static cudnnStatus_t bind(DnnGraph *g, DnnOperands o, void *workspace) {
    const int64_t all[] = {X, W, Y, BIAS, RESIDUAL};
    const void *pointers[] = {o.x, o.w, o.y, o.bias, o.residual};
    int64_t n = !g->conv.fused ? 3 : g->conv.residual ? 5 : 4;
    cudnnStatus_t status =
        cuda_lib.cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &g->variant);
    Filling f = {g, g->variant, status};
    set(&f, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, all);
    set(&f, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers);
    set(&f, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    status = CUDNN_STATUS_SUCCESS;
    if (!finish(&f, &status)) destroy(&g->variant);
    g->operands = o;
    g->workspace_at = workspace;
    return status;
}

cudnnStatus_t dnn_graph_run(DnnGraph *g, DnnOperands o, void *workspace) {
    bool same = g->variant && workspace == g->workspace_at && o.x == g->operands.x &&
                o.w == g->operands.w && o.y == g->operands.y && o.bias == g->operands.bias &&
                o.residual == g->operands.residual;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (!same) {
        destroy(&g->variant);
        status = bind(g, o, workspace);
    }
    return status == CUDNN_STATUS_SUCCESS
               ? cuda_lib.cudnnBackendExecute(g->handle, g->plan, g->variant)
               : status;
}
