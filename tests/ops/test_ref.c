// SPDX-License-Identifier: Apache-2.0
// The reference device against mathematics: every backward is compared with finite differences of
// its forward, at small shapes.
//
// A check names the tensors of its op. For random r, loss = sum of r * output; the backward of
// dy = r must give d loss / d input for every element of every input.
#include "base/memory.h"
#include "base/rng.h"
#include "ops/ops.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_INPUTS = 4 };

typedef struct Check {
    Device *d;
    TensorArena arena;
    uint32_t site;           // of the next random tensor
    Tensor y, dy;            // the output and r
    Tensor in[MAX_INPUTS];   // inputs to differentiate by
    Tensor grad[MAX_INPUTS]; // what backward says
    int inputs;
    void (*forward)(struct Check *k); // writes y from in
    void (*backward)(struct Check *k);
    // What the op has beside tensors:
    Conv *conv;
    Pool *pool;
    Tensor other[3];
    Tensor index, pad;
    Activation act;
    Dropout drop;
    int heads;
} Check;

static void fill_random(Check *k, Tensor t) {
    RngKey key = {.seed = 5, .step = 0, .site = ++k->site};
    k->d->random_normal(k->d, tensor_reshape(t, 1, SHAPE(tensor_count(t))), key);
}

static Tensor new_tensor(Check *k, int rank, const int64_t *shape) {
    Tensor t = arena_tensor(&k->arena, DTYPE_F32, rank, shape);
    fill_random(k, t);
    return t;
}

// An input and the place of its gradient, which starts at random numbers (not at 0) that the test
// subtracts when the op accumulates.
static void add_input(Check *k, int rank, const int64_t *shape) {
    k->in[k->inputs] = new_tensor(k, rank, shape);
    k->grad[k->inputs++] = new_tensor(k, rank, shape);
}

static void set_output(Check *k, int rank, const int64_t *shape) {
    k->y = new_tensor(k, rank, shape);
    k->dy = new_tensor(k, rank, shape);
}

static Check check_new(void) {
    Check k = {0};
    Error err;
    assert_true(device_open("ref", PRECISION_FLOAT32, 1, &k.d, &err));
    k.arena.device = k.d;
    return k;
}

static void check_free(Check *k) {
    if (k->conv) k->d->conv_free(k->d, k->conv);
    if (k->pool) k->d->pool_free(k->d, k->pool);
    tensor_arena_free(&k->arena);
    device_close(k->d);
}

static double loss_at(Check *k, float *x, double value) {
    float old = *x;
    *x = (float)value;
    k->forward(k);
    *x = old;
    double loss = 0;
    for (int64_t i = 0; i < tensor_count(k->y); i++) loss += (double)f32(k->y)[i] * f32(k->dy)[i];
    return loss;
}

// d loss / d x from four points: the error is of fourth order in the step.
static double slope_at(Check *k, float *x, double step) {
    double at = *x;
    double near = loss_at(k, x, at + step) - loss_at(k, x, at - step);
    double far = loss_at(k, x, at + 2 * step) - loss_at(k, x, at - 2 * step);
    return (8 * near - far) / (12 * step);
}

// accumulates: bit i is set when the op adds to the gradient of input i.
static void compare_slopes(Check *k, unsigned accumulates, double step, double tolerance) {
    float *start[MAX_INPUTS];
    for (int i = 0; i < k->inputs; i++) {
        size_t bytes = (size_t)tensor_count(k->grad[i]) * sizeof(float);
        start[i] = mem_alloc(bytes);
        if (accumulates >> i & 1) memcpy(start[i], k->grad[i].data, bytes);
    }
    k->forward(k);
    k->backward(k);
    for (int i = 0; i < k->inputs; i++) {
        for (int64_t j = 0; j < tensor_count(k->in[i]); j++) {
            double slope = slope_at(k, f32(k->in[i]) + j, step);
            double given = (double)f32(k->grad[i])[j] - start[i][j];
            if (!(fabs(slope - given) <= tolerance * (1 + fabs(slope))))
                fail_msg("input %d, element %d: backward says %.7g, differences say %.7g", i,
                         (int)j, given, slope);
        }
        mem_free(start[i]);
    }
    Error err;
    assert_true(device_check(k->d, &err));
}

