// SPDX-License-Identifier: Apache-2.0
// What the device computes with: oneDNN's convolutions where it generates code for them, else
// matrix products (products.h); and whose matrix products. Decided once, when the device opens, by
// oneDNN's names for the code that it would run.
#include "ops/cpu/blas.h"
#include "ops/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

// A 3x3 convolution, typical for the model, and its gradients as oneDNN would like to make them.
typedef struct Typical {
    DnnlLayout any, weights, bias;
    dnnl_primitive_desc_t forward, data, dweights; // NULL: it has none
} Typical;

// Fails for want of memory alone.
static dnnl_status_t typical_new(Typical *t, dnnl_engine_t engine) {
    const dnnl_dims_t x = {8, 64, 24, 32}, w = {64, 64, 3, 3}, b = {64};
    *t = (Typical){.any = onednn_layout(4, x, dnnl_f32, dnnl_format_tag_any),
                   .weights = onednn_layout(4, w, dnnl_f32, dnnl_format_tag_any),
                   .bias = onednn_layout(1, b, dnnl_f32, dnnl_a)};
    const OneDnnConv conv = {.algorithm = dnnl_convolution_direct,
                             .x = t->any,
                             .w = t->weights,
                             .bias = t->bias,
                             .y = t->any,
                             .strides = {1, 1},
                             .pad = {1, 1}};
    dnnl_status_t forward = onednn_conv_forward(&t->forward, engine, &conv, true, NULL), back[2];
    if (forward != dnnl_success)
        return forward == dnnl_out_of_memory ? dnnl_out_of_memory : dnnl_success;
    back[0] = onednn_conv_backward_data(&t->data, engine, &conv, t->forward, NULL);
    back[1] = onednn_conv_backward_weights(&t->dweights, engine, &conv, t->forward, NULL);
    return back[0] == dnnl_out_of_memory || back[1] == dnnl_out_of_memory ? dnnl_out_of_memory
                                                                          : dnnl_success;
}

static void typical_free(Typical *t) {
    dnnl_primitive_desc_t made[] = {t->forward, t->data, t->dweights};
    DnnlLayout layouts[] = {t->any, t->weights, t->bias};
    for (int i = 0; i < 3; i++) {
        if (made[i]) dnnl_primitive_desc_destroy(made[i]);
        onednn_layout_free(layouts[i]);
    }
}

// Code for this processor that convolves, and does not unfold image by image for a matrix product.
static bool convolves(const_dnnl_primitive_desc_t pd) {
    if (!pd) return false;
    const char *name = onednn_implementation(pd);
    return (onednn_is_generated(pd) || strstr(name, "acl")) && !strstr(name, "gemm");
}

enum { NARROW = 8, WIDE = 16 }; // channels of a block of the IMAGE layout

// What oneDNN prefers; 0 for want of memory.
static int preferred_block(const Typical *t) {
    const dnnl_dims_t x = {8, 64, 24, 32};
    if (!t->forward) return NARROW;
    DnnlLayout wide = onednn_layout(4, x, dnnl_f32, dnnl_nChw16c);
    if (!wide) return 0;
    bool is_wide = dnnl_memory_desc_equal(
        dnnl_primitive_desc_query_md(t->forward, dnnl_query_dst_md, 0), wide);
    onednn_layout_free(wide);
    return is_wide ? WIDE : NARROW;
}

// Whether oneDNN's own code is what computes here. On x86-64 it always is. On Arm most cores have
// none; those with SVE have, but on an emulated one oneDNN 3.7 gave other actions than on every
// other platform, and no machine with SVE has shown where the fault lies. `cpu:onednn` takes it.
static bool trusts_onednn(void) {
#ifdef __x86_64__
    return true;
#else
    return false;
#endif
}

static void describe(Device *d) {
    const Cpu *cpu = cpu_of(d);
    size_t used = strlen(d->description);
    snprintf(d->description + used, sizeof d->description - used, "%s%s%.40s",
             cpu->products ? ", convolutions as matrix products" : "", cpu->blas ? ", " : "",
             cpu->blas ? blas_description() : "");
}

void cpu_choose(Device *d, const char *argument) {
    Cpu *cpu = cpu_of(d);
    Typical t;
    dnnl_status_t status = typical_new(&t, cpu->engine);
    cpu->block = status == dnnl_success ? preferred_block(&t) : 0;
    if (!cpu->block) cpu_status(d, dnnl_out_of_memory, "a typical convolution");
    cpu->blas = argument && strcmp(argument, "blas") == 0;
    cpu->products = cpu->blas;
    if (!argument && !cpu_bf16(d)) {
        cpu->blas = !trusts_onednn();
        cpu->products =
            cpu->blas || !convolves(t.forward) || !convolves(t.data) || !convolves(t.dweights);
    }
    // With AVX-512 oneDNN's own kernels are for it; at AVX2 ours are faster (tact bench --infer).
    cpu->panels = !cpu_bf16(d) && (cpu->blas || cpu->block == NARROW);
    typical_free(&t);
    describe(d);
}
