// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <stdlib.h>
#include <sys/stat.h>

#include "../scratch.h"
#include "base/memory.h"

#include "../ok.h"

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

static const char *in_folder(const char *name) {
    static char path[4][512];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void assert_says(const Error *err, const char *what) {
    if (!strstr(err->text, what)) fail_msg("\"%s\" does not say %s", err->text, what);
}

// A link to itself cannot be looked at, whoever asks: that is not the same as not there.
static void what_cannot_be_looked_at_is_no_absence(void **state) {
    (void)state;
    Error err;
    PathKind kind;
    DIR *dir;
    int64_t bytes;
    const char *loop = in_folder("loop");
    assert_int_equal(symlink("loop", loop), 0);
    assert_true(file_exists(loop) && dir_exists(loop));
    assert_false(path_look(loop, &kind, &err));
    assert_says(&err, loop);
    assert_says(&err, strerror(ELOOP));
    assert_false(dir_open(loop, &dir, &err));
    assert_says(&err, loop);
    assert_false(tree_bytes(in_folder("loop/x"), &bytes, &err));
    assert_false(remove_tree(in_folder("loop/x"), &err));
    OK(tree_bytes(folder, &bytes, &err)); // a link that leads nowhere takes nothing
    assert_int_equal(bytes, 0);
}

static void what_is_there_is_told(void **state) {
    (void)state;
    Error err;
    PathKind kind;
    DIR *dir;
    int64_t bytes;
    const char *file = in_folder("file"), *below = in_folder("file/below"), *no = in_folder("no");
    OK(file_write(file, "abc", 3, &err));
    OK(path_look(file, &kind, &err));
    assert_int_equal(kind, AT_FILE);
    OK(path_look(folder, &kind, &err));
    assert_int_equal(kind, AT_DIR);
    OK(path_look("/dev/null", &kind, &err));
    assert_int_equal(kind, AT_OTHER);
    assert_true(file_exists(file) && !dir_exists(file) && dir_exists(folder));
    assert_false(file_exists(below) || dir_exists(below) || file_exists(no) || dir_exists(no));
    OK(path_look(no, &kind, &err));
    assert_int_equal(kind, AT_NONE);
    OK(path_look(below, &kind, &err));
    assert_int_equal(kind, AT_NONE);
    OK(dir_open(no, &dir, &err));
    assert_null(dir);
    OK(tree_bytes(no, &bytes, &err));
    assert_int_equal(bytes, 0);
    OK(tree_bytes(folder, &bytes, &err));
    assert_int_equal(bytes, 3);
}

static void what_was_written_is_compared(void **state) {
    (void)state;
    Error err;
    InputFile f;
    AtomicFile a = {0};
    const char *path = in_folder("compared");
    static char data[100000];
    memset(data, 7, sizeof data);
    OK(file_write(path, data, sizeof data, &err));
    OK(input_open(&f, path, &err));
    OK(input_holds(&f, 0, data, sizeof data, &err));
    data[sizeof data - 1] = 8;
    assert_false(input_holds(&f, 0, data, sizeof data, &err));
    assert_says(&err, path);
    OK(input_holds(&f, 0, data, sizeof data - 1, &err));
    assert_false(input_holds(&f, 1, data, sizeof data - 1 + 1, &err)); // it is shorter
    input_close(&f);
    OK(atomic_open(&a, path, &err));
    fputs("what is in the stream's memory", a.stream);
    OK(atomic_look(&a, &f, &err));
    OK(input_holds(&f, 0, "what is in", 10, &err));
    input_close(&f);
    atomic_abort(&a);
    OK(remove_tree(path, &err));
}

// The limit of a file's size stands for a disk that is full.
static void a_full_disk_leaves_what_was_there(void **state) {
    (void)state;
    Error err;
    char *text;
    size_t size;
    const char *path = in_folder("full");
    const struct rlimit small = {10, RLIM_INFINITY};
    struct rlimit before;
    static char data[5000];
    OK(file_write(path, "old", 3, &err));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const bool written = file_write(path, data, sizeof data, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(written);
    assert_says(&err, path);
    OK(file_read(path, &text, &size, &err));
    assert_string_equal(text, "old");
    mem_free(text);
    int64_t bytes;
    OK(tree_bytes(folder, &bytes, &err));
    assert_int_equal(bytes, 3 + 3); // and nothing beside it
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_parent),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(half_written_files_are_removed),
        cmocka_unit_test(what_cannot_be_looked_at_is_no_absence),
        cmocka_unit_test(what_is_there_is_told),
        cmocka_unit_test(what_was_written_is_compared),
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
