// SPDX-License-Identifier: Apache-2.0
// Checks at the edges: numbers that are not finite, and nothing to attend to. What a device makes
// of them has to be what the reference makes of them, element by element, so that a NaN reaches the
// loss.
#include "checkops.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

static const float odd[] = {NAN, INFINITY, -INFINITY, -0.0f};

// A random number, or once in `once` an odd one of the first `kinds`.
static float edge_number(Case *c, int once, int kinds) {
    float x = (float)(rng_next(&c->random) % 512) / 128 - 2; // bfloat16 holds it
    return rng_below(&c->random, (uint64_t)once) == 0 ? odd[rng_below(&c->random, (uint64_t)kinds)]
                                                      : x;
}

static float *edge_numbers(Case *c, int64_t n, int once, int kinds) {
    float *data = NEW(float, n);
    for (int64_t i = 0; i < n; i++) data[i] = edge_number(c, once, kinds);
    data[n - 1] = 1; // what --self-test spoils
    return data;
}

// s = images, channels, height, width
static bool edge_image_sizes(Case *c, int64_t *s) {
    static const int64_t real[][4] = {{1, 64, 8, 8}, {2, 16, 1, 1}, {1, 3, 2, 3}};
    c->edges = true;
    return !c->bench && case_sizes(c, 4, s, COUNT(real), real[0], SHAPE(3, 129, 17, 17));
}

static Tensor edge_image(Case *c, const char *name, const int64_t *s, int once, int kinds) {
    float *data = edge_numbers(c, s[0] * s[1] * s[2] * s[3], once, kinds);
    Tensor t = case_given_image(c, name, data, s[0], s[1], s[2], s[3]);
    mem_free(data);
    return t;
}

// Values that differ within a window, as for pool_backward, and in some planes a corner, or
// everything, that nothing in the window can win against: only NaN, or only -infinity.
static Tensor pool_edges(Case *c, const int64_t *s) {
    int64_t plane = s[2] * s[3], n = s[0] * s[1] * plane;
    float *data = NEW(float, n);
    for (int64_t p = 0; p < n / plane; p++) {
        int64_t kind = case_below(c, 5), corner = case_below(c, 4);
        for (int64_t i = 0; i < plane; i++) {
            int64_t y = i / s[3], x = i % s[3];
            bool there = (corner & 2 ? s[2] - 1 - y : y) < 3 && (corner & 1 ? s[3] - 1 - x : x) < 3;
            float *to = &data[p * plane + i];
            *to = ((float)(rng_next(&c->random) % 28) - 14) * 9 + (float)(y % 3 * 3 + x % 3);
            if (kind == 1 || (kind == 2 && there)) *to = NAN;
            if (kind == 3 || (kind == 4 && there)) *to = -INFINITY;
        }
    }
    Tensor t = case_given_image(c, "x", data, s[0], s[1], s[2], s[3]);
    mem_free(data);
    return t;
}

static void edge_pool_forward(Case *c) {
    int64_t s[4];
    if (!edge_image_sizes(c, s)) return;
    Device *d = c->device;
    Pool *pool = d->pool_new(d, s[0], s[1], s[2], s[3], case_chance(c, 2));
    Tensor x = pool_edges(c, s);
    Tensor y =
        case_image(c, "y", ROLE_OUTPUT, 0, s[0], s[1], pool_out_size(s[2]), pool_out_size(s[3]));
    CALL(c, d->pool_forward(d, pool, y, x));
    d->pool_free(d, pool);
}

static void edge_pool_backward(Case *c) {
    int64_t s[4];
    if (!edge_image_sizes(c, s)) return;
    Device *d = c->device;
    Pool *pool = d->pool_new(d, s[0], s[1], s[2], s[3], true);
    int64_t h = pool_out_size(s[2]), w = pool_out_size(s[3]);
    Tensor x = pool_edges(c, s);
    Tensor y = case_image(c, "y", ROLE_SCRATCH, 0, s[0], s[1], h, w);
    d->pool_forward(d, pool, y, x);
    Tensor dy = case_image(c, "dy", ROLE_INPUT, 0, s[0], s[1], h, w);
    Tensor dx = case_image(c, "dx", ROLE_OUTPUT, 4, s[0], s[1], s[2], s[3]);
    CALL(c, d->pool_backward(d, pool, dx, dy));
    d->pool_free(d, pool);
}

