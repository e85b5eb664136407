// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_text(json_t *value, int indent, const char *expected) {
    char *text = json_text(value, indent);
    assert_string_equal(text, expected);
    mem_free(text);
    json_decref(value);
}

static void numbers_as_python_spells_them(void **state) {
    (void)state;
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        {1e-5, "1e-05"},
        {1e-4, "0.0001"},
        {10, "10.0"},
        {1e-8, "1e-08"},
        {0.1, "0.1"},
        {1e16, "1e+16"},
        {1e15, "1000000000000000.0"},
        {0, "0.0"},
        {-0.0, "-0.0"},
        {-2.5, "-2.5"},
        {1.0 / 3, "0.3333333333333333"},
        {0.999, "0.999"},
        {1.5e-7, "1.5e-07"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5e-324, "5e-324"},
        {123456.789, "123456.789"},
        {9007199254740993.0, "9007199254740992.0"},
        {100, "100.0"},
        {0.00012345, "0.00012345"},
        {1e22, "1e+22"},
        {0.1 + 0.2, "0.30000000000000004"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_text(json_real(cases[i].x), 0, cases[i].text);
    assert_text(json_integer(9007199254740993), 0, "9007199254740993");
    assert_text(json_integer(-3), 4, "-3");
}

static void layout(void **state) {
    (void)state;
    assert_text(
        json_pack("{s:i, s:[f,b,n], s:{}, s:[], s:{s:s}}", "z", 1, "a", 1.0, 1, "o", "l", "s", "k",
                  "v/ü\"\n"),
        4,
        "{\n    \"z\": 1,\n    \"a\": [\n        1.0,\n        true,\n        null\n    ],\n"
        "    \"o\": {},\n    \"l\": [],\n    \"s\": {\n        \"k\": \"v/ü\\\"\\n\"\n    }\n}");
    assert_text(json_pack("{s:[i,i], s:s}", "b", 1, 2, "a", "x"), 0,
                "{\"b\": [1, 2], \"a\": \"x\"}");
}

static void files(void **state) {
    (void)state;
    char path[] = "/tmp/tact-json-XXXXXX";
    close(mkstemp(path));
    Error err;
    json_t *value = json_pack("{s:f, s:i, s:[s,s]}", "zeta", 1e-5, "alpha", 3, "list", "a", "b");
    assert_true(json_write(path, value, 2, &err));
    json_t *back = NULL;
    assert_true(json_read(path, &back, &err));
    assert_true(json_equal(value, back));
    assert_string_equal(json_object_iter_key(json_object_iter(back)), "zeta");
    assert_true(json_is_integer(json_object_get(back, "alpha")));
    json_decref(back);
    json_decref(value);

    static const char *const bad[] = {"", "{\"a\": 1", "{\"a\": 1, \"a\": 2}", "{} x",
                                      "{\"a\": \"\xff\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(file_write(path, bad[i], strlen(bad[i]), &err));
        assert_false(json_read(path, &back, &err));
        assert_non_null(strstr(err.text, path));
        assert_non_null(strstr(err.text, "not valid JSON: line 1"));
    }
    unlink(path);
    assert_false(json_read(path, &back, &err));
    assert_non_null(strstr(err.text, path));
}

static void files_of_a_folder(void **state) {
    (void)state;
    char dir[] = "/tmp/tact-json-XXXXXX", path[64];
    Error err;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.json", dir);
    assert_null(json_read_optional(dir, "a.json"));
    assert_true(json_write_new(dir, "a.json", json_pack("{s:i}", "a", 1), &err));
    json_t *value = json_read_optional(dir, "a.json");
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 1);
    json_decref(value);
    char *text;
    size_t size;
    assert_true(file_read(path, &text, &size, &err));
    assert_string_equal(text, "{\n    \"a\": 1\n}");
    mem_free(text);
    assert_true(file_write(path, "{", 1, &err));
    assert_null(json_read_optional(dir, "a.json"));
    assert_true(remove_tree(dir, &err));
    assert_false(json_write_new(dir, "a.json", json_object(), &err)); // and frees the value
}

static void assert_refused(const char *dir, json_t *value, const char *key) {
    char path[64];
    Error err;
    snprintf(path, sizeof path, "%s/a.json", dir);
    assert_false(json_write(path, value, 4, &err));
    if (!strstr(err.text, path) || !strstr(err.text, key)) fail_msg("%s", err.text);
    assert_false(file_exists(path));
    json_decref(value);
}

// What has no form in JSON is missed, not left out.
static void what_cannot_be_made_is_refused(void **state) {
    (void)state;
    char dir[] = "/tmp/tact-json-XXXXXX";
    Error err;
    assert_non_null(mkdtemp(dir));
    json_t *o = json_object();
    json_object_set_new(o, "there", json_real(1));
    json_object_set_new(o, "loss", json_real(NAN));
    assert_refused(dir, json_pack("[i, {s:o}]", 1, "inside", o), "\"loss\"");
    o = json_object();
    json_object_set_new(o, "root", json_string("caf\xe9"));
    assert_refused(dir, o, "\"root\"");
    o = json_object();
    json_object_set_new(o, "range", json_pack("[f, f]", 0.0, (double)INFINITY));
    assert_refused(dir, o, "\"range\"");
    o = json_object();
    json_object_set_new(o, "caf\xe9", json_integer(1));
    assert_refused(dir, o, "caf");
    json_t *list = json_array();
    json_array_append_new(list, json_real(NAN));
    assert_refused(dir, list, "not finite");
    o = json_pack("{s:s, s:n}", "cafe", "caf\xc3\xa9", "null");
    assert_true(json_write_new(dir, "a.json", o, &err));
    assert_true(remove_tree(dir, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_as_python_spells_them),
        cmocka_unit_test(layout),
        cmocka_unit_test(files),
        cmocka_unit_test(files_of_a_folder),
        cmocka_unit_test(what_cannot_be_made_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