// Steps: for linear ops any step is exact and a large one rounds least.
static const double linear_step = 0.5, linear_tolerance = 1e-5;
static const double curved_step = 1.0 / 32, curved_tolerance = 1e-4;

// ---- convolution and pooling ------------------------------------------------------------------
// in[0] = x, in[1] = w, other[0] = scale, other[1] = shift, other[2] = dz
static void conv_forward(Check *k) {
    k->d->conv_load(k->d, k->conv, k->in[1], k->other[0], k->other[1]);
    k->d->conv_forward(k->d, k->conv, k->y, k->in[0], (Tensor){0});
}
static void conv_backward(Check *k) {
    k->d->conv_backward(k->d, k->conv, k->grad[0], k->grad[1], k->dy, k->in[0]);
}

static void test_conv(void **state) {
    (void)state;
    static const int specs[][5] = {// h, kernel, stride, padding, dilation
                                   {5, 3, 1, 1, 1}, {6, 3, 2, 1, 1}, {5, 1, 2, 0, 1},
                                   {7, 3, 1, 2, 2}, {9, 7, 2, 3, 1}, {1, 3, 2, 1, 1}};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        const int *s = specs[i];
        Check k = check_new();
        ConvSpec spec = {.n = 2,
                         .in_c = 2,
                         .in_h = s[0],
                         .in_w = s[0] + 1,
                         .out_c = 3,
                         .kernel = s[1],
                         .stride = s[2],
                         .padding = s[3],
                         .dilation = s[4],
                         .train = true,
                         .need_dx = true};
        k.conv = k.d->conv_new(k.d, spec);
        add_input(&k, 4, SHAPE(2, 2, spec.in_h, spec.in_w));
        add_input(&k, 4, SHAPE(3, 2, s[1], s[1]));
        k.other[0] = new_tensor(&k, 1, SHAPE(3));
        k.other[1] = new_tensor(&k, 1, SHAPE(3));
        set_output(&k, 4,
                   SHAPE(2, 3, conv_out_size(spec.in_h, s[1], s[2], s[3], s[4]),
                         conv_out_size(spec.in_w, s[1], s[2], s[3], s[4])));
        k.forward = conv_forward;
        k.backward = conv_backward;
        compare_slopes(&k, 2, linear_step, linear_tolerance);
        check_free(&k);
    }
}

// The forward against numbers worked out by hand: 1 + 2 - 4 = -1 and so on, with relu and residual.
static void test_conv_values(void **state) {
    (void)state;
    Check k = check_new();
    ConvSpec spec = {.n = 1,
                     .in_c = 1,
                     .in_h = 2,
                     .in_w = 2,
                     .out_c = 1,
                     .kernel = 3,
                     .stride = 1,
                     .padding = 1,
                     .dilation = 1,
                     .relu = true,
                     .residual = true};
    float x[] = {1, 2, 3, 4}, w[] = {0, 0, 0, 0, 1, 10, 0, 100, 0}, scale = 2, shift = -700;
    float residual[] = {1, 0, 700, 692}, y[4];
    const int64_t image[] = {1, 1, 2, 2}, kernel[] = {1, 1, 3, 3}, one[] = {1};
    k.conv = k.d->conv_new(k.d, spec);
    k.d->conv_load(k.d, k.conv, tensor_view(w, DTYPE_F32, 4, kernel),
                   tensor_view(&scale, DTYPE_F32, 1, one), tensor_view(&shift, DTYPE_F32, 1, one));
    k.d->conv_forward(k.d, k.conv, tensor_view(y, DTYPE_F32, 4, image),
                      tensor_view(x, DTYPE_F32, 4, image),
                      tensor_view(residual, DTYPE_F32, 4, image));
    // 2 (1 + 20 + 300) - 700 + 1 < 0; 2 (2 + 400) - 700; 2 (3 + 40) - 700 + 700; 2 * 4 - 8
    static const float expected[] = {0, 104, 86, 0};
    for (int i = 0; i < 4; i++) assert_float_equal(y[i], expected[i], 0);
    check_free(&k);
}

static void pool_forward(Check *k) {
    k->d->pool_forward(k->d, k->pool, k->y, k->in[0]);
}
static void pool_backward(Check *k) {
    k->d->pool_backward(k->d, k->pool, k->grad[0], k->dy);
}

