// SPDX-License-Identifier: Apache-2.0
// The reference device against mathematics: the ops of layers. Every backward is compared with
// finite differences of its forward. test_ref_rows.c has the other ops.
#include "slopes.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),         cmocka_unit_test(test_conv_values),
        cmocka_unit_test(test_pool),         cmocka_unit_test(test_linear),
        cmocka_unit_test(test_activation),   cmocka_unit_test(test_dropout_add),
        cmocka_unit_test(test_dropout_mask), cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_attention),    cmocka_unit_test(test_attention_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
