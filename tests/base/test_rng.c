// SPDX-License-Identifier: Apache-2.0
// Random numbers: the paper's known answer, and that taking many at once gives the numbers of one
// by one.
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void known_answers(void **state) {
    (void)state;
    uint32_t w[4];
    philox4x32(w, 0, 0, 0, 0, 0);
    assert_int_equal(w[0], 0x6627e8d5);
    assert_int_equal(w[1], 0xe169c58d);
    assert_int_equal(w[2], 0xbc57ac4c);
    assert_int_equal(w[3], 0x9b00dbd8);
}

static void many_at_once_are_the_same(void **state) {
    (void)state;
    enum { MOST = 150 };
    const uint64_t starts[] = {0, 2, 6, 64, 4 * 0xffffffffu - 8, (uint64_t)1 << 40};
    for (int k = 0; k < 6; k++)
        for (int n = 0; n <= MOST; n++) {
            const RngStream start = {.key = {.seed = 0x123456789abcdef, .step = 7, .site = 9},
                                     .next = starts[k]};
            RngStream one = start, many = start;
            double out[MOST + 1];
            out[n] = -1;
            rng_doubles(&many, out, n);
            for (int i = 0; i < n; i++) assert_true(out[i] == rng_double(&one));
            assert_true(out[n] == -1 && many.next == one.next);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(many_at_once_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