static void test_pool(void **state) {
    (void)state;
    Check k = check_new();
    k.pool = k.d->pool_new(k.d, 2, 2, 5, 6, true);
    add_input(&k, 4, SHAPE(2, 2, 5, 6));
    // Values far enough apart that no step changes the winner.
    for (int64_t i = 0; i < 120; i++) f32(k.in[0])[i] = (float)(i * 37 % 120 - 60);
    set_output(&k, 4, SHAPE(2, 2, 3, 3));
    k.forward = pool_forward;
    k.backward = pool_backward;
    compare_slopes(&k, 0, 0.125, 1e-4);
    float corner = -INFINITY; // of image 0, channel 0: rows 3 and 4, columns 3 to 5
    for (int i = 0; i < 6; i++) corner = fmaxf(corner, f32(k.in[0])[(3 + i / 3) * 6 + 3 + i % 3]);
    assert_float_equal(f32(k.y)[8], corner, 0);
    check_free(&k);
}

// ---- dense ------------------------------------------------------------------------------------
static void linear_forward(Check *k) {
    k->d->linear_forward(k->d, k->y, k->in[0], k->in[1], k->in[2]);
}
static void linear_backward(Check *k) {
    k->d->linear_backward(k->d, k->grad[0], k->grad[1], k->grad[2], k->dy, k->in[0], k->in[1],
                          true);
}

static void test_linear(void **state) {
    (void)state;
    Check k = check_new();
    add_input(&k, 2, SHAPE(5, 7));
    add_input(&k, 2, SHAPE(3, 7));
    add_input(&k, 1, SHAPE(3));
    set_output(&k, 2, SHAPE(5, 3));
    k.forward = linear_forward;
    k.backward = linear_backward;
    compare_slopes(&k, 7, linear_step, linear_tolerance);
    check_free(&k);
}

static void activation_forward(Check *k) {
    k->d->activation_forward(k->d, k->y, k->in[0], k->act, k->drop);
}
static void activation_backward(Check *k) {
    k->d->activation_backward(k->d, k->grad[0], k->dy, k->in[0], k->y, k->act, k->drop);
}

static void test_activation(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        Check k = check_new();
        k.act = (Activation)(i % 3);
        k.drop = (Dropout){.p = i < 3 ? 0 : 0.4f, .key = {.seed = 9, .step = 1, .site = 2}};
        add_input(&k, 3, SHAPE(2, 3, 7));
        for (int64_t j = 0; j < 42; j++) // away from the bend of relu
            f32(k.in[0])[j] += f32(k.in[0])[j] > 0 ? 0.1f : -0.1f;
        set_output(&k, 3, SHAPE(2, 3, 7));
        k.forward = activation_forward;
        k.backward = activation_backward;
        compare_slopes(&k, 0, curved_step, curved_tolerance);
        check_free(&k);
    }
}

static void dropout_add_forward(Check *k) {
    k->d->dropout_add_forward(k->d, k->y, k->other[0], k->in[0], k->drop);
}
static void dropout_add_backward(Check *k) {
    k->d->dropout_add_backward(k->d, k->grad[0], k->dy, k->drop);
}

static void test_dropout_add(void **state) {
    (void)state;
    Check k = check_new();
    k.drop = (Dropout){.p = 0.3f, .key = {.seed = 9, .step = 1, .site = 2}};
    add_input(&k, 2, SHAPE(6, 7));
    k.other[0] = new_tensor(&k, 2, SHAPE(6, 7));
    set_output(&k, 2, SHAPE(6, 7));
    k.forward = dropout_add_forward;
    k.backward = dropout_add_backward;
    compare_slopes(&k, 0, linear_step, linear_tolerance);
    check_free(&k);
}

