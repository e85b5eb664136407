// SPDX-License-Identifier: Apache-2.0
// Checks of dense layers, activations, layer norm and attention.
#include "checkops.h"

#include "base/memory.h"
#include <math.h>

// s = rows, inputs, outputs
static const int64_t linear_real[][3] = {
    {602, 512, 512}, {100, 512, 3200}, {27, 3200, 512}, {302, 512, 1536},
    {1, 10, 512},    {8, 32, 512},     {100, 512, 10},  {8, 512, 64},
    {649, 512, 96},  {53, 96, 649}, // rows and columns that oneDNN is slow at (ops/cpu/matmul.c)
    {1304, 96, 64}, // gradients of weights in several blocks of depth (ops/cpu/tiles.c)
};
static const int64_t linear_max[] = {129, 513, 513};

void check_linear_forward(Case *c) {
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(linear_real), linear_real[0], linear_max)) return;
    Tensor x = case_strided_either(c, "x", ROLE_INPUT, 0, 2, s);
    Tensor w = case_tensor(c, "w", ROLE_INPUT, 0, 2, SHAPE(s[2], s[1])), b = {0};
    if (!case_chance(c, 3)) b = case_tensor(c, "b", ROLE_INPUT, 0, 1, SHAPE(s[2]));
    Tensor y = case_strided_either(c, "y", ROLE_OUTPUT, (double)s[1] + 1, 2, SHAPE(s[0], s[2]));
    if (tensor_contiguous(x) && tensor_contiguous(y) && case_chance(c, 2)) {
        x = tensor_reshape(x, 3, SHAPE(1, s[0], s[1]));
        y = tensor_reshape(y, 3, SHAPE(s[0], 1, s[2]));
    }
    c->flops = 2.0 * (double)(s[0] * s[1] * s[2]);
    // Weights that last may be kept in an order of the device's own.
    bool lasting = case_chance(c, 2);
    if (lasting) c->device->weights_load(c->device, w, true);
    CALL(c, c->device->linear_forward(c->device, y, x, w, b));
    if (lasting)
        c->device->weights_load(c->device, tensor_view(w.data, DTYPE_F32, 1, SHAPE(0)), false);
}

void check_linear_backward(Case *c) {
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(linear_real), linear_real[0], linear_max)) return;
    bool accumulate = case_chance(c, 2);
    double M = (double)s[0], N = (double)s[2];
    Role role = accumulate ? ROLE_ACCUMULATE : ROLE_OUTPUT;
    Tensor dy = case_strided_either(c, "dy", ROLE_INPUT, 0, 2, SHAPE(s[0], s[2]));
    Tensor dx = {0}, dw = {0}, db = {0}, x = {0}, w = {0};
    bool any = false;
    if (!case_chance(c, 4)) {
        any = true;
        w = case_tensor(c, "w", ROLE_INPUT, 0, 2, SHAPE(s[2], s[1]));
        dx = case_strided_either(c, "dx", role, N + 1, 2, s);
        c->flops += 2.0 * (double)(s[0] * s[1] * s[2]);
    }
    if (!case_chance(c, 4)) {
        any = true;
        x = case_strided_either(c, "x", ROLE_INPUT, 0, 2, s);
        dw = case_tensor(c, "dw", ROLE_ACCUMULATE, M + 1, 2, SHAPE(s[2], s[1]));
        c->flops += 2.0 * (double)(s[0] * s[1] * s[2]);
    }
    if (!any || !case_chance(c, 4))
        db = case_tensor(c, "db", ROLE_ACCUMULATE, M + 1, 1, SHAPE(s[2]));
    CALL(c, c->device->linear_backward(c->device, dx, dw, db, dy, x, w, accumulate));
}

// s = rows, width
static const int64_t rows_real[][2] = {{602, 512}, {302, 3200}};
static const int64_t rows_max[] = {129, 769};

static Activation any_activation(Case *c) {
    static const Activation all[] = {ACT_RELU, ACT_GELU, ACT_NONE};
    return all[case_below(c, COUNT(all))];
}

void check_activation_forward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(rows_real), rows_real[0], rows_max)) return;
    Activation act = any_activation(c);
    Dropout drop = case_dropout(c);
    double reduction = act == ACT_GELU ? 64 : 1;
    Tensor x = case_activation(c, "x", ROLE_INPUT, 0, 2, s);
    Tensor y = case_chance(c, 3) ? case_in_place(c, x, "y in place", reduction)
                                 : case_activation(c, "y", ROLE_OUTPUT, reduction, 2, s);
    CALL(c, c->device->activation_forward(c->device, y, x, act, drop));
}

