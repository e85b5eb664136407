// SPDX-License-Identifier: Apache-2.0
// Checks of data movement, random numbers, the VAE, the loss and the optimiser.
#include "checkops.h"

#include "base/memory.h"
#include <math.h>

void check_zero(Case *c) {
    static const int64_t real[][3] = {{52, 1000, 1000}};
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(real), real[0], SHAPE(70, 33, 129))) return;
    if (c->bench) s[0] /= 8;
    bool bytes = case_chance(c, 4);
    Tensor y = bytes ? case_bytes(c, "y", 0, 3, s) : case_tensor(c, "y", ROLE_OUTPUT, 0, 3, s);
    if (bytes) case_in_place(c, y, "y", 0);
    CALL(c, c->device->zero(c->device, y));
}

void check_copy(Case *c) {
    static const int64_t real[][3] = {{1, 602, 512}, {1, 100, 512}, {1, 1, 512}};
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(real), real[0], SHAPE(33, 129, 257))) return;
    int rank = c->bench ? 3 : 3 - (int)case_below(c, 3);
    Tensor x = case_strided(c, "x", ROLE_INPUT, 0, rank, s);
    Tensor y = case_strided(c, "y", ROLE_OUTPUT, 0, rank, s);
    CALL(c, c->device->copy(c->device, y, x));
}

void check_add(Case *c) {
    static const int64_t real[][2] = {{602, 512}, {100, 512}};
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(real), real[0], SHAPE(257, 513))) return;
    Tensor a = case_activation(c, "a", ROLE_INPUT, 0, 2, s);
    Tensor b = case_activation(c, "b", ROLE_INPUT, 0, 2, s);
    Tensor y;
    if (case_chance(c, 3))
        y = case_in_place(c, case_chance(c, 2) ? a : b, "y in place", 0);
    else
        y = case_activation(c, "y", ROLE_OUTPUT, 0, 2, s);
    CALL(c, c->device->add(c->device, y, a, b));
}

void check_add_rows(Case *c) {
    static const int64_t real[][3] = {{1, 602, 512}, {1, 100, 512}, {2, 102, 512}};
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(real), real[0], SHAPE(17, 65, 257))) return;
    Tensor x = {0};
    if (!case_chance(c, 4)) x = case_strided(c, "x", ROLE_INPUT, 0, 3, s);
    Tensor row = case_tensor(c, "row", ROLE_INPUT, 0, 2, s + 1);
    Tensor y = case_strided(c, "y", ROLE_OUTPUT, 0, 3, s);
    CALL(c, c->device->add_rows(c->device, y, x, row));
}

void check_sum_rows(Case *c) {
    static const int64_t real[][3] = {{1, 602, 512}, {8, 100, 512}};
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(real), real[0], SHAPE(129, 33, 257))) return;
    Tensor dy = case_strided(c, "dy", ROLE_INPUT, 0, 3, s);
    Tensor drow = case_tensor(c, "drow", ROLE_ACCUMULATE, (double)s[0] + 1, 2, s + 1);
    CALL(c, c->device->sum_rows(c->device, drow, dy));
}

// s = tokens, width, rows of the table
static const int64_t embed_real[][3] = {{602, 512, 2}, {302, 512, 100}};

void check_embed_forward(Case *c) {
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(embed_real), embed_real[0], SHAPE(129, 257, 33))) return;
    Tensor table = case_tensor(c, "table", ROLE_INPUT, 0, 2, SHAPE(s[2], s[1]));
    Tensor index = case_indices(c, "index", s[2], s[0]);
    Tensor base = {0}, y = {0};
    if (!case_chance(c, 3)) base = case_tensor(c, "base", ROLE_INPUT, 0, 2, s);
    if (base.data && case_chance(c, 2))
        y = case_in_place(c, base, "y in place", 0);
    else
        y = case_tensor(c, "y", ROLE_OUTPUT, 0, 2, s);
    CALL(c, c->device->embed_forward(c->device, y, base, table, index));
}