// The mask is the one the header describes, and about p of it is dropped.
static void test_dropout_mask(void **state) {
    (void)state;
    enum { M = 100, D = 101 };
    Check k = check_new();
    Dropout drop = {.p = 0.25f, .key = {.seed = 77, .step = 3, .site = 8}};
    static float x[M * D], y[M * D];
    for (int i = 0; i < M * D; i++) x[i] = 1;
    k.d->activation_forward(k.d, tensor_view(y, DTYPE_F32, 2, SHAPE(M, D)),
                            tensor_view(x, DTYPE_F32, 2, SHAPE(M, D)), ACT_NONE, drop);
    int dropped = 0;
    for (int i = 0; i < M * D; i++) {
        uint32_t words[4];
        rng_words(words, drop.key, (uint32_t)(i / D), (uint32_t)(i % D / 4));
        float expected = rng_unit(words[i % D % 4]) >= 0.25f ? 1 / 0.75f : 0;
        assert_float_equal(y[i], expected, 1e-7);
        dropped += y[i] == 0;
    }
    assert_in_range(dropped, 2400, 2650); // 2525 +- 43
    check_free(&k);
}

static void layernorm_forward(Check *k) {
    k->d->layernorm_forward(k->d, k->y, k->other[0], k->other[1], k->in[0], k->in[1], k->in[2]);
}
static void layernorm_backward(Check *k) {
    k->d->layernorm_backward(k->d, k->grad[0], k->grad[1], k->grad[2], k->dy, k->in[0], k->other[0],
                             k->other[1], k->in[1], false);
}

static void test_layernorm(void **state) {
    (void)state;
    Check k = check_new();
    add_input(&k, 2, SHAPE(3, 8));
    add_input(&k, 1, SHAPE(8));
    add_input(&k, 1, SHAPE(8));
    k.other[0] = new_tensor(&k, 1, SHAPE(3));
    k.other[1] = new_tensor(&k, 1, SHAPE(3));
    set_output(&k, 2, SHAPE(3, 8));
    k.forward = layernorm_forward;
    k.backward = layernorm_backward;
    compare_slopes(&k, 6, curved_step, curved_tolerance);
    check_free(&k);
}

static void attention_forward(Check *k) {
    k->d->attention_forward(k->d, k->y, k->other[0], k->in[0], k->in[1], k->in[2], k->pad, k->heads,
                            k->drop);
}
static void attention_backward(Check *k) {
    k->d->attention_backward(k->d, k->grad[0], k->grad[1], k->grad[2], k->dy, k->y, k->other[0],
                             k->in[0], k->in[1], k->in[2], k->pad, k->heads, k->drop);
}

static void test_attention(void **state) {
    (void)state;
    uint8_t pad[] = {0, 0, 1, 0, 1, 0, 1, 0, 0, 0};
    for (int i = 0; i < 4; i++) {
        Check k = check_new();
        k.heads = 2;
        if (i & 1) k.pad = tensor_view(pad, DTYPE_U8, 2, SHAPE(2, 5));
        if (i & 2) k.drop = (Dropout){.p = 0.3f, .key = {.seed = 4, .step = 1, .site = 2}};
        add_input(&k, 3, SHAPE(2, 3, 6));
        add_input(&k, 3, SHAPE(2, 5, 6));
        add_input(&k, 3, SHAPE(2, 5, 6));
        k.other[0] = new_tensor(&k, 3, SHAPE(2, 2, 3));
        set_output(&k, 3, SHAPE(2, 3, 6));
        k.forward = attention_forward;
        k.backward = attention_backward;
        compare_slopes(&k, 0, curved_step, curved_tolerance);
        check_free(&k);
    }
}

// With q = 0 every key has probability 1/Lk, and with one-hot v column j of a head's output is what
// key j gives: the mask of the header, by rows (b*NH + h)*Lq + i.
static void test_attention_mask(void **state) {
    (void)state;
    enum { B = 2, NH = 3, Lq = 5, Lk = 6, D = NH * Lk };
    static float q[B * Lq * D], v[B * Lk * D], o[B * Lq * D], lse[B * NH * Lq];
    Check k = check_new();
    Dropout drop = {.p = 0.5f, .key = {.seed = 7, .step = 3, .site = 8}};
    for (int i = 0; i < B * Lk * D; i++) v[i] = i / D % Lk == i % Lk;
    Tensor tq = tensor_view(q, DTYPE_F32, 3, SHAPE(B, Lq, D));
    Tensor tv = tensor_view(v, DTYPE_F32, 3, SHAPE(B, Lk, D));
    Tensor to = tensor_view(o, DTYPE_F32, 3, SHAPE(B, Lq, D));
    Tensor tlse = tensor_view(lse, DTYPE_F32, 3, SHAPE(B, NH, Lq));
    k.d->attention_forward(k.d, to, tlse, tq, tv, tv, (Tensor){0}, NH, drop);
    for (int i = 0; i < B * Lq * D; i++) {
        int b = i / (Lq * D), query = i / D % Lq, head = i % D / Lk, key = i % Lk;
        uint32_t words[4];
        rng_words(words, drop.key, (uint32_t)((b * NH + head) * Lq + query), (uint32_t)key / 4);
        float expected = rng_unit(words[key % 4]) >= 0.5f ? 2.0f / Lk : 0;
        assert_float_equal(o[i], expected, 1e-6);
    }
    for (int i = 0; i < B * NH * Lq; i++) assert_float_equal(lse[i], logf(Lk), 1e-6);
    check_free(&k);
}

