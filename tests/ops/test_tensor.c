// SPDX-License-Identifier: Apache-2.0
// The generator's published numbers, the tensor arena, and how a device reports failures.
#include "base/rng.h"
#include "ops/ops.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static Device *ref_open(void) {
    Device *d = NULL;
    Error err;
    assert_true(device_open("ref", PRECISION_FLOAT32, 1, &d, &err));
    return d;
}

// The published known answers of Philox4x32-10 (Random123, kat_vectors).
static void test_philox(void **state) {
    (void)state;
    uint32_t w[4];
    philox4x32(w, 0, 0, 0, 0, 0);
    assert_true(w[0] == 0x6627e8d5 && w[1] == 0xe169c58d && w[2] == 0xbc57ac4c &&
                w[3] == 0x9b00dbd8);
    philox4x32(w, ~0u, ~0u, ~0u, ~0u, ~0ull);
    assert_true(w[0] == 0x408f276d && w[1] == 0x41c83b0e && w[2] == 0xa20bc7c6 &&
                w[3] == 0x6d5451fd);
    philox4x32(w, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0x299f31d0a4093822);
    assert_true(w[0] == 0xd16cfe09 && w[1] == 0x94fdcceb && w[2] == 0x5001e420 &&
                w[3] == 0x24126ea1);
}

static void test_arena(void **state) {
    (void)state;
    Device *d = ref_open();
    TensorArena a = {.device = d};
    Tensor first = arena_tensor(&a, DTYPE_F32, 1, SHAPE(3));
    ArenaMark mark = arena_mark(&a);
    Tensor second = arena_tensor(&a, DTYPE_U8, 2, SHAPE(5, 7));
    Tensor large = arena_tensor(&a, DTYPE_F32, 2, SHAPE(20 << 20, 1)); // a block of its own
    assert_non_null(large.data);
    assert_true((uintptr_t)second.data % 256 == 0 && second.data != first.data);
    size_t total = a.total;
    arena_rewind(&a, mark);
    assert_ptr_equal(arena_tensor(&a, DTYPE_F32, 1, SHAPE(2)).data, second.data);
    assert_ptr_equal(arena_image(&a, 1, 20 << 20, 1, 1).data, large.data);
    arena_reset(&a);
    assert_ptr_equal(arena_tensor(&a, DTYPE_F32, 1, SHAPE(3)).data, first.data);
    assert_int_equal(a.total, total); // nothing new was asked for
    tensor_arena_free(&a);
    device_close(d);
}

// Memory that cannot be had is reported once, and ops after it are safe.
static void test_failure(void **state) {
    (void)state;
    Device *d = ref_open();
    TensorArena a = {.device = d};
    Error err;
    Tensor t = arena_tensor(&a, DTYPE_F32, 2, SHAPE(1LL << 40, 1LL << 21));
    assert_null(t.data);
    d->linear_forward(d, t, t, t, t);
    d->conv_forward(d, d->conv_new(d, (ConvSpec){0}), t, t, t);
    assert_false(device_check(d, &err));
    assert_non_null(strstr(err.text, "memory"));
    assert_true(device_check(d, &err));
    tensor_arena_free(&a);
    device_close(d);
}

// Unknown names, and precisions that a backend does not have, are refused before a device is made.
static void test_refused_devices(void **state) {
    (void)state;
    const struct {
        const char *name;
        Precision precision;
        const char *words;
    } cases[] = {
        {"gpu", PRECISION_FLOAT32, "--policy.device=gpu: unknown device; use cpu or cuda"},
        {"cpu:0", PRECISION_FLOAT32, "--policy.device=cpu:0: use cpu, cpu:onednn or cpu:blas"},
        {"cudax", PRECISION_FLOAT32, "--policy.device=cudax: unknown device"},
        {"cpu", PRECISION_TF32,
         "--policy.dtype=tf32: --policy.device=cpu has no such arithmetic; use float32 or "
         "bfloat16"},
        {"ref", PRECISION_BFLOAT16, "has no such arithmetic; use float32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Device *d;
        Error err = {""};
        assert_false(device_open(cases[i].name, cases[i].precision, 1, &d, &err));
        assert_null(d);
        if (!strstr(err.text, cases[i].words)) fail_msg("'%s'", err.text);
    }
}

// The precision that training takes by default on each backend, and precisions by their names.
static void test_precisions(void **state) {
    (void)state;
    Precision p;
    Error err;
    assert_true(precision_named(NULL, "cpu", &p, &err));
    assert_int_equal(p, PRECISION_FLOAT32);
    assert_true(precision_named("bfloat16", "cpu", &p, &err));
    assert_int_equal(p, PRECISION_BFLOAT16);
    assert_false(precision_named("half", "cpu", &p, &err));
    assert_non_null(strstr(err.text, "--policy.dtype=half"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox),     cmocka_unit_test(test_arena),
        cmocka_unit_test(test_failure),    cmocka_unit_test(test_refused_devices),
        cmocka_unit_test(test_precisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