void check_embed_backward(Case *c) {
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(embed_real), embed_real[0], SHAPE(129, 257, 33))) return;
    Tensor dy = case_tensor(c, "dy", ROLE_INPUT, 0, 2, s);
    Tensor index = case_indices(c, "index", s[2], s[0]);
    Tensor dtable = case_tensor(c, "dtable", ROLE_ACCUMULATE, (double)s[0], 2, SHAPE(s[2], s[1]));
    CALL(c, c->device->embed_backward(c->device, dtable, dy, index));
}

void check_random_normal(Case *c) {
    static const int64_t real[][2] = {{8, 32}};
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(real), real[0], SHAPE(129, 129))) return;
    Tensor y = case_tensor(c, "y", ROLE_OUTPUT, 64, 2, s);
    RngKey key = case_dropout(c).key;
    CALL(c, c->device->random_normal(c->device, y, key));
}

// s = batch, width of the latent
static const int64_t vae_real[][2] = {{8, 32}};

void check_vae_sample_forward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(vae_real), vae_real[0], SHAPE(65, 129))) return;
    Tensor params = case_tensor(c, "params", ROLE_INPUT, 0, 2, SHAPE(s[0], 2 * s[1]));
    Tensor eps = case_tensor(c, "eps", ROLE_INPUT, 0, 2, s);
    Tensor z = case_tensor(c, "z", ROLE_OUTPUT, 16, 2, s);
    CALL(c, c->device->vae_sample_forward(c->device, z, params, eps));
}

void check_vae_sample_backward(Case *c) {
    int64_t s[2];
    if (!case_sizes(c, 2, s, COUNT(vae_real), vae_real[0], SHAPE(65, 129))) return;
    Tensor params = case_tensor(c, "params", ROLE_INPUT, 0, 2, SHAPE(s[0], 2 * s[1]));
    Tensor eps = case_tensor(c, "eps", ROLE_INPUT, 0, 2, s);
    Tensor dz = case_tensor(c, "dz", ROLE_INPUT, 0, 2, s);
    Tensor dparams = case_tensor(c, "dparams", ROLE_OUTPUT, 16, 2, SHAPE(s[0], 2 * s[1]));
    float kl_weight = case_chance(c, 4) ? 0 : 10;
    CALL(c, c->device->vae_sample_backward(c->device, dparams, dz, params, eps, kl_weight));
}

// s = batch, chunk length, action width
static const int64_t loss_real[][3] = {{8, 100, 10}, {1, 100, 20}};

// Padding of (B, S): some, none, or all of it.
static Tensor loss_pad(Case *c, const int64_t *s) {
    static const int once[] = {3, 1000000000, 1};
    return case_bytes(c, "pad", once[case_below(c, COUNT(once))], 2, s);
}

// What the sum of a loss is divided by: all of the batch, or more.
static Tensor loss_count(Case *c, const int64_t *s) {
    float count = (float)(s[0] * s[1] * s[2] * (1 + case_below(c, 3)));
    return case_given(c, "count", DTYPE_F32, &count, 1, SHAPE(1));
}

void check_act_loss_forward(Case *c) {
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(loss_real), loss_real[0], SHAPE(17, 129, 33))) return;
    Tensor prediction = case_tensor(c, "prediction", ROLE_INPUT, 0, 3, s);
    Tensor target = case_tensor(c, "target", ROLE_INPUT, 0, 3, s);
    Tensor pad = loss_pad(c, s), params = {0};
    int64_t width = c->bench ? 64 : 2 * (1 + case_below(c, 33));
    if (!case_chance(c, 3)) params = case_tensor(c, "params", ROLE_INPUT, 0, 2, SHAPE(s[0], width));
    Tensor count = loss_count(c, s);
    Tensor losses = case_tensor(c, "losses", ROLE_ACCUMULATE, 256, 1, SHAPE(3));
    float share = case_chance(c, 2) ? 1 : 0.25f;
    CALL(c, c->device->act_loss_forward(c->device, losses, prediction, target, pad, count, params,
                                        share, 10));
}