// ---- rows, tokens, VAE, loss ------------------------------------------------------------------
static void embed_forward(Check *k) {
    k->d->embed_forward(k->d, k->y, k->other[0], k->in[0], k->index);
}
static void embed_backward(Check *k) {
    k->d->embed_backward(k->d, k->grad[0], k->dy, k->index);
}

static void test_embed(void **state) {
    (void)state;
    int32_t index[] = {1, -1, 0, 1, 2};
    Check k = check_new();
    k.index = tensor_view(index, DTYPE_I32, 1, SHAPE(5));
    add_input(&k, 2, SHAPE(4, 3));
    k.other[0] = new_tensor(&k, 2, SHAPE(5, 3));
    set_output(&k, 2, SHAPE(5, 3));
    k.forward = embed_forward;
    k.backward = embed_backward;
    compare_slopes(&k, 1, linear_step, linear_tolerance);
    check_free(&k);
}

static void add_rows_forward(Check *k) {
    k->d->add_rows(k->d, k->y, k->other[0], k->in[0]);
}
static void add_rows_backward(Check *k) {
    k->d->sum_rows(k->d, k->grad[0], k->dy);
}

static void test_add_rows(void **state) {
    (void)state;
    Check k = check_new();
    add_input(&k, 2, SHAPE(3, 4));
    k.other[0] = new_tensor(&k, 3, SHAPE(5, 3, 4));
    set_output(&k, 3, SHAPE(5, 3, 4));
    k.forward = add_rows_forward;
    k.backward = add_rows_backward;
    compare_slopes(&k, 1, linear_step, linear_tolerance);
    check_free(&k);
}

static void tokens_forward(Check *k) {
    k->d->tokens_from_image(k->d, k->y, k->in[0]);
}
static void tokens_backward(Check *k) {
    k->d->image_from_tokens(k->d, k->grad[0], k->dy);
}

static void test_tokens(void **state) {
    (void)state;
    Check k = check_new();
    add_input(&k, 4, SHAPE(2, 3, 2, 4));
    set_output(&k, 3, SHAPE(2, 8, 3));
    k.forward = tokens_forward;
    k.backward = tokens_backward;
    compare_slopes(&k, 0, linear_step, linear_tolerance);
    // pixel (1, 2) of channel 1 of image 1 is column 1 of token 1*4 + 2
    assert_float_equal(f32(k.y)[(1 * 8 + 6) * 3 + 1], f32(k.in[0])[((1 * 3 + 1) * 2 + 1) * 4 + 2],
                       0);
    check_free(&k);
}

// y = [z | KL as the third loss]: the KL weight of backward is the r of that last element.
static void vae_forward(Check *k) {
    float losses[3];
    Tensor empty = tensor_view(losses, DTYPE_F32, 3, SHAPE(0, 1, 1));
    k->d->vae_sample_forward(k->d, tensor_reshape(k->y, 2, SHAPE(3, 4)), k->in[0], k->other[0]);
    k->d->act_loss_forward(k->d, tensor_view(losses, DTYPE_F32, 1, SHAPE(3)), empty, empty,
                           tensor_view(losses, DTYPE_U8, 2, SHAPE(0, 1)), k->in[0], 2);
    assert_float_equal(losses[0], 2 * losses[2], 1e-5);
    f32(k->y)[12] = losses[2];
}
static void vae_backward(Check *k) {
    k->d->vae_sample_backward(k->d, k->grad[0], tensor_reshape(k->dy, 2, SHAPE(3, 4)), k->in[0],
                              k->other[0], f32(k->dy)[12]);
}

