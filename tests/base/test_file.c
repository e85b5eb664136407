// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// path_parent works as dirname(3): slashes at the end belong to the name before them.
static void test_path_parent(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"a/b", "a"},    {"a/b/", "a"},
        {"a/b///", "a"}, {"/a", "/"},
        {"/a/", "/"},    {"a", "."},
        {"a/", "."},     {"/", "/"},
        {"//", "/"},     {"outputs/train/x/", "outputs/train"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        path_parent(out, sizeof out, cases[i][0]);
        assert_string_equal(out, cases[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_path_parent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
