// SPDX-License-Identifier: Apache-2.0
#include "base/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Item {
    int64_t number;
    char name[12];
} Item;

static void test_adds(void **state) {
    (void)state;
    Item *items = NULL;
    int count = 0;
    int64_t capacity = 0, grown = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t before = capacity;
        Item *item = ARRAY_ADD(items, count, capacity);
        assert_ptr_equal(item, items + i);
        assert_int_equal(item->number, 0);
        assert_int_equal(item->name[0], 0);
        item->number = i;
        snprintf(item->name, sizeof item->name, "%d", i);
        if (capacity != before) {
            assert_true(capacity >= 2 * before);
            grown++;
        }
    }
    assert_int_equal(count, 1000);
    assert_true(grown < 12);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(items[i].number, i);
        assert_int_equal(atoi(items[i].name), i);
    }
    mem_free(items);
}

static void test_room_for_several(void **state) {
    (void)state;
    char *text = NULL;
    size_t length = 0;
    int64_t capacity = 0;
    for (int i = 0; i < 300; i++) {
        size_t n = (size_t)(i % 7) * 11;
        ARRAY_ROOM(text, length, capacity, (int64_t)n);
        if (n) memset(text + length, 'a' + i % 26, n);
        length += n;
        assert_true(capacity >= (int64_t)length);
    }
    size_t at = 0;
    for (int i = 0; i < 300; i++)
        for (int k = 0; k < i % 7 * 11; k++) assert_int_equal(text[at++], 'a' + i % 26);
    char *kept = text;
    int64_t most = capacity;
    ARRAY_ROOM(text, length, capacity, 0);
    ARRAY_ROOM(text, length, capacity, -5);
    assert_ptr_equal(text, kept);
    assert_int_equal(capacity, most);
    mem_free(text);
}

static void test_in_an_arena(void **state) {
    (void)state;
    Arena arena = {0};
    const char **names = NULL;
    int count = 0;
    int64_t capacity = 0;
    for (int i = 0; i < 100; i++)
        *ARENA_ARRAY_ADD(&arena, names, count, capacity) = arena_printf(&arena, "%d", i);
    for (int i = 0; i < 100; i++) assert_int_equal(atoi(names[i]), i);
    arena_free(&arena);
}

// Growing fails as mem_alloc does, and no small block is taken for a large one.
static void assert_ends(Arena *arena, size_t size, int64_t count, int64_t capacity, int64_t more) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        if (!freopen("/dev/null", "w", stderr) || setrlimit(RLIMIT_CORE, &no_core) != 0) _exit(0);
        array_grow(arena, NULL, size, count, &capacity, more);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0); // sanitizers exit with a report
}

static void test_sizes_that_overflow(void **state) {
    (void)state;
    Arena arena = {0};
    Arena *const places[] = {NULL, &arena};
    for (int i = 0; i < 2; i++) {
        assert_ends(places[i], 1, INT64_MAX, INT64_MAX, 1);
        assert_ends(places[i], 8, 0, 0, INT64_MAX / 4);
        assert_ends(places[i], 1 << 20, 0, 0, INT64_MAX >> 19);
        assert_ends(places[i], 2, 0, INT64_MAX / 2 + 1, INT64_MAX - 1);
    }
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds),
        cmocka_unit_test(test_room_for_several),
        cmocka_unit_test(test_in_an_arena),
        cmocka_unit_test(test_sizes_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