static void test_vae(void **state) {
    (void)state;
    Check k = check_new();
    add_input(&k, 2, SHAPE(3, 8));
    k.other[0] = new_tensor(&k, 2, SHAPE(3, 4));
    set_output(&k, 1, SHAPE(13));
    k.forward = vae_forward;
    k.backward = vae_backward;
    compare_slopes(&k, 0, curved_step, curved_tolerance);
    check_free(&k);
}

static void loss_forward(Check *k) {
    k->d->act_loss_forward(k->d, k->y, k->in[0], k->other[0], k->pad, (Tensor){0}, 10);
}
static void loss_backward(Check *k) {
    k->d->act_loss_backward(k->d, k->grad[0], k->in[0], k->other[0], k->pad);
}

static void test_loss(void **state) {
    (void)state;
    uint8_t pad[] = {0, 0, 1, 0, 1, 1};
    Check k = check_new();
    k.pad = tensor_view(pad, DTYPE_U8, 2, SHAPE(2, 3));
    add_input(&k, 3, SHAPE(2, 3, 4));
    k.other[0] = new_tensor(&k, 3, SHAPE(2, 3, 4));
    for (int64_t i = 0; i < 24; i++) // away from the bend of |x|
        f32(k.other[0])[i] = f32(k.in[0])[i] + (i % 2 ? 0.5f : -0.5f);
    set_output(&k, 1, SHAPE(3));
    f32(k.dy)[0] = 1;
    f32(k.dy)[1] = f32(k.dy)[2] = 0;
    k.forward = loss_forward;
    k.backward = loss_backward;
    compare_slopes(&k, 0, curved_step, curved_tolerance);
    loss_forward(&k);
    assert_float_equal(f32(k.y)[1], 0.5, 1e-6); // every error is 0.5
    check_free(&k);
}

// y + w (x - y), and finite numbers stay finite.
static void test_lerp(void **state) {
    (void)state;
    Check k = check_new();
    float y[] = {1, -2, 1e38f}, x[] = {3, 0, -1e38f};
    Tensor ty = tensor_view(y, DTYPE_F32, 1, SHAPE(3)), tx = tensor_view(x, DTYPE_F32, 1, SHAPE(3));
    k.d->lerp(k.d, ty, tx, (Tensor){0}, 0.25f);
    assert_float_equal(y[0], 1.5, 0);
    assert_float_equal(y[1], -1.5, 0);
    assert_float_equal(y[2] / 1e38f, 0.5, 1e-6);
    k.d->lerp(k.d, ty, tx, (Tensor){0}, 0);
    assert_float_equal(y[0], 1.5, 0);
    k.d->lerp(k.d, ty, tx, (Tensor){0}, 1);
    assert_float_equal(y[1], 0, 0);
    check_free(&k);
}

