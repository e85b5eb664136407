// SPDX-License-Identifier: Apache-2.0
// The reference device against mathematics: rows and tokens, the VAE, the loss, the optimiser, and
// what has no backward. test_ref.c has the ops of layers.
#include "slopes.h"

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
    float losses[3] = {0};
    Tensor empty = tensor_view(losses, DTYPE_F32, 3, SHAPE(0, 1, 1));
    k->d->vae_sample_forward(k->d, tensor_reshape(k->y, 2, SHAPE(3, 4)), k->in[0], k->other[0]);
    float one = 1;
    k->d->act_loss_forward(k->d, tensor_view(losses, DTYPE_F32, 1, SHAPE(3)), empty, empty,
                           tensor_view(losses, DTYPE_U8, 2, SHAPE(0, 1)),
                           tensor_view(&one, DTYPE_F32, 1, SHAPE(1)), k->in[0], 1, 2);
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

// Rows beyond the batch are left alone.
static void test_vae_rows(void **state) {
    (void)state;
    Check k = check_new();
    float params[3 * 4] = {0}, eps[3 * 2] = {0}, dz[3 * 2], dparams[3 * 4], z[3 * 2];
    for (int i = 0; i < 6; i++) dz[i] = z[i] = 7;
    for (int i = 0; i < 12; i++) dparams[i] = 7;
    const Tensor p = tensor_view(params, DTYPE_F32, 2, SHAPE(2, 4)),
                 e = tensor_view(eps, DTYPE_F32, 2, SHAPE(2, 2));
    k.d->vae_sample_forward(k.d, tensor_view(z, DTYPE_F32, 2, SHAPE(2, 2)), p, e);
    k.d->vae_sample_backward(k.d, tensor_view(dparams, DTYPE_F32, 2, SHAPE(2, 4)),
                             tensor_view(dz, DTYPE_F32, 2, SHAPE(2, 2)), p, e, 1);
    for (int i = 0; i < 6; i++) assert_float_equal(z[i], i < 4 ? 0 : 7, 0);
    for (int i = 0; i < 12; i++) assert_float_equal(dparams[i], i >= 8 || i % 4 < 2 ? 7 : 0, 0);
    check_free(&k);
}

// count: of the numbers that are not padding.
static float loss_count = 12;
static void loss_forward(Check *k) {
    k->d->zero(k->d, k->y);
    k->d->act_loss_forward(k->d, k->y, k->in[0], k->other[0], k->pad,
                           tensor_view(&loss_count, DTYPE_F32, 1, SHAPE(1)), (Tensor){0}, 1, 10);
}
static void loss_backward(Check *k) {
    k->d->act_loss_backward(k->d, k->grad[0], k->in[0], k->other[0], k->pad,
                            tensor_view(&loss_count, DTYPE_F32, 1, SHAPE(1)));
}

static void test_loss(void **state) {
    (void)state;
    uint8_t pad[] = {0, 0, 1, 0, 1, 1};
    Check k = check_new();
    k.pad = tensor_view(pad, DTYPE_U8, 2, SHAPE(2, 3));
    add_input(&k, 3, SHAPE(2, 3, 4));
    k.other[0] = new_tensor(&k, 3, SHAPE(2, 3, 4));
    // Away from the bend of |x|: step n of the six is off by n + 1/2, to either side.
    for (int64_t i = 0; i < 24; i++) {
        float off = (float)(i / 4) + 0.5f;
        f32(k.other[0])[i] = f32(k.in[0])[i] + (i % 2 ? off : -off);
    }
    set_output(&k, 1, SHAPE(3));
    f32(k.dy)[0] = 1;
    f32(k.dy)[1] = f32(k.dy)[2] = 0;
    k.forward = loss_forward;
    k.backward = loss_backward;
    compare_slopes(&k, 0, curved_step, curved_tolerance);
    loss_forward(&k);
    assert_float_equal(f32(k.y)[1], (0.5 + 1.5 + 3.5) / 3, 1e-6); // of the steps 0, 1 and 3
    loss_backward(&k);
    for (int64_t i = 0; i < 24; i++)
        assert_float_equal(f32(k.grad[0])[i], pad[i / 4] ? 0 : (i % 2 ? -1 : 1) / 12.0, 1e-7);
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
    k.d->random_normal(k.d, tensor_view(x, DTYPE_F32, 2, SHAPE(M, D)), (RngKey){1, 2, 3, 0});
    uint32_t w[4]; // the last whole block of row 5, as the header describes
    rng_words(w, (RngKey){1, 2, 3, 0}, 5, 7);
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
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_add_rows),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_vae),
        cmocka_unit_test(test_vae_rows),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_lerp),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_image_normalize),
        cmocka_unit_test(test_random_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
