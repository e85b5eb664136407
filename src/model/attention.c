// SPDX-License-Identifier: Apache-2.0
#include "model/layers.h"

Attention attention_of(const Params *p, const char *name, int heads) {
    return (Attention){
        .heads = heads,
        .in_w = value_of(p, "%s.in_proj_weight", name),
        .in_b = value_of(p, "%s.in_proj_bias", name),
        .out_w = value_of(p, "%s.out_proj.weight", name),
        .out_b = value_of(p, "%s.out_proj.bias", name),
        .din_w = grad_of(p, "%s.in_proj_weight", name),
        .din_b = grad_of(p, "%s.in_proj_bias", name),
        .dout_w = grad_of(p, "%s.out_proj.weight", name),
        .dout_b = grad_of(p, "%s.out_proj.bias", name),
    };
}

// Rows [first, first + n) x D of the packed projection: 0 queries, 1 keys, 2 values.
static Tensor packed_rows(Tensor t, int first, int n) {
    if (!t.data) return t;
    int64_t D = t.shape[0] / 3;
    return tensor_slice(t, 0, first * D, n * D);
}

static bool shared_input(const Attention *a) {
    return a->xq.data == a->xk.data;
}

void attention_project(Net *net, const Attention *a, Tensor y, Tensor x, int first, int n,
                       bool bias) {
    net->device->linear_forward(net->device, y, x, packed_rows(a->in_w, first, n),
                                bias ? packed_rows(a->in_b, first, n) : (Tensor){0});
}

// From a->q, a->k and a->v on.
static Tensor attend(Net *net, Attention *a) {
    Device *d = net->device;
    int64_t B = a->q.shape[0], Lq = a->q.shape[1], D = a->q.shape[2];
    a->o = net_tensor(net, 3, SHAPE(B, Lq, D));
    a->lse = net_float(net, 3, SHAPE(B, a->heads, Lq));
    a->drop = net_dropout(net, a->heads * Lq);
    d->attention_forward(d, a->o, a->lse, a->q, a->k, a->v, a->key_pad, a->heads, a->drop);
    Tensor y = net_tensor(net, 3, SHAPE(B, Lq, D));
    d->linear_forward(d, y, a->o, a->out_w, a->out_b);
    return y;
}

static void project_keys_and_values(Net *net, Attention *a) {
    int64_t B = a->xk.shape[0], Lk = a->xk.shape[1], D = a->xk.shape[2];
    a->k = net_tensor(net, 3, SHAPE(B, Lk, D));
    a->v = net_tensor(net, 3, SHAPE(B, Lk, D));
    attention_project(net, a, a->k, a->xk, 1, 1, true);
    attention_project(net, a, a->v, a->xv, 2, 1, true);
}

static void split_queries_and_keys(Attention *a, Tensor qk) {
    int64_t D = qk.shape[2] / 2;
    a->q = tensor_slice(qk, 2, 0, D);
    a->k = tensor_slice(qk, 2, D, D);
}

Tensor attention_of_projections(Net *net, Attention *a, Tensor qk, Tensor v) {
    a->xq = a->xk = a->xv = a->key_pad = (Tensor){0};
    split_queries_and_keys(a, qk);
    a->v = v;
    return attend(net, a);
}

Tensor attention_of_queries(Net *net, Attention *a, Tensor q, Tensor xk, Tensor xv) {
    a->xq = a->key_pad = (Tensor){0};
    a->xk = xk, a->xv = xv, a->q = q;
    project_keys_and_values(net, a);
    return attend(net, a);
}

Tensor attention_layer_forward(Net *net, Attention *a, Tensor xq, Tensor xk, Tensor xv,
                               Tensor key_pad) {
    int64_t B = xq.shape[0], Lq = xq.shape[1], D = xq.shape[2];
    a->xq = xq, a->xk = xk, a->xv = xv, a->key_pad = key_pad;
    if (shared_input(a)) {
        Tensor qk = net_tensor(net, 3, SHAPE(B, Lq, 2 * D));
        attention_project(net, a, qk, xq, 0, 2, true);
        split_queries_and_keys(a, qk);
        a->v = net_tensor(net, 3, SHAPE(B, Lq, D));
        attention_project(net, a, a->v, xv, 2, 1, true);
    } else {
        a->q = net_tensor(net, 3, SHAPE(B, Lq, D));
        attention_project(net, a, a->q, xq, 0, 1, true);
        project_keys_and_values(net, a);
    }
    return attend(net, a);
}

void attention_layer_backward(Net *net, Attention *a, Tensor dxq, Tensor dxk, Tensor dxv,
                              Tensor dy) {
    Device *d = net->device;
    ArenaMark mark = arena_mark(&net->acts);
    int64_t B = a->xq.shape[0], Lq = a->xq.shape[1], Lk = a->xk.shape[1], D = a->xq.shape[2];
    Tensor dout = net_tensor(net, 3, SHAPE(B, Lq, D));
    d->linear_backward(d, dout, a->dout_w, a->dout_b, dy, a->o, a->out_w, false);

    Tensor dqk = {0}, dq, dk, dv = net_tensor(net, 3, SHAPE(B, Lk, D));
    if (shared_input(a)) {
        dqk = net_tensor(net, 3, SHAPE(B, Lq, 2 * D));
        dq = tensor_slice(dqk, 2, 0, D);
        dk = tensor_slice(dqk, 2, D, D);
    } else {
        dq = net_tensor(net, 3, SHAPE(B, Lq, D));
        dk = net_tensor(net, 3, SHAPE(B, Lk, D));
    }
    d->attention_backward(d, dq, dk, dv, dout, a->o, a->lse, a->q, a->k, a->v, a->key_pad, a->heads,
                          a->drop);
    if (shared_input(a)) {
        d->linear_backward(d, dxq, packed_rows(a->din_w, 0, 2), packed_rows(a->din_b, 0, 2), dqk,
                           a->xq, packed_rows(a->in_w, 0, 2), false);
    } else {
        d->linear_backward(d, dxq, packed_rows(a->din_w, 0, 1), packed_rows(a->din_b, 0, 1), dq,
                           a->xq, packed_rows(a->in_w, 0, 1), false);
        d->linear_backward(d, dxk, packed_rows(a->din_w, 1, 1), packed_rows(a->din_b, 1, 1), dk,
                           a->xk, packed_rows(a->in_w, 1, 1), false);
    }
    d->linear_backward(d, dxv, packed_rows(a->din_w, 2, 1), packed_rows(a->din_b, 2, 1), dv, a->xv,
                       packed_rows(a->in_w, 2, 1), false);
    arena_rewind(&net->acts, mark);
}
