// SPDX-License-Identifier: Apache-2.0
// What computes a convolution: a graph of cuDNN's where it has one (conv_graph.cu), else one of its
// legacy algorithms, by the library's heuristics, among those that give the same bits every time,
// the first that runs; at last our own kernels. So the choice depends on shape, library and card
// alone, and a run that is resumed goes on to the bit. TACT_LOG_CONV in the environment says what
// was chosen; TACT_CUDA_CONV=legacy does without graphs and TACT_CUDA_CONV=own without cuDNN, to
// compare them.
#include "ops/cuda/conv.h"

extern "C" {
#include "base/log.h"
}
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FOUND = 16, MAX_ALGORITHMS = MAX_FOUND + 2 };
static const char *const pass_names[] = {"convolution", "convolution, gradient of its input",
                                         "convolution, gradient of its weights"};

// The choices for a shape, kept so that convolutions of one shape are computed alike, and planned
// once.
struct ConvChoices {
    ConvSpec spec;
    Choice choices[PASSES];
    bool fused;
    ConvChoices *next;
};

const char *conv_pass_name(int pass) {
    return pass_names[pass];
}

static const char *shape_text(const Device *d, const ConvSpec *s, char *text, size_t size) {
    snprintf(text, size, "%ld x %ldx%ldx%ld -> %ld, kernel %d, stride %d, padding %d, %s",
             (long)s->n, (long)s->in_c, (long)s->in_h, (long)s->in_w, (long)s->out_c, s->kernel,
             s->stride, s->padding, precision_name(d->precision));
    return text;
}

bool dnn_ok(Device *d, const ConvSpec *s, cudnnStatus_t status, const char *what) {
    if (status == CUDNN_STATUS_SUCCESS) return true;
    char shape[256], more[256] = "";
#if CUDNN_MAJOR >= 9
    cuda_lib.cudnnGetLastErrorString(more, sizeof more);
#endif
    device_fail(d, "cuda: %s (%s): cuDNN: %s %s", what, shape_text(d, s, shape, sizeof shape),
                cuda_lib.cudnnGetErrorString(status), more);
    return false;
}

// FMA keeps float32 whole; the default lets tensor cores round factors to TF32.
cudnnMathType_t conv_math(Device *d) {
    if (d->precision == PRECISION_BFLOAT16) return CUDNN_TENSOR_OP_MATH;
    return d->precision == PRECISION_FLOAT32 ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

// ---- choosing -----------------------------------------------------------------------------------

// What cuDNN proposes for a pass.
typedef struct Candidates {
    int n;
    Choice list[MAX_ALGORITHMS];
} Candidates;

// Adds those of cuDNN's proposals that may be used: they give the same bits every time, fit into
// the workspace, and keep the precision. At float32 that is FMA, whatever arithmetic the proposal
// names, and no algorithm that needs tensor cores.
template <typename Perf>
static void keep_usable(Device *d, Candidates *to, const Perf *found, int n) {
    bool whole = d->precision == PRECISION_FLOAT32;
    for (int i = 0; i < n && to->n < MAX_ALGORITHMS; i++) {
        cudnnMathType_t math = found[i].mathType;
        if (found[i].status != CUDNN_STATUS_SUCCESS || found[i].memory > CONV_WORKSPACE ||
            found[i].determinism != CUDNN_DETERMINISTIC ||
            math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION ||
            (whole && math == CUDNN_TENSOR_OP_MATH))
            continue;
        to->list[to->n++] =
            Choice{(int)found[i].algo, whole ? CUDNN_FMA_MATH : math, found[i].memory, NULL};
    }
}

// The candidates for a pass: first those of cuDNN's heuristics, the fastest first (no clock
// decides, so that every run takes the same), then the deterministic ones that cuDNN documents for
// NHWC, in case none of the heuristics' runs.
static Candidates list_candidates(Device *d, const Conv *c, int pass) {
    cudnnHandle_t dnn = cuda_of(d)->dnn;
    cudnnConvolutionDescriptor_t conv = c->passes[pass].conv;
    Candidates all = {0, {}};
    int n = 0;
    if (pass == FORWARD) {
        cudnnConvolutionFwdAlgoPerf_t found[MAX_FOUND];
        if (cuda_lib.cudnnGetConvolutionForwardAlgorithm_v7(dnn, c->x, c->w, conv, c->y, MAX_FOUND,
                                                            &n, found) == CUDNN_STATUS_SUCCESS)
            keep_usable(d, &all, found, n);
        all.list[all.n++] =
            Choice{CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, conv_math(d), 0, NULL};
        all.list[all.n++] = Choice{CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, conv_math(d), 0, NULL};
    } else if (pass == DATA) {
        cudnnConvolutionBwdDataAlgoPerf_t found[MAX_FOUND];
        if (cuda_lib.cudnnGetConvolutionBackwardDataAlgorithm_v7(
                dnn, c->w, c->y, conv, c->x, MAX_FOUND, &n, found) == CUDNN_STATUS_SUCCESS)
            keep_usable(d, &all, found, n);
        all.list[all.n++] = Choice{CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, conv_math(d), 0, NULL};
    } else {
        cudnnConvolutionBwdFilterAlgoPerf_t found[MAX_FOUND];
        if (cuda_lib.cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                dnn, c->x, c->y, conv, c->w, MAX_FOUND, &n, found) == CUDNN_STATUS_SUCCESS)
            keep_usable(d, &all, found, n);
        all.list[all.n++] = Choice{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, conv_math(d), 0, NULL};
    }
    return all;
}

