// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/onednn.h"

#include "base/memory.h"
#include <stdio.h>
#include <string.h>

// ---- layouts ------------------------------------------------------------------------------------

bool onednn_may_use(dnnl_cpu_isa_t instructions) {
    return (dnnl_get_effective_cpu_isa() & instructions) == instructions;
}

DnnlLayout onednn_layout(int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
                         dnnl_format_tag_t tag) {
#if DNNL_VERSION_MAJOR >= 3
    DnnlLayout layout = NULL;
    return dnnl_memory_desc_create_with_tag(&layout, rank, dims, type, tag) == dnnl_success ? layout
                                                                                            : NULL;
#else
    DnnlLayout layout = TRY_NEW(dnnl_memory_desc_t, 1);
    if (layout && dnnl_memory_desc_init_by_tag(layout, rank, dims, type, tag) == dnnl_success)
        return layout;
    mem_free(layout);
    return NULL;
#endif
}

DnnlLayout onednn_layout_strided(int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
#if DNNL_VERSION_MAJOR >= 3
    DnnlLayout layout = NULL;
    return dnnl_memory_desc_create_with_strides(&layout, rank, dims, type, strides) == dnnl_success
               ? layout
               : NULL;
#else
    DnnlLayout layout = TRY_NEW(dnnl_memory_desc_t, 1);
    if (layout &&
        dnnl_memory_desc_init_by_strides(layout, rank, dims, type, strides) == dnnl_success)
        return layout;
    mem_free(layout);
    return NULL;
#endif
}

DnnlLayout onednn_layout_copy(ConstDnnlLayout layout) {
#if DNNL_VERSION_MAJOR >= 3
    DnnlLayout copy = NULL;
    return dnnl_memory_desc_clone(&copy, layout) == dnnl_success ? copy : NULL;
#else
    if (!layout) return NULL;
    DnnlLayout copy = TRY_NEW(dnnl_memory_desc_t, 1);
    if (copy) *copy = *layout;
    return copy;
#endif
}

void onednn_layout_free(DnnlLayout layout) {
#if DNNL_VERSION_MAJOR >= 3
    if (layout) dnnl_memory_desc_destroy(layout);
#else
    mem_free(layout);
#endif
}

// ---- operations ---------------------------------------------------------------------------------

// In 2.x what is to be done is described first.
#if DNNL_VERSION_MAJOR < 3
static dnnl_status_t described(dnnl_status_t status, dnnl_primitive_desc_t *out,
                               dnnl_engine_t engine, const void *what,
                               const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr) {
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, what, attr, engine, hint);
}
#endif

dnnl_status_t onednn_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                  const OneDnnConv *conv, bool training,
                                  const_dnnl_primitive_attr_t attr) {
    dnnl_prop_kind_t kind = training ? dnnl_forward_training : dnnl_forward_inference;
    *out = NULL;
    if (!conv->x || !conv->w || !conv->bias || !conv->y) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, kind, conv->algorithm, conv->x, conv->w, conv->bias, conv->y, conv->strides,
        conv->dilates, conv->pad, conv->pad, attr);
#else
    dnnl_convolution_desc_t cd;
    return described(dnnl_dilated_convolution_forward_desc_init(
                         &cd, kind, conv->algorithm, conv->x, conv->w, conv->bias, conv->y,
                         conv->strides, conv->dilates, conv->pad, conv->pad),
                     out, engine, &cd, NULL, attr);
#endif
}

dnnl_status_t onednn_conv_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                        const OneDnnConv *conv, const_dnnl_primitive_desc_t hint,
                                        const_dnnl_primitive_attr_t attr) {
    *out = NULL;
    if (!conv->x || !conv->w || !conv->y) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_data_primitive_desc_create(
        out, engine, conv->algorithm, conv->x, conv->w, conv->y, conv->strides, conv->dilates,
        conv->pad, conv->pad, hint, attr);
#else
    dnnl_convolution_desc_t cd;
    return described(dnnl_dilated_convolution_backward_data_desc_init(
                         &cd, conv->algorithm, conv->x, conv->w, conv->y, conv->strides,
                         conv->dilates, conv->pad, conv->pad),
                     out, engine, &cd, hint, attr);
#endif
}

dnnl_status_t onednn_conv_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                           const OneDnnConv *conv, const_dnnl_primitive_desc_t hint,
                                           const_dnnl_primitive_attr_t attr) {
    *out = NULL;
    if (!conv->x || !conv->w || !conv->y) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, engine, conv->algorithm, conv->x, conv->w, NULL, conv->y, conv->strides, conv->dilates,
        conv->pad, conv->pad, hint, attr);
#else
    dnnl_convolution_desc_t cd;
    return described(dnnl_dilated_convolution_backward_weights_desc_init(
                         &cd, conv->algorithm, conv->x, conv->w, NULL, conv->y, conv->strides,
                         conv->dilates, conv->pad, conv->pad),
                     out, engine, &cd, hint, attr);
#endif
}

dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *out, dnnl_engine_t engine, ConstDnnlLayout a,
                            ConstDnnlLayout b, ConstDnnlLayout bias, ConstDnnlLayout c,
                            const_dnnl_primitive_attr_t attr) {
    *out = NULL;
    if (!a || !b || !c) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(out, engine, a, b, bias, c, attr);
#else
    dnnl_matmul_desc_t md;
    return described(dnnl_matmul_desc_init(&md, a, b, bias, c), out, engine, &md, NULL, attr);
#endif
}

dnnl_status_t onednn_attr_new(dnnl_primitive_attr_t *attr, dnnl_post_ops_t *ops) {
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && ops) status = dnnl_post_ops_create(ops);
    return status;
}

dnnl_status_t onednn_append_sum(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
}

dnnl_status_t onednn_append_relu(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0, 0);
#endif
}

// ---- what it chose ------------------------------------------------------------------------------

const char *onednn_implementation(const_dnnl_primitive_desc_t pd) {
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return name;
}

bool onednn_is_generated(const_dnnl_primitive_desc_t pd) {
    const char *name = onednn_implementation(pd);
    return strstr(name, "jit") != NULL || strstr(name, "brg") != NULL;
}

bool onednn_is_reference(const_dnnl_primitive_desc_t pd) {
    return strncmp(onednn_implementation(pd), "ref", 3) == 0;
}

void onednn_describe(char *out, size_t room) {
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, room, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}
