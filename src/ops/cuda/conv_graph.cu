// SPDX-License-Identifier: Apache-2.0
// Which plan of cuDNN's a pass of a convolution takes: of those that its heuristics propose for the
// graph of it, the first that keeps the precision, repeats its bits, fits into the workspace and
// runs. No clock decides.
#include "ops/cuda/conv.h"

static DnnConv dnn_conv(const Conv *c, int pass, bool fused) {
    const ConvSpec *s = &c->spec;
    DnnConv g = {c->type == DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT,
                 s->n,
                 c->in_c,
                 s->in_h,
                 s->in_w,
                 c->out_c,
                 c->out_h,
                 c->out_w,
                 s->kernel,
                 s->stride,
                 s->padding,
                 s->dilation,
                 pass,
                 fused,
                 fused && s->residual,
                 fused && s->relu};
    return g;
}

// What a pass is tried with. The gradient of weights goes where it will go later.
static DnnOperands trial_operands(const Conv *c, int pass, bool fused, Trial t) {
    DnnOperands o = {t.x, pass == FILTER ? c->dpacked : c->packed, t.y, fused ? c->shift : NULL,
                     fused ? t.residual : NULL};
    return o;
}

static cudnnStatus_t try_plan(Device *d, DnnGraph *g, int proposal, DnnOperands o) {
    bool whole = d->precision == PRECISION_FLOAT32;
    cudnnStatus_t status = dnn_graph_plan(g, proposal, whole, (int64_t)CONV_WORKSPACE);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    if (!cuda_workspace(d, (size_t)g->workspace)) return CUDNN_STATUS_NOT_SUPPORTED;
    status = dnn_graph_run(g, o, cuda_of(d)->workspace);
    // A refusal is not to be blamed on a later launch.
    cudaError_t launched = cudaGetLastError();
    if (status == CUDNN_STATUS_SUCCESS && launched != cudaSuccess)
        status = CUDNN_STATUS_EXECUTION_FAILED;
    if (status == CUDNN_STATUS_SUCCESS) cuda_wait(d, cuda_stream(d), NULL, "trying a convolution");
    return status;
}

cudnnStatus_t conv_graph_choose(Device *d, Conv *c, int pass, bool fused, Trial t) {
    DnnGraph *g = TRY_NEW(DnnGraph, 1);
    if (!g) {
        device_fail_memory(d, "a graph of a convolution");
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    cuda_issued(d, conv_pass_name(pass), c->spec.n * c->out_h * c->out_w, c->out_c);
    cudnnStatus_t status = dnn_graph_new(g, dnn_conv(c, pass, fused), cuda_of(d)->dnn, NULL);
    bool found = false;
    for (int i = 0; status == CUDNN_STATUS_SUCCESS && !found && i < g->n_proposals; i++) {
        cudnnStatus_t tried = try_plan(d, g, i, trial_operands(c, pass, fused, t));
        found = tried == CUDNN_STATUS_SUCCESS;
        if (!found && i + 1 == g->n_proposals) status = tried;
        if (d->failed) status = CUDNN_STATUS_EXECUTION_FAILED;
    }
    if (!found || d->failed) {
        conv_graph_free(g);
        return status;
    }
    c->passes[pass].choice = Choice{GRAPH, conv_math(d), (size_t)g->workspace, g};
    return CUDNN_STATUS_SUCCESS;
}

// The workspace may have moved since the plan was tried; its size is the plan's own.
cudnnStatus_t conv_graph_run(Device *d, const Conv *c, int pass, DnnOperands operands) {
    return dnn_graph_run(c->passes[pass].choice.graph, operands, cuda_of(d)->workspace);
}

void conv_graph_free(DnnGraph *g) {
    if (!g) return;
    dnn_graph_free(g);
    mem_free(g);
}