// What an algorithm needs with the arithmetic that the descriptor has now.
static cudnnStatus_t workspace_of(Device *d, const Conv *c, int pass, int algorithm,
                                  size_t *bytes) {
    cudnnHandle_t dnn = cuda_of(d)->dnn;
    cudnnConvolutionDescriptor_t conv = c->passes[pass].conv;
    if (pass == FORWARD)
        return cuda_lib.cudnnGetConvolutionForwardWorkspaceSize(
            dnn, c->x, c->w, conv, c->y, (cudnnConvolutionFwdAlgo_t)algorithm, bytes);
    if (pass == DATA)
        return cuda_lib.cudnnGetConvolutionBackwardDataWorkspaceSize(
            dnn, c->w, c->y, conv, c->x, (cudnnConvolutionBwdDataAlgo_t)algorithm, bytes);
    return cuda_lib.cudnnGetConvolutionBackwardFilterWorkspaceSize(
        dnn, c->x, c->y, conv, c->w, (cudnnConvolutionBwdFilterAlgo_t)algorithm, bytes);
}

// Runs a candidate once, as it would run later. The arithmetic is set first, because the workspace
// depends on it.
static cudnnStatus_t try_candidate(Device *d, Conv *c, int pass, Choice candidate, Trial t) {
    Pass *p = &c->passes[pass];
    size_t bytes = 0;
    p->choice = candidate;
    cudnnStatus_t status = cuda_lib.cudnnSetConvolutionMathType(p->conv, candidate.math);
    if (status == CUDNN_STATUS_SUCCESS)
        status = workspace_of(d, c, pass, candidate.algorithm, &bytes);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    if (bytes > p->choice.workspace) p->choice.workspace = bytes;
    if (p->choice.workspace > CONV_WORKSPACE) return CUDNN_STATUS_NOT_SUPPORTED;
    if (!cuda_workspace(d, p->choice.workspace)) return CUDNN_STATUS_ALLOC_FAILED;
    return pass == FORWARD ? conv_run_forward(d, c, t.y, t.x)
           : pass == DATA  ? conv_run_data(d, c, t.x, t.y)
                           : conv_run_filter(d, c, t.x, t.y);
}

// Warns once for each device; TACT_LOG_CONV lists the other cases.
static void warn_own_kernel(Device *d, const ConvSpec *s, cudnnStatus_t status, const char *pass) {
    if (cuda_of(d)->own_conv_logged) return;
    cuda_of(d)->own_conv_logged = true;
    char text[256];
    log_warn("cuda: %s (%s): cuDNN has no algorithm that runs, repeats its bits and keeps the "
             "precision (%s); "
             "tact computes it itself, which is slow (TACT_LOG_CONV=1 lists all: algorithm -1)",
             pass, shape_text(d, s, text, sizeof text), cuda_lib.cudnnGetErrorString(status));
}

// Which ways are tried.
typedef enum Way { WAY_GRAPH, WAY_LEGACY, WAY_OWN } Way;

