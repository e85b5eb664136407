// SPDX-License-Identifier: Apache-2.0
// The layers ACT is made of. Each has forward and backward side by side; what backward needs is
// kept in the layer's struct, in memory of the Net's arena that lives until the step ends.
//
// B batch, L tokens, D width, F feed-forward width, Q queries of the decoder, N images.
#ifndef TACT_MODEL_LAYERS_H
#define TACT_MODEL_LAYERS_H

#include "model/params.h"
#include "model/resnet_shape.h"

// Told, while backward goes on, of gradients that it will not touch any more. NULL: nobody is.
typedef struct GradsReady {
    void (*call)(void *user, ParamRange grads);
    void *user;
} GradsReady;

// What every layer needs to run. One per model.
typedef struct Net {
    Device *device;
    TensorArena acts; // activations of the current step
    bool train;
    float dropout;        // probability while training
    RngKey key;           // seed and step; site counts up with every use
    int64_t first_sample; // number of the batch's first sample in the step's batch
    GradsReady ready;
} Net;

// New activation (rank 1 to 3), of the device's activation type.
Tensor net_tensor(Net *net, int rank, const int64_t *shape);
// The same in float32, whatever the device: positions, statistics, the latent, the prediction.
Tensor net_float(Net *net, int rank, const int64_t *shape);
Tensor net_like(Net *net, Tensor t); // contiguous, same shape and type
// The key of the next site, for an op with so many rows a sample.
RngKey net_key(Net *net, int64_t rows);
// Backward is done with these gradients.
void net_grads_ready(const Net *net, ParamRange grads);
// Dropout of the next site; none in evaluation.
Dropout net_dropout(Net *net, int64_t rows);

typedef struct Linear {
    Tensor w, b, dw, db; // (out, in), (out)
} Linear;
Linear linear_of(const Params *p, const char *name);
// x (..., in) -> y (..., out).
void linear_forward(Net *net, const Linear *l, Tensor y, Tensor x);
// dx is overwritten or added to; empty: it is not wanted.
void linear_backward(Net *net, const Linear *l, Tensor dx, Tensor dy, Tensor x, bool accumulate);

typedef struct Norm {
    Tensor gamma, beta, dgamma, dbeta; // (D)
    Tensor x, mean, rstd;              // saved
} Norm;
Norm norm_of(const Params *p, const char *name);
Tensor norm_forward(Net *net, Norm *n, Tensor x);
// dx may be dy when not accumulating.
void norm_backward(Net *net, Norm *n, Tensor dx, Tensor dy, bool accumulate);

// ---- attention.c: multi-head attention with PyTorch's packed projections ----------------------
typedef struct Attention {
    Tensor in_w, in_b, out_w, out_b; // (3D, D), (3D), (D, D), (D)
    Tensor din_w, din_b, dout_w, dout_b;
    Rounding rounding[PARAM_PARTS]; // of the products with in_w from queries, keys, values on
    int heads;
    Tensor xq, xk, xv, q, k, v, o, lse, key_pad; // saved
    Dropout drop;
} Attention;
Attention attention_of(const Params *p, const char *name, int heads);
// xq (B, Lq, D), xk, xv (B, Lk, D): inputs of the three projections; xq and xk may be one tensor,
// which costs one matrix product less. key_pad U8 (B, Lk) or empty. Returns (B, Lq, D).
Tensor attention_layer_forward(Net *net, Attention *a, Tensor xq, Tensor xk, Tensor xv,
                               Tensor key_pad);
// In evaluation, with projections that are there already: of queries and keys (B, L, 2D), with
// positions, and of values (B, L, D); of queries alone (B, Lq, D).
Tensor attention_of_projections(Net *net, Attention *a, Tensor qk, Tensor v);
Tensor attention_of_queries(Net *net, Attention *a, Tensor q, Tensor xk, Tensor xv);
// Queries of xq, keys of xk or values of xv: the rows of the packed projection that `first` and n
// say (0 queries, 1 keys, 2 values), with the bias or without. y (..., n D).
void attention_project(Net *net, const Attention *a, Tensor y, Tensor x, int first, int n,
                       bool bias);
// dxq, dxk, dxv overwritten; when xq and xk were one tensor dxk is ignored and dxq holds their sum.
void attention_layer_backward(Net *net, Attention *a, Tensor dxq, Tensor dxk, Tensor dxv,
                              Tensor dy);

// ---- transformer.c ----------------------------------------------------------------------------
typedef struct FeedForward {
    Linear up, down;
    Activation act;
    Tensor x, pre, hidden; // saved: input, before and after activation and dropout
    Dropout drop;
} FeedForward;

