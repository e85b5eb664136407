// SPDX-License-Identifier: Apache-2.0
// What AdamW does over many steps, on the reference and on the CPU.
#include "ops/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void forgets(const char *name) {
    Device *d;
    Error err;
    assert_true(device_open(name, PRECISION_FLOAT32, 1, &d, &err));
    float p = 1, m = 1e-3f, v = 1, g = 0, norm = 0;
    const int64_t one[] = {1};
    Tensor tp = tensor_view(&p, DTYPE_F32, 1, one), tg = tensor_view(&g, DTYPE_F32, 1, one);
    Tensor tm = tensor_view(&m, DTYPE_F32, 1, one), tv = tensor_view(&v, DTYPE_F32, 1, one);
    Tensor tn = tensor_view(&norm, DTYPE_F32, 1, one);
    AdamW a = {.lr = 1, .beta1 = 0.9f, .beta2 = 1 - 1e-6f, .eps = 1, .step = 100000};
    for (int i = 0; i < 1000; i++) {
        d->adamw(d, tp, tg, tm, tv, tn, (Tensor){0}, a);
        assert_true(m == 0 || m >= ADAMW_LEAST_MOMENT);
    }
    assert_true(m == 0);
    double root = sqrt(1 - pow((double)a.beta2, 100000));
    assert_float_equal(p, 1 - 9e-3 / (1 / root + 1), 1e-5);
    device_close(d);
}

// Without a gradient a first moment shrinks to 0, never to a number that is slow to compute with,
// and what it still moves meanwhile is a geometric series.
static void test_forgets_on_ref(void **state) {
    (void)state;
    forgets("ref");
}
static void test_forgets_on_cpu(void **state) {
    (void)state;
    forgets("cpu");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forgets_on_ref),
                                       cmocka_unit_test(test_forgets_on_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
