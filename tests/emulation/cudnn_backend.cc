// SPDX-License-Identifier: Apache-2.0
// cuDNN's backend API: descriptors by attributes. Each kind of descriptor takes the attributes of a
// table, of one type and so many values, until it is finalized, and is of use only then.
#include "cudnn_backend.h"

#include <algorithm>
#include <mutex>
#include <set>

namespace emulation {

namespace {

std::mutex all_mutex;
std::set<const void *> all; // descriptors that live

// An attribute that a kind of descriptor has. of: the kind of descriptor that it names.
struct Rule {
    cudnnBackendDescriptorType_t kind;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t least, most;
    bool required;
    int of = -1;
};

#define INT64 CUDNN_TYPE_INT64
#define DESCRIPTOR CUDNN_TYPE_BACKEND_DESCRIPTOR
#define TENSOR CUDNN_BACKEND_TENSOR_DESCRIPTOR
#define CONVOLUTION CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR
#define POINTWISE CUDNN_BACKEND_POINTWISE_DESCRIPTOR
#define OF_PRODUCT(kind, name, x, w, y)                                                            \
    {kind, name##_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, true},                                            \
        {kind, name##_BETA, CUDNN_TYPE_FLOAT, 1, 1, true},                                         \
        {kind, name##_CONV_DESC, DESCRIPTOR, 1, 1, true, CONVOLUTION},                             \
        {kind, name##_##x, DESCRIPTOR, 1, 1, true, TENSOR},                                        \
        {kind, name##_##w, DESCRIPTOR, 1, 1, true, TENSOR}, {                                      \
        kind, name##_##y, DESCRIPTOR, 1, 1, true, TENSOR                                           \
    }

const Rule rules[] = {
    {TENSOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, INT64, 1, 1, true},
    {TENSOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {TENSOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, INT64, 1, 1, true},
    {TENSOR, CUDNN_ATTR_TENSOR_DIMENSIONS, INT64, 1, CUDNN_DIM_MAX, true},
    {TENSOR, CUDNN_ATTR_TENSOR_STRIDES, INT64, 1, CUDNN_DIM_MAX, true},
    {TENSOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, false},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, INT64, 1, 1, true},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_DILATIONS, INT64, 2, 2, true},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, INT64, 2, 2, true},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, INT64, 2, 2, true},
    {CONVOLUTION, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, INT64, 2, 2, true},
    {POINTWISE, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, true},
    {POINTWISE, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    OF_PRODUCT(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
               CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD, X, W, Y),
    OF_PRODUCT(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA, DX, W, DY),
    OF_PRODUCT(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER, X, DW, DY),
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
     DESCRIPTOR, 1, 1, true, POINTWISE},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, DESCRIPTOR,
     1, 1, true, TENSOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, DESCRIPTOR,
     1, 1, false, TENSOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, DESCRIPTOR,
     1, 1, true, TENSOR},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, DESCRIPTOR, 1, 50,
     true},
    // Not needed by the newest versions; by the others it is.
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE,
     1, 1, true},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, DESCRIPTOR, 1, 1,
     true, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1,
     true},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, DESCRIPTOR,
     1, 1, true, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE,
     1, 1, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, INT64, 1, 64, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
     CUDNN_TYPE_VOID_PTR, 1, 64, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR,
     1, 1, true},
};

size_t bytes_of(cudnnBackendAttributeType_t type) {
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_FLOAT:
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_CONVOLUTION_MODE:
    case CUDNN_TYPE_HEUR_MODE:
    case CUDNN_TYPE_POINTWISE_MODE:
    case CUDNN_TYPE_NUMERICAL_NOTE:
        return 4;
    default:
        return 8;
    }
}

const Rule *rule_for(const Descriptor *d, cudnnBackendAttributeName_t name) {
    for (const Rule &r : rules)
        if (r.kind == d->type && r.name == name) return &r;
    return nullptr;
}

} // namespace

Descriptor *live(const void *d, const char *what) {
    std::lock_guard<std::mutex> lock(all_mutex);
    if (!all.count(d)) fail("cuDNN: %s: %p is no descriptor, or was destroyed", what, d);
    return static_cast<Descriptor *>(const_cast<void *>(d));
}

