// SPDX-License-Identifier: Apache-2.0
// oneDNN for this folder, 2.x (from 2.2 on) and 3.x alike: what the two spell differently. Nobody
// else includes dnnl.h. A layout (a "memory descriptor") is a handle here, as it is in 3.x; an
// operation has no descriptor of its own, as in 3.x.
#ifndef TACT_OPS_CPU_ONEDNN_H
#define TACT_OPS_CPU_ONEDNN_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t DnnlLayout;
typedef const_dnnl_memory_desc_t ConstDnnlLayout;
#else
typedef dnnl_memory_desc_t *DnnlLayout;
typedef const dnnl_memory_desc_t *ConstDnnlLayout;
#endif

// Whether oneDNN may use all of these instructions: the processor has them, and ONEDNN_MAX_CPU_ISA
// does not forbid it. Sets of instructions are sets of bits and not ordered by their numbers: that
// of AVX2 with VNNI is the largest one in 2.6.
bool onednn_may_use(dnnl_cpu_isa_t instructions);

// How a tensor of these dimensions lies in memory, by oneDNN's tag (dnnl_format_tag_any: as the
// primitive likes it) or by strides in elements. The caller frees it; a primitive, a memory object
// and a primitive descriptor keep copies. NULL for want of memory (the dimensions are ours, and
// fit), which everything below takes: it comes out as dnnl_out_of_memory of whatever the layout is
// used for.
DnnlLayout onednn_layout(int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
                         dnnl_format_tag_t tag);
DnnlLayout onednn_layout_strided(int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides);
// A copy that the caller owns.
DnnlLayout onednn_layout_copy(ConstDnnlLayout layout);
void onednn_layout_free(DnnlLayout layout);

// A two-dimensional convolution and its gradients. In the backward passes x and y are the layouts
// of the gradients.
typedef struct OneDnnConv {
    dnnl_alg_kind_t algorithm;
    ConstDnnlLayout x, w, bias, y;     // bias: of forward only
    dnnl_dims_t strides, dilates, pad; // dilates: 0 for a dense kernel; pad: on either side
} OneDnnConv;
dnnl_status_t onednn_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                  const OneDnnConv *conv, bool training,
                                  const_dnnl_primitive_attr_t attr);
// hint: of the forward convolution.
dnnl_status_t onednn_conv_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                        const OneDnnConv *conv, const_dnnl_primitive_desc_t hint,
                                        const_dnnl_primitive_attr_t attr);
dnnl_status_t onednn_conv_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                           const OneDnnConv *conv, const_dnnl_primitive_desc_t hint,
                                           const_dnnl_primitive_attr_t attr);
// c = a b + bias; bias may be NULL.
dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *out, dnnl_engine_t engine, ConstDnnlLayout a,
                            ConstDnnlLayout b, ConstDnnlLayout bias, ConstDnnlLayout c,
                            const_dnnl_primitive_attr_t attr);

// Attributes whose scratchpad is the caller's, and, unless ops is NULL, an empty list of post-ops
// to fill in and set. The caller destroys both, also after a failure.
dnnl_status_t onednn_attr_new(dnnl_primitive_attr_t *attr, dnnl_post_ops_t *ops);
// What is done to a result before it is written: += what was there, or max(., 0).
dnnl_status_t onednn_append_sum(dnnl_post_ops_t ops);
dnnl_status_t onednn_append_relu(dnnl_post_ops_t ops);

// oneDNN's name for the code that it chose, such as "jit:avx2" or "ref:any".
const char *onednn_implementation(const_dnnl_primitive_desc_t pd);
// Whether that is code which oneDNN generated for the processor: its other code is written for all.
bool onednn_is_generated(const_dnnl_primitive_desc_t pd);
// Plain loops, which exist for every shape and are meant for tests.
bool onednn_is_reference(const_dnnl_primitive_desc_t pd);

// Writes which oneDNN the program runs with: "oneDNN 2.6.0".
void onednn_describe(char *out, size_t room);

#endif
