// SPDX-License-Identifier: Apache-2.0
// Private to ops/cuda: a pass of a convolution as an operation graph of cuDNN's (its backend API),
// and the plans that cuDNN's heuristics propose for it. Only cuDNN is spoken to here, so that a
// test can plan without a card; conv_graph.cu decides which plan is taken.
//
// In a graph of FORWARD that is fused, y = relu?(conv(x, w) + residual? + bias). The residual comes
// before the bias, and the bias has y's type, because that is the form that cuDNN has kernels for;
// in another order, or with a float32 bias, it compiles one when it is asked (looked at with 9.19).
#ifndef TACT_OPS_CUDA_DNN_GRAPH_H
#define TACT_OPS_CUDA_DNN_GRAPH_H

#include "ops/cuda/libraries.h"

// The three products of a convolution.
enum { FORWARD, DATA, FILTER, PASSES };

// NHWC images x (n, c, h, w) and y (n, k, p, q), filters (k, kernel, kernel, c), all of one type,
// sums in float32. Every pointer is on 16 bytes.
typedef struct DnnConv {
    cudnnDataType_t type;
    int64_t n, c, h, w, k, p, q, kernel, stride, padding, dilation;
    int pass;
    bool fused, residual, relu; // the last two within a fused FORWARD only
} DnnConv;

// What a graph reads and writes: FORWARD reads x and w, DATA w and y (dz), FILTER x and y (dz); the
// third of them is written.
typedef struct DnnOperands {
    const void *x, *w, *y, *bias, *residual;
} DnnOperands;

// Proposals of the heuristics, and of those that cuDNN keeps for when none of them works. On Hopper
// it has some 40 of the first kind, and at float32 nearly all round to TF32.
enum { DNN_DESCRIPTORS = 32, DNN_FAST = 64, DNN_SURE = 16, DNN_PROPOSALS = DNN_FAST + DNN_SURE };

typedef struct DnnGraph {
    DnnConv conv;
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t properties; // of a card that is not here (tests), or NULL
    // All that the plan was made of lives as long as the plan.
    cudnnBackendDescriptor_t owned[DNN_DESCRIPTORS];
    int n_owned;
    cudnnBackendDescriptor_t graph;
    cudnnBackendDescriptor_t proposals[DNN_PROPOSALS]; // the fastest first, by the heuristics
    int n_proposals;
    // The plan that was made last.
    cudnnBackendDescriptor_t plan;
    int64_t workspace, engine;
    // Operands of the last run, in the form that cuDNN takes them.
    cudnnBackendDescriptor_t variant;
    DnnOperands operands;
    void *workspace_at;
} DnnGraph;

// Describes the graph and asks for proposals: those of the heuristics, behind them those that cuDNN
// keeps for when none of them works. handle and properties: one of them may be NULL. What is not
// SUCCESS is a refusal; the graph is to be freed either way.
cudnnStatus_t dnn_graph_new(DnnGraph *g, DnnConv conv, cudnnHandle_t handle,
                            cudnnBackendDescriptor_t properties);
void dnn_graph_free(DnnGraph *g);

// Plans proposal i. Refused (NOT_SUPPORTED) if its sums come out in another order from run to run,
// if it rounds more than the type does, if with `whole` it uses tensor cores, which round float32
// factors, or if it wants more than `limit` bytes of workspace.
cudnnStatus_t dnn_graph_plan(DnnGraph *g, int i, bool whole, int64_t limit);

// Runs the plan on the handle's stream.
cudnnStatus_t dnn_graph_run(DnnGraph *g, DnnOperands operands, void *workspace);

#endif