void check_act_loss_backward(Case *c) {
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(loss_real), loss_real[0], SHAPE(17, 129, 33))) return;
    Tensor prediction = case_tensor(c, "prediction", ROLE_INPUT, 0, 3, s), target;
    if (case_chance(c, 4)) // no error anywhere: every sign is 0
        target = prediction;
    else
        target = case_tensor(c, "target", ROLE_INPUT, 0, 3, s);
    Tensor pad = loss_pad(c, s), count = loss_count(c, s);
    Tensor dprediction = case_tensor(c, "dprediction", ROLE_OUTPUT, 1, 3, s);
    CALL(c, c->device->act_loss_backward(c->device, dprediction, prediction, target, pad, count));
}

static const int64_t flat_real[][1] = {{6500000}};

void check_grad_norm(Case *c) {
    int64_t s[1];
    if (!case_sizes(c, 1, s, COUNT(flat_real), flat_real[0], SHAPE(769))) return;
    Tensor g = case_tensor(c, "g", ROLE_INPUT, 0, 1, s);
    Tensor norm = case_tensor(c, "norm", ROLE_OUTPUT, 4, 1, SHAPE(1));
    Tensor halt = case_tensor(c, "halt", ROLE_ACCUMULATE, 0, 1, SHAPE(1)), losses = {0};
    const float values[] = {case_chance(c, 3) ? NAN : 1, 2, 3};
    if (!case_chance(c, 3)) losses = case_given(c, "losses", DTYPE_F32, values, 1, SHAPE(3));
    CALL(c, c->device->grad_norm(c->device, norm, halt, g, losses));
}

void check_adamw(Case *c) {
    static const float norms[] = {100, 3, 1e-3f, INFINITY, NAN, 0};
    int64_t s[1];
    if (!case_sizes(c, 1, s, COUNT(flat_real), flat_real[0], SHAPE(769))) return;
    Tensor p = case_tensor(c, "p", ROLE_ACCUMULATE, 16, 1, s);
    Tensor g = case_tensor(c, "g", ROLE_ACCUMULATE, 0, 1, s);
    Tensor m = case_tensor(c, "m", ROLE_ACCUMULATE, 16, 1, s);
    float *squares = NEW(float, s[0]); // v is never negative
    for (int64_t i = 0; i < s[0]; i++) squares[i] = (float)(i % 1009) * 1e-3f;
    Tensor v = case_given(c, "v", DTYPE_F32, squares, 1, s);
    case_in_place(c, v, "v", 16);
    mem_free(squares);
    const float *value = &norms[case_below(c, COUNT(norms))], stop = !isfinite(*value);
    Tensor norm = case_given(c, "norm", DTYPE_F32, value, 1, SHAPE(1));
    Tensor halt = case_given(c, "halt", DTYPE_F32, &stop, 1, SHAPE(1));
    AdamW a = {.lr = case_chance(c, 3) ? 1e-5f : 0.1f,
               .beta1 = 0.9f,
               .beta2 = 0.999f,
               .eps = 1e-8f,
               .weight_decay = case_chance(c, 3) ? 0 : 0.1f,
               .max_norm = case_chance(c, 4) ? 0 : 10,
               .step = case_chance(c, 3) ? 100000 : 1 + case_below(c, 20)};
    CALL(c, c->device->adamw(c->device, p, g, m, v, norm, halt, a));
}

void check_lerp(Case *c) {
    int64_t s[1];
    if (!case_sizes(c, 1, s, COUNT(flat_real), flat_real[0], SHAPE(769))) return;
    Tensor y = case_tensor(c, "y", ROLE_ACCUMULATE, 4, 1, s);
    Tensor x = case_tensor(c, "x", ROLE_INPUT, 0, 1, s);
    float weight = case_chance(c, 4) ? (float)case_below(c, 2) : case_chance(c, 2) ? 1e-4f : 0.6f;
    float stop = (float)case_below(c, 2);
    Tensor halt = {0};
    if (case_chance(c, 2)) halt = case_given(c, "halt", DTYPE_F32, &stop, 1, SHAPE(1));
    CALL(c, c->device->lerp(c->device, y, x, halt, weight));
}