static Way allowed_way(void) {
    const char *asked = getenv("TACT_CUDA_CONV");
    if (asked && strcmp(asked, "own") == 0) return WAY_OWN;
    return asked && strcmp(asked, "legacy") == 0 ? WAY_LEGACY : WAY_GRAPH;
}

// A graph that does the pass, with FORWARD all that follows the product where that is refused the
// product alone.
static bool choose_graph(Device *d, Conv *c, int pass, Trial t) {
    cudnnStatus_t fused = CUDNN_STATUS_NOT_SUPPORTED;
    if (pass == FORWARD) fused = conv_graph_choose(d, c, pass, true, t);
    c->fused = c->fused || fused == CUDNN_STATUS_SUCCESS;
    if (fused == CUDNN_STATUS_SUCCESS || d->failed) return true;
    cudnnStatus_t status = conv_graph_choose(d, c, pass, false, t);
    if (getenv("TACT_LOG_CONV") && (pass == FORWARD || status != CUDNN_STATUS_SUCCESS)) {
        char shape[256];
        log_info("conv %s: %s: no graph%s (%s)", shape_text(d, &c->spec, shape, sizeof shape),
                 pass_names[pass],
                 status == CUDNN_STATUS_SUCCESS ? " with bias and activation" : "",
                 cuda_lib.cudnnGetErrorString(status == CUDNN_STATUS_SUCCESS ? fused : status));
    }
    return status == CUDNN_STATUS_SUCCESS || d->failed;
}

// The first that runs: a graph, a legacy candidate; where none does, our own kernels.
static void choose_algorithm(Device *d, Conv *c, int pass, Trial t) {
    Way way = allowed_way();
    if (way == WAY_OWN) {
        c->passes[pass].choice = Choice{OWN_KERNEL, conv_math(d), 0, NULL};
        return;
    }
    if (way == WAY_GRAPH && choose_graph(d, c, pass, t)) return;
    Candidates all = list_candidates(d, c, pass);
    cudnnStatus_t status = CUDNN_STATUS_NOT_SUPPORTED;
    for (int i = 0; i < all.n && !d->failed; i++) {
        status = try_candidate(d, c, pass, all.list[i], t);
        cudaError_t launched =
            cudaGetLastError(); // a refusal is not to be blamed on a later launch
        if (status != CUDNN_STATUS_SUCCESS || launched != cudaSuccess) continue;
        cuda_issued(d, pass_names[pass], c->spec.n * c->out_h * c->out_w, c->out_c);
        cuda_wait(d, cuda_stream(d), NULL, "trying a convolution");
        return;
    }
    if (d->failed) return;
    c->passes[pass].choice = Choice{OWN_KERNEL, conv_math(d), 0, NULL};
    warn_own_kernel(d, &c->spec, status, pass_names[pass]);
}

// Without an activation cuDNN fuses the bias with one algorithm only.
static bool may_fuse(const Conv *c) {
    if (c->passes[FORWARD].choice.algorithm < 0) return false;
    return c->spec.relu ||
           c->passes[FORWARD].choice.algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
}

// Logged once for each device.
static void log_unfused(Device *d, const ConvSpec *s, cudnnStatus_t status) {
    if (cuda_of(d)->unfused_logged) return;
    cuda_of(d)->unfused_logged = true;
    char text[256];
    log_info("cuda: cuDNN refuses bias and activation with the convolution (%s): %s; tact does "
             "them in a pass "
             "of its own",
             shape_text(d, s, text, sizeof text), cuda_lib.cudnnGetErrorString(status));
}

static void try_fused(Device *d, Conv *c, Trial t) {
    cudnnStatus_t status = conv_run_fused(d, c, t.y, t.x, t.residual);
    cudaError_t launched = cudaGetLastError();
    c->fused = status == CUDNN_STATUS_SUCCESS && launched == cudaSuccess;
    if (!c->fused) log_unfused(d, &c->spec, status);
    cuda_wait(d, cuda_stream(d), NULL, "trying a convolution");
}

static void choose_algorithms(Device *d, Conv *c) {
    const ConvSpec *s = &c->spec;
    size_t size = dtype_size(c->type);
    size_t out_bytes = (size_t)(s->n * c->out_c * c->out_h * c->out_w) * size;
    Trial t = {d->alloc(d, (size_t)(s->n * c->in_c * s->in_h * s->in_w) * size),
               d->alloc(d, out_bytes), s->residual ? d->alloc(d, out_bytes) : NULL};
    for (int i = 0; i < PASSES && !d->failed; i++)
        if (conv_uses(s, i)) choose_algorithm(d, c, i, t);
    if (!d->failed && may_fuse(c)) try_fused(d, c, t);
    d->release(d, t.x);
    d->release(d, t.y);
    d->release(d, t.residual);
}

