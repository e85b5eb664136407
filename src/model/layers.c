// SPDX-License-Identifier: Apache-2.0
#include "model/layers.h"

Tensor net_tensor(Net *net, int rank, const int64_t *shape) {
    return arena_tensor(&net->acts, net->device->activations, rank, shape);
}

Tensor net_float(Net *net, int rank, const int64_t *shape) {
    return arena_tensor(&net->acts, DTYPE_F32, rank, shape);
}

Tensor net_like(Net *net, Tensor t) {
    return arena_tensor(&net->acts, t.dtype, t.rank, t.shape);
}

RngKey net_key(Net *net, int64_t rows) {
    RngKey key = net->key;
    key.first_row = (uint32_t)(net->first_sample * rows);
    net->key.site++;
    return key;
}

void net_grads_ready(const Net *net, ParamRange grads) {
    if (net->ready.call) net->ready.call(net->ready.user, grads);
}

Dropout net_dropout(Net *net, int64_t rows) {
    return (Dropout){.p = net->train ? net->dropout : 0, .key = net_key(net, rows)};
}

Linear linear_of(const Params *p, const char *name) {
    return (Linear){value_of(p, "%s.weight", name), value_of(p, "%s.bias", name),
                    grad_of(p, "%s.weight", name), grad_of(p, "%s.bias", name)};
}

void linear_forward(Net *net, const Linear *l, Tensor y, Tensor x) {
    net->device->linear_forward(net->device, y, x, l->w, l->b);
}

void linear_backward(Net *net, const Linear *l, Tensor dx, Tensor dy, Tensor x, bool accumulate) {
    net->device->linear_backward(net->device, dx, l->dw, l->db, dy, x, l->w, accumulate);
}

Norm norm_of(const Params *p, const char *name) {
    return (Norm){.gamma = value_of(p, "%s.weight", name),
                  .beta = value_of(p, "%s.bias", name),
                  .dgamma = grad_of(p, "%s.weight", name),
                  .dbeta = grad_of(p, "%s.bias", name)};
}

Tensor norm_forward(Net *net, Norm *n, Tensor x) {
    int64_t rows = tensor_rows(x);
    n->x = x;
    n->mean = net_float(net, 1, SHAPE(rows));
    n->rstd = net_float(net, 1, SHAPE(rows));
    Tensor y = net_like(net, x);
    net->device->layernorm_forward(net->device, y, n->mean, n->rstd, x, n->gamma, n->beta);
    return y;
}

void norm_backward(Net *net, Norm *n, Tensor dx, Tensor dy, bool accumulate) {
    net->device->layernorm_backward(net->device, dx, n->dgamma, n->dbeta, dy, n->x, n->mean,
                                    n->rstd, n->gamma, accumulate);
}
