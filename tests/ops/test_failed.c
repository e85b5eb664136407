// SPDX-License-Identifier: Apache-2.0
// After a failure a device's ops are safe to call: their tensors may then have no memory.
#include "ops/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N = 2, C = 16, H = 8, W = 8, HEADS = 2 };

static void run_all(Device *d) {
    const Tensor plain = tensor_view(NULL, DTYPE_F32, 2, SHAPE(N, C));
    const Tensor cube = tensor_view(NULL, DTYPE_F32, 3, SHAPE(N, H, C));
    const Tensor row = tensor_view(NULL, DTYPE_F32, 2, SHAPE(H, C));
    const Tensor one = tensor_view(NULL, DTYPE_F32, 1, SHAPE(C)), none = {0};
    const Tensor bytes = tensor_view(NULL, DTYPE_U8, 4, SHAPE(N, H, W, 3));
    const Tensor index = tensor_view(NULL, DTYPE_I32, 1, SHAPE(H));
    const Tensor lse = tensor_view(NULL, DTYPE_F32, 3, SHAPE(N, HEADS, H));
    const Tensor pixels = tensor_view(NULL, DTYPE_F32, 4, SHAPE(N, C, H, W));
    const Tensor half = tensor_view(NULL, d->images, 4, SHAPE(N, C, H, W));
    const Tensor tokens = tensor_view(NULL, DTYPE_F32, 3, SHAPE(N, H * W, C));
    const float mean[3] = {0}, std[3] = {1, 1, 1};
    const Dropout drop = {0};
    Tensor image = half;
    image.layout = LAYOUT_IMAGE;
    d->zero(d, plain);
    d->copy(d, plain, plain);
    d->add(d, plain, plain, plain);
    d->add(d, image, image, image);
    d->lerp(d, one, one, none, 0.5f);
    d->add_rows(d, cube, cube, row);
    d->sum_rows(d, row, cube);
    d->embed_forward(d, row, none, row, index);
    d->embed_backward(d, row, row, index);
    d->random_normal(d, plain, (RngKey){0});
    d->image_normalize(d, image, bytes, mean, std);
    d->image_from_plain(d, image, pixels);
    d->image_to_plain(d, pixels, image);
    d->tokens_from_image(d, tokens, image);
    d->image_from_tokens(d, image, tokens);
    d->relu_backward(d, image, image, none, image);
    d->linear_forward(d, plain, plain, tensor_view(NULL, DTYPE_F32, 2, SHAPE(C, C)), one);
    d->linear_backward(d, plain, tensor_view(NULL, DTYPE_F32, 2, SHAPE(C, C)), one, plain, plain,
                       tensor_view(NULL, DTYPE_F32, 2, SHAPE(C, C)), false);
    d->activation_forward(d, plain, plain, ACT_GELU, drop);
    d->activation_backward(d, plain, plain, plain, plain, ACT_RELU, drop);
    d->dropout_add_forward(d, plain, plain, plain, drop);
    d->dropout_add_backward(d, plain, plain, drop);
    d->layernorm_forward(d, plain, one, one, plain, one, one);
    d->layernorm_backward(d, plain, one, one, plain, plain, one, one, one, false);
    d->attention_forward(d, cube, lse, cube, cube, cube, none, HEADS, drop);
    d->attention_backward(d, cube, cube, cube, cube, cube, lse, cube, cube, cube, none, HEADS,
                          drop);
    d->vae_sample_forward(d, plain, plain, plain);
    d->vae_sample_backward(d, plain, plain, plain, plain, 1);
    d->act_loss_forward(d, one, cube, cube, bytes, one, plain, 1, 1);
    d->act_loss_backward(d, cube, cube, cube, bytes, one);
    d->conv_free(d, d->conv_new(d, (ConvSpec){N, C, H, W, C, 3, 1, 1, 1, .train = true}));
    d->pool_free(d, d->pool_new(d, N, C, H, W, true));
    d->grad_norm(d, one, none, one, none);
    d->adamw(d, one, one, one, one, one, none, (AdamW){.step = 1});
}

static void ops_after_a_failure_touch_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"ref", "cpu"};
    static const Precision precisions[] = {PRECISION_FLOAT32, PRECISION_BFLOAT16};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            Device *d;
            Error err;
            // Not every machine has bfloat16, and the reference device has none.
            if (!device_open(names[i], precisions[k], 1, &d, &err)) continue;
            device_fail_memory(d, "none is left");
            run_all(d);
            int there = 1, here = 2;
            d->upload(d, &there, &here, sizeof here);
            d->download(d, &there, &here, sizeof here);
            assert_int_equal(there, 1);
            assert_false(device_check(d, &err));
            assert_string_equal(err.text, "out of memory: none is left");
            assert_true(error_is_memory(&err));
            device_fail(d, "another matter");
            assert_true(!device_check(d, &err) && !error_is_memory(&err));
            assert_true(device_check(d, &err));
            device_close(d);
        }
}

// A kernel of 3 that is dilated to 5 finds no place on 4 pixels, in either direction.
static void images_that_are_too_small_are_refused(void **state) {
    (void)state;
    static const int sizes[][2] = {{4, 9}, {9, 4}, {4, 4}, {5, 5}};
    for (int i = 0; i < 4; i++) {
        Device *d;
        Error err;
        const int *size = sizes[i];
        assert_true(device_open("ref", PRECISION_FLOAT32, 1, &d, &err));
        Conv *c = d->conv_new(d, (ConvSpec){1, 2, size[0], size[1], 2, 3, 1, 0, 2, .relu = true});
        bool fits = size[0] == 5 && size[1] == 5;
        assert_true((c != NULL) == fits);
        assert_true(device_check(d, &err) == fits);
        if (!fits) assert_non_null(strstr(err.text, "too small"));
        d->conv_free(d, c);
        device_close(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ops_after_a_failure_touch_nothing),
                                       cmocka_unit_test(images_that_are_too_small_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