static bool same_spec(const ConvSpec *a, const ConvSpec *b) {
    return a->n == b->n && a->in_c == b->in_c && a->in_h == b->in_h && a->in_w == b->in_w &&
           a->out_c == b->out_c && a->kernel == b->kernel && a->stride == b->stride &&
           a->padding == b->padding && a->dilation == b->dilation && a->relu == b->relu &&
           a->residual == b->residual && a->train == b->train && a->need_dx == b->need_dx;
}

// "graph 41 (131 bytes, fused)", "algorithm 1 (math 3, 16 kB)".
static const char *choice_text(const Conv *c, int pass, char *text, size_t size) {
    const Choice *a = &c->passes[pass].choice;
    const char *fused = pass == FORWARD && c->fused ? ", fused" : "";
    if (!conv_uses(&c->spec, pass))
        snprintf(text, size, "none");
    else if (a->algorithm == GRAPH)
        snprintf(text, size, "graph %ld (%zu bytes%s)", (long)a->graph->engine, a->workspace,
                 fused);
    else
        snprintf(text, size, "algorithm %d (math %d, %zu bytes%s)", a->algorithm, (int)a->math,
                 a->workspace, fused);
    return text;
}

static void log_choice(Device *d, const Conv *c) {
    if (!getenv("TACT_LOG_CONV")) return;
    char shape[256], text[PASSES][96];
    for (int i = 0; i < PASSES; i++) choice_text(c, i, text[i], sizeof text[i]);
    log_info("conv %s: forward %s, data %s, filter %s",
             shape_text(d, &c->spec, shape, sizeof shape), text[FORWARD], text[DATA], text[FILTER]);
}

static ConvChoices *known_choice(Device *d, const ConvSpec *spec) {
    ConvChoices *at = cuda_of(d)->conv_choices;
    while (at && !same_spec(&at->spec, spec)) at = at->next;
    return at;
}

static void apply_choice(Device *d, Conv *c, const ConvChoices *known) {
    c->fused = known->fused;
    for (int i = 0; i < PASSES; i++) {
        c->passes[i].choice = known->choices[i];
        if (!conv_uses(&c->spec, i)) continue;
        dnn_ok(d, &c->spec,
               cuda_lib.cudnnSetConvolutionMathType(c->passes[i].conv, known->choices[i].math),
               "arithmetic");
        cuda_workspace(d, known->choices[i].workspace);
    }
}

static void choices_free(ConvChoices *all) {
    for (int i = 0; i < PASSES; i++) conv_graph_free(all->choices[i].graph);
    mem_free(all);
}

// Takes over what was chosen for this shape before, or finds it. What was found belongs to the
// device, graphs too.
void conv_choose(Device *d, Conv *c) {
    const ConvChoices *known = known_choice(d, &c->spec);
    if (known) {
        apply_choice(d, c, known);
        return;
    }
    ConvChoices *keep = TRY_NEW(ConvChoices, 1);
    if (!keep) {
        device_fail_memory(d, "the choices for a convolution");
        return;
    }
    choose_algorithms(d, c);
    keep->spec = c->spec;
    keep->fused = c->fused;
    for (int i = 0; i < PASSES; i++) keep->choices[i] = c->passes[i].choice;
    if (d->failed) { // nothing that a later convolution may take over
        choices_free(keep);
        return;
    }
    keep->next = cuda_of(d)->conv_choices;
    cuda_of(d)->conv_choices = keep;
    log_choice(d, c);
}

void conv_choices_free(Cuda *u) {
    while (u->conv_choices) {
        ConvChoices *first = u->conv_choices;
        u->conv_choices = first->next;
        choices_free(first);
    }
}

void conv_give_up_fused(Device *d, Conv *c, cudnnStatus_t status) {
    cudaGetLastError(); // not to be blamed on a later launch
    log_unfused(d, &c->spec, status);
    c->fused = false;
    ConvChoices *known = known_choice(d, &c->spec);
    if (known) known->fused = false;
}