static cudnnStatus_t check_child(const void *p, const Rule *r) {
    if (!p) return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor that is set is NULL");
    const Descriptor *child = live(p, "cudnnBackendSetAttribute");
    if (!child->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor that is set is not finalized");
    if (r->of >= 0 && child->type != r->of)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor that is set is of another kind");
    return CUDNN_STATUS_SUCCESS;
}

// ---- what heuristics, engines and plans answer --------------------------------------------------

static cudnnStatus_t proposals(const Descriptor *h, int64_t room, int64_t *n, void *to) {
    const Descriptor *graph = h->child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    std::vector<const Engine *> engines =
        engines_for(graph, h->one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE));
    *n = (int64_t)engines.size();
    if (room == 0) return CUDNN_STATUS_SUCCESS; // asked how many there are
    *n = std::min(*n, room);
    for (int64_t i = 0; i < *n; i++) {
        Descriptor *c = live(static_cast<void **>(to)[i], "CUDNN_ATTR_ENGINEHEUR_RESULTS");
        if (c->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR || c->finalized)
            return refuse(CUDNN_STATUS_BAD_PARAM, "a result is no new engine configuration");
        c->engine = engines[(size_t)i];
        c->graph = graph;
        c->finalized = true;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t engine_of(const Descriptor *c, int64_t room, int64_t *n, void *to) {
    *n = 1;
    if (room < 1) return CUDNN_STATUS_SUCCESS;
    Descriptor *e = live(*static_cast<void **>(to), "CUDNN_ATTR_ENGINECFG_ENGINE");
    if (e->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR || e->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "the result is no new engine");
    e->engine = c->engine;
    e->graph = c->graph;
    e->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t number(int64_t value, int64_t room, int64_t *n, void *to) {
    *n = 1;
    if (room >= 1) *static_cast<int64_t *>(to) = value;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t notes_of(const Engine *e, int64_t room, int64_t *n, void *to) {
    *n = (int64_t)e->notes.size();
    std::copy_n(e->notes.begin(), std::min(room, *n),
                static_cast<cudnnBackendNumericalNote_t *>(to));
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t answer(const Descriptor *d, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, int64_t room, int64_t *n, void *to) {
    struct {
        cudnnBackendDescriptorType_t kind;
        cudnnBackendAttributeName_t name;
        cudnnBackendAttributeType_t type;
    } known[] = {
        {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_RESULTS, DESCRIPTOR},
        {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE, DESCRIPTOR},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, INT64},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
         CUDNN_TYPE_NUMERICAL_NOTE},
        {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, INT64},
    };
    int which = -1;
    for (int i = 0; i < 5; i++)
        if (known[i].kind == d->type && known[i].name == name && known[i].type == type) which = i;
    if (which < 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED,
                      "this descriptor has no such attribute to get, or not of this type");
    if (which == 0) return proposals(d, room, n, to);
    if (which == 1) return engine_of(d, room, n, to);
    if (which == 3) return notes_of(d->engine, room, n, to);
    return number(which == 2 ? d->engine->number : d->engine->workspace, room, n, to);
}

// ---- finalizing ---------------------------------------------------------------------------------

static cudnnStatus_t finalize(Descriptor *d) {
    for (const Rule &r : rules)
        if (r.kind == d->type && r.required && !d->has(r.name))
            return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute that must be set was not");
    cudnnStatus_t whole = check_whole(d);
    if (whole != CUDNN_STATUS_SUCCESS) return whole;
    if (d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
        const Descriptor *c = d->child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
        d->engine = c->engine;
        d->graph = c->graph;
        if (!d->engine->plans || refused("graph-plans"))
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "no plan can be made of this engine");
    }
    d->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}

} // namespace emulation

using namespace emulation;

extern "C" {

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *out) {
    bool known =
        type == CUDNN_BACKEND_ENGINE_DESCRIPTOR || type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
    for (const Rule &r : rules) known = known || r.kind == type;
    if (!known) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake has no such descriptor");
    Descriptor *d = new Descriptor;
    d->type = type;
    std::lock_guard<std::mutex> lock(all_mutex);
    all.insert(d);
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
    Descriptor *dead = live(d, "cudnnBackendDestroyDescriptor");
    std::lock_guard<std::mutex> lock(all_mutex);
    all.erase(d);
    delete dead;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t to,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values) {
    Descriptor *d = live(to, "cudnnBackendSetAttribute");
    if (d->finalized)
        return refuse(CUDNN_STATUS_NOT_INITIALIZED, "an attribute of a finalized descriptor");
    const Rule *r = rule_for(d, name);
    if (!r) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "this descriptor takes no such attribute");
    if (type != r->type) return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute of another type");
    if (count < r->least || count > r->most || !values)
        return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute of another number of values");
    for (int64_t i = 0; type == DESCRIPTOR && i < count; i++) {
        cudnnStatus_t s = check_child(static_cast<void *const *>(values)[i], r);
        if (s != CUDNN_STATUS_SUCCESS) return s;
    }
    const char *bytes = static_cast<const char *>(values);
    d->values[name] = {type, count, {bytes, bytes + bytes_of(type) * (size_t)count}};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const from,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *n,
                                       void *values) {
    const Descriptor *d = live(from, "cudnnBackendGetAttribute");
    if (!d->finalized)
        return refuse(CUDNN_STATUS_NOT_INITIALIZED, "an attribute of what is not finalized");
    if (room < 0 || !n || (room > 0 && !values))
        return refuse(CUDNN_STATUS_BAD_PARAM, "nowhere to put an attribute");
    return answer(d, name, type, room, n, values);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t which) {
    Descriptor *d = live(which, "cudnnBackendFinalize");
    if (d->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor is finalized a second time");
    return finalize(d);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t variant) {
    const Descriptor *p = live(plan, "cudnnBackendExecute"),
                     *v = live(variant, "cudnnBackendExecute");
    if (!h || p->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || !p->finalized ||
        v->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR || !v->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "no handle, finalized plan and finalized operands");
    return execute(h, p, v);
}

} // extern "C"
