// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

// What is no regular file is refused at once: opening a FIFO that nothing writes to would wait for
// ever.
static void what_is_no_regular_file_is_refused(void **state) {
    (void)state;
    char dir[] = "/tmp/tact-file-XXXXXX", path[64];
    Error err;
    InputFile f;
    char *data;
    size_t size;
    const uint8_t *mapped;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    const char *const paths[] = {path, "/dev/zero", dir};
    alarm(20); // a hang ends the test
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s: not a regular file", paths[i]);
        assert_false(input_open(&f, paths[i], &err));
        assert_string_equal(err.text, wanted);
        assert_false(file_read(paths[i], &data, &size, &err));
        assert_false(file_map(paths[i], &mapped, &size, &err));
        assert_false(file_check(paths[i], &err));
    }
    alarm(0);
    assert_true(remove_tree(dir, &err));
}

// Half written files go, whatever lies beside them stays.
static void half_written_files_are_removed(void **state) {
    (void)state;
    char dir[] = "/tmp/tact-file-XXXXXX", path[128];
    static const char *const names[] = {"a/b.mp4.tmp.123", "a/b.mp4", "a/tmp", "c.tmp.9"};
    Error err;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    assert_true(make_dirs(path, &err));
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_true(file_write(path, "x", 1, &err));
    }
    remove_half_written(dir);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(access(path, F_OK) == 0, i == 1 || i == 2);
    }
    remove_half_written("/nowhere/at/all");
    assert_true(remove_tree(dir, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_path_parent),
                                       cmocka_unit_test(what_is_no_regular_file_is_refused),
                                       cmocka_unit_test(half_written_files_are_removed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