void check_activation_backward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(rows_real), rows_real[0], rows_max)) return;
    Device *d = c->device;
    Activation act = any_activation(c);
    Dropout drop = case_dropout(c);
    double reduction = act == ACT_GELU ? 64 : 1;
    Tensor x = case_activation(c, "x", ROLE_INPUT, 0, 2, s);
    Tensor y = case_activation(c, "y", ROLE_SCRATCH, 0, 2, s);
    d->activation_forward(d, y, x, act, drop);
    if (act == ACT_RELU) x = (Tensor){0}; // it reads y only, the others x only or nothing
    if (act != ACT_RELU) y = (Tensor){0};
    Tensor dy = case_activation(c, "dy", ROLE_INPUT, 0, 2, s);
    Tensor dx = case_chance(c, 3) ? case_in_place(c, dy, "dx in place", reduction)
                                  : case_activation(c, "dx", ROLE_OUTPUT, reduction, 2, s);
    CALL(c, d->activation_backward(d, dx, dy, x, y, act, drop));
}

void check_dropout_add_forward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(rows_real), rows_real[0], rows_max)) return;
    Dropout drop = case_dropout(c);
    Tensor x = case_activation(c, "x", ROLE_INPUT, 0, 2, s);
    Tensor branch = case_activation(c, "s", ROLE_INPUT, 0, 2, s), r;
    if (case_chance(c, 2))
        r = case_in_place(c, case_chance(c, 2) ? x : branch, "r in place", 2);
    else
        r = case_activation(c, "r", ROLE_OUTPUT, 2, 2, s);
    CALL(c, c->device->dropout_add_forward(c->device, r, x, branch, drop));
}

void check_dropout_add_backward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(rows_real), rows_real[0], rows_max)) return;
    Dropout drop = case_dropout(c);
    Tensor dr = case_activation(c, "dr", ROLE_INPUT, 0, 2, s);
    Tensor ds = case_chance(c, 3) ? case_in_place(c, dr, "ds in place", 1)
                                  : case_activation(c, "ds", ROLE_OUTPUT, 1, 2, s);
    CALL(c, c->device->dropout_add_backward(c->device, ds, dr, drop));
}

void check_layernorm_forward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(rows_real), rows_real[0], rows_max)) return;
    double reduction = (double)s[1] + 16;
    Tensor x = case_activation(c, "x", ROLE_INPUT, 0, 2, s);
    Tensor gamma = case_tensor(c, "gamma", ROLE_INPUT, 0, 1, SHAPE(s[1]));
    Tensor beta = case_tensor(c, "beta", ROLE_INPUT, 0, 1, SHAPE(s[1]));
    Tensor y = case_activation(c, "y", ROLE_OUTPUT, reduction, 2, s);
    Tensor mean = case_tensor(c, "mean", ROLE_OUTPUT, reduction, 1, SHAPE(s[0]));
    Tensor rstd = case_tensor(c, "rstd", ROLE_OUTPUT, reduction, 1, SHAPE(s[0]));
    CALL(c, c->device->layernorm_forward(c->device, y, mean, rstd, x, gamma, beta));
}

// How many times x - mean enlarges the relative error of x, at the worst of the rows: |mean| /
// deviation, and 1 where the mean is the smaller. Rows whose columns are nearly equal are hundreds.
static double cancellation(Case *c, Tensor mean, Tensor rstd) {
    int64_t n = tensor_count(mean);
    size_t bytes = (size_t)n * sizeof(float);
    float *m = NEW(float, n), *r = NEW(float, n);
    double worst = 1;
    c->device->synchronize(c->device);
    c->device->download(c->device, m, mean.data, bytes);
    c->device->download(c->device, r, rstd.data, bytes);
    for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)m[i]) * r[i]);
    mem_free(m);
    mem_free(r);
    return worst;
}

void check_layernorm_backward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(rows_real), rows_real[0], rows_max)) return;
    // Of one element the gradient is 0, of two it is but for the epsilon: only rounding would
    // compare.
    if (s[1] < 3) s[1] = 3;
    Device *d = c->device;
    double reduction = (double)s[1] + 16;
    bool accumulate = case_chance(c, 2);
    Tensor x = case_activation(c, "x", ROLE_INPUT, 0, 2, s), dx;
    Tensor gamma = case_tensor(c, "gamma", ROLE_INPUT, 0, 1, SHAPE(s[1]));
    Tensor mean = case_tensor(c, "mean", ROLE_SCRATCH, 0, 1, SHAPE(s[0]));
    Tensor rstd = case_tensor(c, "rstd", ROLE_SCRATCH, 0, 1, SHAPE(s[0]));
    Tensor y = case_activation(c, "y", ROLE_SCRATCH, 0, 2, s);
    d->layernorm_forward(d, y, mean, rstd, x, gamma, gamma);
    double lost = cancellation(c, mean, rstd), square = lost * lost; // tolerances go with the root
    reduction *= square;
    Tensor dy = case_activation(c, "dy", ROLE_INPUT, 0, 2, s);
    Tensor dgamma =
        case_tensor(c, "dgamma", ROLE_ACCUMULATE, square * ((double)s[0] + 16), 1, SHAPE(s[1]));
    Tensor dbeta = case_tensor(c, "dbeta", ROLE_ACCUMULATE, (double)s[0] + 1, 1, SHAPE(s[1]));
    if (!accumulate && case_chance(c, 2))
        dx = case_in_place(c, dy, "dx in place", reduction);
    else
        dx = case_activation(c, "dx", accumulate ? ROLE_ACCUMULATE : ROLE_OUTPUT, reduction, 2, s);
    CALL(c, d->layernorm_backward(d, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, accumulate));
}