// ---- optimiser, images ------------------------------------------------------------------------
// Two steps of AdamW worked out by hand: with a constant gradient m/(1-b1^t) = g and
// v/(1-b2^t) = g^2, so each step is p = p (1 - lr wd) - lr g / (|g| + eps).
static void test_adamw(void **state) {
    (void)state;
    Check k = check_new();
    float p[] = {1, -2}, m[2] = {0}, v[2] = {0}, g[2], norm, halt = 0;
    const int64_t two[] = {2}, one[] = {1};
    Tensor tp = tensor_view(p, DTYPE_F32, 1, two), tg = tensor_view(g, DTYPE_F32, 1, two);
    Tensor tm = tensor_view(m, DTYPE_F32, 1, two), tv = tensor_view(v, DTYPE_F32, 1, two);
    Tensor tn = tensor_view(&norm, DTYPE_F32, 1, one), th = tensor_view(&halt, DTYPE_F32, 1, one);
    AdamW a = {.lr = 0.1f,
               .beta1 = 0.9f,
               .beta2 = 0.999f,
               .eps = 0.5f,
               .weight_decay = 0.2f,
               .max_norm = 2.5f};
    double expected[] = {1, -2};
    for (a.step = 1; a.step <= 2; a.step++) {
        g[0] = 3;
        g[1] = -4; // norm 5, clipped to half
        k.d->grad_norm(k.d, tn, th, tg, (Tensor){0});
        assert_float_equal(norm, 5, 1e-6);
        k.d->adamw(k.d, tp, tg, tm, tv, tn, th, a);
        expected[0] = expected[0] * 0.98 - 0.1 * 1.5 / (1.5 + 0.5);
        expected[1] = expected[1] * 0.98 + 0.1 * 2.0 / (2.0 + 0.5);
        for (int i = 0; i < 2; i++) {
            assert_float_equal(p[i], expected[i], 2e-6);
            assert_float_equal(g[i], 0, 0);
        }
    }
    float before[] = {p[0], m[0], v[0]};
    assert_float_equal(halt, 0, 0);
    g[0] = INFINITY;
    k.d->grad_norm(k.d, tn, th, tg, (Tensor){0});
    assert_float_equal(halt, 1, 0);
    k.d->adamw(k.d, tp, tg, tm, tv, tn, th, a);
    assert_true(p[0] == before[0] && m[0] == before[1] && v[0] == before[2] && g[0] == 0);
    // A loss that is not a number halts as well, and a halt is never taken back.
    float losses[] = {NAN, 0, 0};
    halt = 0;
    g[0] = 1;
    k.d->grad_norm(k.d, tn, th, tg, tensor_view(losses, DTYPE_F32, 1, SHAPE(3)));
    assert_float_equal(halt, 1, 0);
    losses[0] = 1;
    k.d->grad_norm(k.d, tn, th, tg, tensor_view(losses, DTYPE_F32, 1, SHAPE(3)));
    assert_float_equal(halt, 1, 0);
    check_free(&k);
}

static void test_image_normalize(void **state) {
    (void)state;
    Check k = check_new();
    uint8_t x[] = {0, 51, 255, 102, 153, 204}; // two pixels of three channels
    float y[6], mean[] = {0, 0.2f, 0.5f}, std[] = {1, 0.5f, 0.25f};
    k.d->image_normalize(k.d, tensor_view(y, DTYPE_F32, 4, SHAPE(1, 3, 1, 2)),
                         tensor_view(x, DTYPE_U8, 4, SHAPE(1, 1, 2, 3)), mean, std);
    static const float expected[] = {0, 0.4f, 0, 0.8f, 2, 1.2f};
    for (int i = 0; i < 6; i++) assert_float_equal(y[i], expected[i], 1e-6);
    check_free(&k);
}

static void test_random_normal(void **state) {
    (void)state;
    enum { M = 400, D = 33 };
    static float x[M * D];
    Check k = check_new();
    k.d->random_normal(k.d, tensor_view(x, DTYPE_F32, 2, SHAPE(M, D)), (RngKey){1, 2, 3});
    uint32_t w[4]; // the last whole block of row 5, as the header describes
    rng_words(w, (RngKey){1, 2, 3}, 5, 7);
    for (int i = 0; i < 4; i++) {
        double r = sqrt(-2 * log(1 - rng_unit(w[i / 2 * 2]))), u = rng_unit(w[i / 2 * 2 + 1]);
        double turn = 2 * 3.141592653589793 * u;
        assert_float_equal(x[5 * D + 28 + i], r * (i % 2 ? sin(turn) : cos(turn)), 1e-6);
    }
    double sum = 0, squares = 0, neighbours = 0;
    for (int i = 0; i < M * D; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
        if (i % 2) neighbours += (double)x[i] * x[i - 1];
    }
    assert_float_equal(sum / (M * D), 0, 0.04); // 13200 numbers: standard error 0.009
    assert_float_equal(squares / (M * D), 1, 0.06);
    assert_float_equal(neighbours / (M * D / 2), 0, 0.06);
    check_free(&k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),          cmocka_unit_test(test_conv_values),
        cmocka_unit_test(test_pool),          cmocka_unit_test(test_linear),
        cmocka_unit_test(test_activation),    cmocka_unit_test(test_dropout_add),
        cmocka_unit_test(test_dropout_mask),  cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_attention_mask),
        cmocka_unit_test(test_embed),         cmocka_unit_test(test_add_rows),
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_vae),
        cmocka_unit_test(test_loss),          cmocka_unit_test(test_lerp),
        cmocka_unit_test(test_adamw),         cmocka_unit_test(test_image_normalize),
        cmocka_unit_test(test_random_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