static void edge_relu_backward(Case *c) {
    int64_t s[4];
    if (!edge_image_sizes(c, s)) return;
    Tensor y = edge_image(c, "y", s, 5, COUNT(odd)), dskip = {0};
    Tensor dy = case_image(c, "dy", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    if (case_chance(c, 2)) dskip = case_image(c, "dskip", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    Tensor dz = case_image(c, "dz", ROLE_OUTPUT, 0, s[0], s[1], s[2], s[3]);
    CALL(c, c->device->relu_backward(c->device, dz, dy, dskip, y));
}

// A channel's shift, some of the residual, or the first channel's weights are NaN: in training the
// relu must not make it 0. n, in_c, h, w, out_c, kernel; the first is one for Winograd's algorithm.
static void edge_conv_forward(Case *c) {
    // In oneDNN 2.6 at bfloat16 the last but one is wrong, and the last writes behind y.
    static const int64_t real[][6] = {{1, 64, 32, 32, 64, 3},
                                      {2, 3, 16, 16, 64, 7},
                                      {1, 64, 8, 8, 128, 1},
                                      {2, 3, 2, 15, 17, 1},
                                      {3, 32, 9, 3, 33, 1}};
    int64_t s[6];
    c->edges = true;
    if (c->bench || !case_sizes(c, 6, s, COUNT(real), real[0], SHAPE(3, 33, 17, 17, 65, 9))) return;
    if (c->index >= COUNT(real)) s[5] = s[5] % 2 ? 3 : 1;
    Device *d = c->device;
    ConvSpec spec = {
        .n = s[0],
        .in_c = s[1],
        .in_h = s[2],
        .in_w = s[3],
        .out_c = s[4],
        .kernel = (int)s[5],
        .stride = 1,
        .padding = (int)s[5] / 2,
        .dilation = 1,
        .residual = true,
        // cuDNN's relu makes 0 of NaN; there the gradient has to show it (edge_relu_backward).
        .relu = strcmp(c->candidate, "cuda") != 0,
        .train = true,
        .need_dx = true};
    int64_t out[] = {s[0], s[4], s[2], s[3]}, weights = s[1] * s[5] * s[5];
    Conv *conv = d->conv_new(d, spec);
    float *w = edge_numbers(c, s[4] * weights, 1 << 30, 1), *shift = edge_numbers(c, s[4], 7, 1);
    // All of a channel's: at the borders some are not used, or multiplied by the padding's zeros.
    for (int64_t i = 0; i < weights && s[4] > 1 && c->index % 2; i++) w[i] = NAN;
    Tensor scale = case_tensor(c, "scale", ROLE_INPUT, 0, 1, SHAPE(s[4]));
    Tensor wt = case_given(c, "w", DTYPE_F32, w, 4, SHAPE(s[4], s[1], s[5], s[5]));
    Tensor bias = case_given(c, "shift", DTYPE_F32, shift, 1, SHAPE(s[4]));
    d->conv_load(d, conv, wt, scale, bias);
    Tensor x = case_image(c, "x", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    Tensor residual = edge_image(c, "residual", out, 9, 1);
    Tensor y = case_image(c, "y", ROLE_OUTPUT, (double)weights, out[0], out[1], out[2], out[3]);
    c->flops = 1; // a product, for its tolerance
    CALL(c, d->conv_forward(d, conv, y, x, residual));
    d->conv_free(d, conv);
    mem_free(w);
    mem_free(shift);
}

static void edge_activation_forward(Case *c) {
    static const int64_t real[][2] = {{3, 512}};
    static const Activation all[] = {ACT_RELU, ACT_GELU, ACT_NONE};
    int64_t s[2];
    c->edges = true;
    if (c->bench || !case_sizes(c, 2, s, COUNT(real), real[0], SHAPE(33, 257))) return;
    Activation act = all[case_below(c, COUNT(all))];
    Dropout drop = case_dropout(c);
    float *data = edge_numbers(c, s[0] * s[1], 5, act == ACT_GELU ? 1 : COUNT(odd));
    Tensor x = case_given(c, "x", c->device->activations, data, 2, s);
    Tensor y = case_activation(c, "y", ROLE_OUTPUT, act == ACT_GELU ? 64 : 1, 2, s);
    CALL(c, c->device->activation_forward(c->device, y, x, act, drop));
    mem_free(data);
}

// ---- attention --------------------------------------------------------------------------------

typedef struct EdgeAttention {
    Tensor q, k, v, pad, o, lse;
    int heads;
    Dropout drop;
    int64_t rows[3], keys[3];
    double reduction;
} EdgeAttention;

// s = batch, queries, keys, heads, width of a head. The first sample has no key at all.
static bool edge_attention(Case *c, EdgeAttention *a, Role results) {
    static const int64_t real[][5] = {{2, 102, 102, 8, 64}, {2, 3, 1, 1, 4}};
    int64_t s[5];
    c->edges = true;
    if (c->bench || !case_sizes(c, 5, s, COUNT(real), real[0], SHAPE(3, 65, 97, 8, 65)))
        return false;
    if (s[0] == 1) s[0] = 2;
    *a = (EdgeAttention){.heads = (int)s[3],
                         .drop = case_dropout(c),
                         .rows = {s[0], s[1], s[3] * s[4]},
                         .keys = {s[0], s[2], s[3] * s[4]}};
    uint8_t *pad = NEW(uint8_t, s[0] * s[2]);
    for (int64_t i = 0; i < s[0] * s[2]; i++)
        pad[i] = i < s[2]; // and of the others all: where one is left, gradients are rounding only
    a->q = case_strided(c, "q", ROLE_INPUT, 0, 3, a->rows);
    a->k = case_strided(c, "k", ROLE_INPUT, 0, 3, a->keys);
    a->v = case_strided(c, "v", ROLE_INPUT, 0, 3, a->keys);
    a->pad = case_given(c, "pad", DTYPE_U8, pad, 2, SHAPE(s[0], s[2]));
    a->reduction = 4 * (double)(s[4] + s[2]);
    a->o = case_strided(c, "o", results, a->reduction, 3, a->rows);
    a->lse = case_tensor(c, "lse", results, a->reduction, 3, SHAPE(s[0], s[3], s[1]));
    c->flops = 1; // products, for their tolerance
    c->chained = true;
    mem_free(pad);
    return true;
}

static void edge_attention_forward(Case *c) {
    EdgeAttention a;
    if (!edge_attention(c, &a, ROLE_OUTPUT)) return;
    CALL(c, c->device->attention_forward(c->device, a.o, a.lse, a.q, a.k, a.v, a.pad, a.heads,
                                         a.drop));
}

static void edge_attention_backward(Case *c) {
    EdgeAttention a;
    if (!edge_attention(c, &a, ROLE_SCRATCH)) return;
    Device *d = c->device;
    d->attention_forward(d, a.o, a.lse, a.q, a.k, a.v, a.pad, a.heads, a.drop);
    Tensor dout = case_strided(c, "dout", ROLE_INPUT, 0, 3, a.rows);
    Tensor dv = case_strided(c, "dv", ROLE_OUTPUT, a.reduction, 3, a.keys);
    // Of a single key the probability is 1 whatever q and k are: their gradients are rounding only.
    Role role = a.keys[1] == 1 ? ROLE_SCRATCH : ROLE_OUTPUT;
    Tensor dq = case_strided(c, "dq", role, a.reduction, 3, a.rows);
    Tensor dk = case_strided(c, "dk", role, a.reduction, 3, a.keys);
    CALL(c, d->attention_backward(d, dq, dk, dv, dout, a.o, a.lse, a.q, a.k, a.v, a.pad, a.heads,
                                  a.drop));
}

const OpCheck edge_checks[] = {
    {"edge_pool_forward", edge_pool_forward},
    {"edge_pool_backward", edge_pool_backward},
    {"edge_relu_backward", edge_relu_backward},
    {"edge_conv_forward", edge_conv_forward},
    {"edge_activation_forward", edge_activation_forward},
    {"edge_attention_forward", edge_attention_forward},
    {"edge_attention_backward", edge_attention_backward},
    {0},
};