typedef struct EncoderLayer {
    bool pre_norm;
    ParamRange params;
    Attention attention;
    FeedForward ff;
    Norm norm1, norm2;
    Dropout drop1, drop2;
} EncoderLayer;

typedef struct DecoderLayer {
    bool pre_norm;
    ParamRange params;
    Attention self, cross;
    FeedForward ff;
    Norm norm1, norm2, norm3;
    Dropout drop1, drop2, drop3;
} DecoderLayer;

typedef struct Encoder {
    int n;
    EncoderLayer *layers;
    bool final_norm;
    Norm norm;
    // (L, 2D) float32, for encoder_forward_projected: what positions add to the first layer's
    // queries and keys.
    Tensor kept;
} Encoder;

typedef struct Decoder {
    int n;
    DecoderLayer *layers;
    Norm norm;
    // (B, Q, D) without training, where queries start as zeros alone: what they are before they see
    // the memory, and what the first layer's cross-attention makes of them. Else empty.
    Tensor kept, kept_q;
} Decoder;

void encoder_init(Encoder *e, const Params *p, const PolicyConfig *c, const char *name, int n);
void encoder_free(Encoder *e);
// x (B, L, D), pos (L, D) added to queries and keys of every layer.
Tensor encoder_forward(Net *net, Encoder *e, Tensor x, Tensor pos, Tensor key_pad);
// The same in two parts, for tokens that are seen again and again while other positions are added
// to them: W (x + pos) = W x + W pos. The first is the first layer's queries, keys and values of
// tokens x (B, n, D) without positions, (B, n, 3D) into qkv.
void encoder_project(Net *net, Encoder *e, Tensor qkv, Tensor x);
// Fills e->kept (allocated by the caller), to be called when parameters changed.
void encoder_keep(Net *net, Encoder *e, Tensor pos);
// The second: qk (B, L, 2D) queries and keys with e->kept added, v (B, L, D) values.
Tensor encoder_forward_projected(Net *net, Encoder *e, Tensor x, Tensor qk, Tensor v, Tensor pos);
// d: in dy, out dx. dpos (L, D) is added to; empty when the positions are fixed.
void encoder_backward(Net *net, Encoder *e, Tensor d, Tensor dpos);

void decoder_init(Decoder *dec, const Params *p, const PolicyConfig *c);
void decoder_free(Decoder *dec);
// queries (B, Q, D): what they start as; query_pos (Q, D), memory (B, L, D) the encoder's output
// and memory_pos the same with positions added.
Tensor decoder_forward(Net *net, Decoder *dec, Tensor queries, Tensor query_pos, Tensor memory,
                       Tensor memory_pos);
// Queries that start as zeros are the same whatever the input until the first layer sees the
// memory: fills dec->kept and dec->kept_q (allocated by the caller), to be called again when
// parameters changed. decoder_forward then starts there, and does not look at `queries`.
void decoder_keep(Net *net, Decoder *dec, Tensor query_pos);
// d: in dy, out the gradient of `queries`. dquery_pos (Q, D), dmemory and dmemory_pos (B, L, D) are
// added to.
void decoder_backward(Net *net, Decoder *dec, Tensor d, Tensor dquery_pos, Tensor dmemory,
                      Tensor dmemory_pos);

// ---- resnet.c ---------------------------------------------------------------------------------
typedef struct ResNet ResNet;
// Plans for n images of h by w. train: backward will be called.
CHECKED bool resnet_new(Device *d, const Params *p, const PolicyConfig *c, int64_t n, int64_t h,
                        int64_t w, bool train, ResNet **out, Error *err);
void resnet_free(ResNet *r);
void resnet_load(ResNet *r); // packs the current weights
// x IMAGE (N, 3, h, w) -> IMAGE (N, C, h', w').
Tensor resnet_forward(Net *net, ResNet *r, Tensor x);
// Writes into p, of which r was made, mean and variance over x of what each convolution makes
// before its norm: from the first on, so that each sees what the norms before it make of x.
void resnet_take_norms(Net *net, ResNet *r, Params *p, Tensor x);
// dy as the output. last: of several with the same parameters, the gradients are whole after it.
void resnet_backward(Net *net, ResNet *r, Tensor dy, bool last);
void resnet_output(const ResNet *r, int64_t *c, int64_t *h, int64_t *w);
double resnet_flops(const ResNet *r, bool backward); // of one forward, or one forward + backward

#endif
