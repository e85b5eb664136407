// SPDX-License-Identifier: Apache-2.0
#include "base/text_set.h"

#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// What a plain scan says: the number of the first text that is equal, or -1.
static int scan(const char (*texts)[16], const size_t *sizes, int n, const char *text,
                size_t size) {
    for (int i = 0; i < n; i++)
        if (sizes[i] == size && memcmp(texts[i], text, size) == 0) return i;
    return -1;
}

// Short texts of few letters, a zero byte among them: many are equal, or the beginning of another.
static size_t draw(RngStream *rng, char text[16]) {
    static const char letters[4] = {'a', 'b', ' ', '\0'};
    size_t size = (size_t)rng_below(rng, 7);
    for (size_t i = 0; i < size; i++) text[i] = letters[rng_below(rng, 4)];
    return size;
}

static void test_numbers_as_a_scan_does(void **state) {
    (void)state;
    enum { DRAWN = 4000 };
    static char texts[DRAWN][16];
    static size_t sizes[DRAWN];
    int n = 0, again = 0, missing = 0;
    Arena arena = {0};
    TextSet set = {0};
    RngStream rng = {.key = {.seed = 21}};
    for (int i = 0; i < DRAWN; i++) {
        char text[16];
        size_t size = draw(&rng, text);
        int known = scan(texts, sizes, n, text, size);
        assert_int_equal(text_set_find(&set, text, size), known);
        missing += known < 0;
        if (rng_below(&rng, 2)) continue; // only looked for
        again += known >= 0;
        if (known < 0) {
            memcpy(texts[n], text, size);
            sizes[n++] = size;
        }
        assert_int_equal(text_set_add(&set, &arena, text, size), known < 0 ? n - 1 : known);
        assert_int_equal(set.n, n);
    }
    for (int i = 0; i < n; i++) {
        assert_memory_equal(set.texts[i], texts[i], sizes[i]);
        assert_int_equal(set.texts[i][sizes[i]], 0);
        assert_int_equal(text_set_find(&set, texts[i], sizes[i]), i);
    }
    assert_true(n > 500 && again > 500 && missing > 500);
    arena_free(&arena);
}

static void test_empty_set(void **state) {
    (void)state;
    Arena arena = {0};
    TextSet set = {0};
    assert_int_equal(text_set_find(&set, "", 0), -1);
    assert_int_equal(text_set_add(&set, &arena, "", 0), 0);
    assert_int_equal(text_set_add(&set, &arena, "a", 1), 1);
    assert_int_equal(text_set_add(&set, &arena, "", 0), 0);
    assert_string_equal(set.texts[0], "");
    arena_free(&arena);
}

// Numbers and copies stay what they were while the table grows, and it stays half empty, so that no
// search goes far.
static void test_grows(void **state) {
    (void)state;
    enum { MANY = 100000 };
    Arena arena = {0};
    TextSet set = {0};
    char text[32];
    for (int i = 0; i < MANY; i++) {
        int size = snprintf(text, sizeof text, "put block %d away", i);
        assert_int_equal(text_set_add(&set, &arena, text, (size_t)size), i);
    }
    const char *first = set.texts[0];
    for (int i = MANY - 1; i >= 0; i--) {
        int size = snprintf(text, sizeof text, "put block %d away", i);
        assert_int_equal(text_set_add(&set, &arena, text, (size_t)size), i);
    }
    assert_int_equal(set.n, MANY);
    assert_ptr_equal(set.texts[0], first);
    assert_true(set.n_slots >= 2 * (size_t)MANY && set.n_slots <= 8 * (size_t)MANY);
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_as_a_scan_does),
        cmocka_unit_test(test_empty_set),
        cmocka_unit_test(test_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
