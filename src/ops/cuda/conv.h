// SPDX-License-Identifier: Apache-2.0
// Private to the files conv*.cu: a planned convolution, and how it is run.
#ifndef TACT_OPS_CUDA_CONV_H
#define TACT_OPS_CUDA_CONV_H

#include "ops/cuda/cuda.h"
#include "ops/cuda/dnn_graph.h"

// What computes a pass, where it is none of cuDNN's legacy algorithms.
enum { OWN_KERNEL = -1, GRAPH = -2 };

// The most memory that an algorithm or a plan may ask for.
static const size_t CONV_WORKSPACE = (size_t)256 << 20;

// What was chosen for one of them.
typedef struct Choice {
    int algorithm; // cuDNN's number, OWN_KERNEL or GRAPH
    cudnnMathType_t math;
    size_t workspace;
    DnnGraph *graph; // of GRAPH; the device's, one for all convolutions of a shape
} Choice;

typedef struct Pass {
    cudnnConvolutionDescriptor_t conv;
    Choice choice;
} Pass;

struct Conv {
    ConvSpec spec;
    int64_t in_c, out_c, out_h, out_w; // channels as stored
    DType type;
    cudnnTensorDescriptor_t x, y, bias;
    cudnnFilterDescriptor_t w;
    cudnnActivationDescriptor_t activation;
    Pass passes[PASSES];
    bool fused;                     // bias, residual and relu within the forward call
    void *packed, *dpacked, *shift; // (O, k, k, I), the same, (O), in the activation type
    Tensor scale;                   // borrowed
};

static inline bool conv_uses(const ConvSpec *s, int pass) {
    return pass == FORWARD || (s->train && (pass == FILTER || s->need_dx));
}

// Memory to try a pass on, of the sizes of x, y and the residual.
typedef struct Trial {
    void *x, *y, *residual;
} Trial;

// conv_graph.cu: the first plan of cuDNN's for a pass that runs, as the pass's choice. FORWARD with
// `fused`: bias, residual and relu within it. A refusal leaves the choice as it is.
cudnnStatus_t conv_graph_choose(Device *d, Conv *c, int pass, bool fused, Trial t);
cudnnStatus_t conv_graph_run(Device *d, const Conv *c, int pass, DnnOperands operands);
void conv_graph_free(DnnGraph *g); // NULL allowed

// conv.cu: the calls, each with its chosen algorithm.
cudnnStatus_t conv_run_forward(Device *d, const Conv *c, void *y, const void *x);
cudnnStatus_t conv_run_fused(Device *d, const Conv *c, void *y, const void *x,
                             const void *residual);
cudnnStatus_t conv_run_data(Device *d, const Conv *c, void *dx, const void *dz);
cudnnStatus_t conv_run_filter(Device *d, const Conv *c, const void *x, const void *dz);

// conv_own.cu: the same without cuDNN.
void conv_own_forward(Device *d, const Conv *c, void *y, const void *x);
void conv_own_data(Device *d, const Conv *c, void *dx, const void *dz);
void conv_own_filter(Device *d, const Conv *c, const void *x, const void *dz);

// conv_choice.cu.
const char *conv_pass_name(int pass);
// False, with the failure recorded, unless status is success.
bool dnn_ok(Device *d, const ConvSpec *s, cudnnStatus_t status, const char *what);
void conv_choices_free(Cuda *u);
// The arithmetic that the device's precision asks for.
cudnnMathType_t conv_math(Device *d);
// Chooses algorithms for a described convolution whose memory is there, and whether to fuse.
void conv_choose(Device *d, Conv *c);
// The fused legacy call was refused when it ran: this and every later one of its shape goes
// without.
void conv_give_up_fused(Device *d, Conv *c, cudnnStatus_t status);

#endif