typedef struct AttentionCase {
    int64_t B, Lq, Lk, D;
    int heads;
    Dropout drop;
    Tensor q, k, v, pad;
    double reduction;
} AttentionCase;

// s = batch, queries, keys, heads, width of a head, 1 with padding
static bool attention_case(Case *c, AttentionCase *a) {
    static const int64_t real[][6] = {
        {1, 602, 602, 8, 64, 0}, // encoder
        {1, 100, 602, 8, 64, 0}, // decoder on encoder
        {1, 100, 100, 8, 64, 0}, // decoder
        {2, 102, 102, 8, 64, 1}, // VAE encoder
        {1, 27, 27, 8, 64, 0},
    };
    int64_t s[6];
    if (!case_sizes(c, 6, s, COUNT(real), real[0], SHAPE(3, 65, 97, 8, 65, 9))) return false;
    *a = (AttentionCase){.B = s[0], .Lq = s[1], .Lk = s[2], .D = s[3] * s[4], .heads = (int)s[3]};
    a->drop = case_dropout(c);
    a->q = case_strided(c, "q", ROLE_INPUT, 0, 3, SHAPE(a->B, a->Lq, a->D));
    a->k = case_strided(c, "k", ROLE_INPUT, 0, 3, SHAPE(a->B, a->Lk, a->D));
    a->v = case_strided(c, "v", ROLE_INPUT, 0, 3, SHAPE(a->B, a->Lk, a->D));
    // In ACT the first key (the class token) is always there.
    uint8_t pad[8 * 3 * 128] = {0};
    if (s[5] % 2 == 1 && a->B * a->Lk <= COUNT(pad)) {
        for (int64_t i = 0; i < a->B * a->Lk; i++)
            pad[i] = i % a->Lk != 0 && rng_next(&c->random) % 3 == 0;
        a->pad = case_given(c, "pad", DTYPE_U8, pad, 2, SHAPE(a->B, a->Lk));
    }
    // Two sums in a row, with an exponential between them.
    a->reduction = 4 * (double)(s[4] + a->Lk);
    c->flops = 4.0 * (double)(a->B * a->Lq * a->Lk * a->D);
    c->chained = true;
    return true;
}

void check_attention_forward(Case *c) {
    AttentionCase a;
    if (!attention_case(c, &a)) return;
    Tensor o = case_strided(c, "o", ROLE_OUTPUT, a.reduction, 3, SHAPE(a.B, a.Lq, a.D));
    Tensor lse = case_tensor(c, "lse", ROLE_OUTPUT, a.reduction, 3, SHAPE(a.B, a.heads, a.Lq));
    CALL(c, c->device->attention_forward(c->device, o, lse, a.q, a.k, a.v, a.pad, a.heads, a.drop));
}

void check_attention_backward(Case *c) {
    AttentionCase a;
    if (!attention_case(c, &a)) return;
    Device *d = c->device;
    Tensor o = case_strided(c, "o", ROLE_SCRATCH, 0, 3, SHAPE(a.B, a.Lq, a.D));
    Tensor lse = case_tensor(c, "lse", ROLE_SCRATCH, 0, 3, SHAPE(a.B, a.heads, a.Lq));
    d->attention_forward(d, o, lse, a.q, a.k, a.v, a.pad, a.heads, a.drop);
    Tensor dout = case_strided(c, "dout", ROLE_INPUT, 0, 3, SHAPE(a.B, a.Lq, a.D));
    Tensor dv = case_strided(c, "dv", ROLE_OUTPUT, a.reduction, 3, SHAPE(a.B, a.Lk, a.D));
    // Of a single key the probability is 1 whatever q and k are: their gradients are rounding only.
    Role role = a.Lk == 1 ? ROLE_SCRATCH : ROLE_OUTPUT;
    Tensor dq = case_strided(c, "dq", role, a.reduction, 3, SHAPE(a.B, a.Lq, a.D));
    Tensor dk = case_strided(c, "dk", role, a.reduction, 3, SHAPE(a.B, a.Lk, a.D));
    c->flops *= 2.5;
    CALL(c,
         d->attention_backward(d, dq, dk, dv, dout, o, lse, a.q, a.k, a.v, a.pad, a.heads, a.drop));
}
