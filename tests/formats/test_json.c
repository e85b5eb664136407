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

// Every byte that is no UTF-8 as Python's os.fsdecode and json.dumps(ensure_ascii=False) but for
// these have it.
static void bytes_as_python_escapes_them(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"caf\xe9", "\"caf\\udce9\""},
        {"\x80\xff", "\"\\udc80\\udcff\""},
        {"\xc3\xa9\xc3", "\"\xc3\xa9\\udcc3\""},
        {"\xe2\x82", "\"\\udce2\\udc82\""},                       // a character cut short
        {"\xc0\xaf", "\"\\udcc0\\udcaf\""},                       // spelled too long
        {"\xed\xb3\xa9", "\"\\udced\\udcb3\\udca9\""},            // a surrogate
        {"\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\""}, // beyond the last
        {"\xf0\x9f\x98\x80\xf0\x9f\x98", "\"\xf0\x9f\x98\x80\\udcf0\\udc9f\\udc98\""},
        {"\x01\x1f\b\f\n\r\t\"\\/\x7f", "\"\\u0001\\u001F\\b\\f\\n\\r\\t\\\"\\\\/\x7f\""},
        {"\\udce9", "\"\\\\udce9\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_text(json_bytes(cases[i].bytes), 0, cases[i].text);
        json_error_t problem;
        json_t *back = json_parse(cases[i].text, strlen(cases[i].text), JSON_DECODE_ANY, &problem);
        assert_non_null(back);
        assert_string_equal(json_string_value(back), cases[i].bytes);
        json_decref(back);
    }
    json_t *nothing = json_bytes(NULL);
    assert_true(json_is_null(nothing));
    json_decref(nothing);
}

// Every value of a byte, in strings and keys at every depth, and the order of keys.
static void bytes_there_and_back(void **state) {
    (void)state;
    char every[256];
    for (int i = 0; i < 255; i++) every[i] = (char)(i + 1);
    every[255] = 0;
    json_t *inner = json_object(), *tree = json_object(), *back;
    assert_int_equal(json_object_set_new_nocheck(inner, "z\xe9", json_bytes(every)), 0);
    assert_int_equal(json_object_set_new_nocheck(inner, "a\xe8", json_integer(1)), 0);
    assert_int_equal(json_object_set_new_nocheck(inner, "m", json_real(0.5)), 0);
    assert_int_equal(json_object_set_new_nocheck(tree, every, json_pack("[o,n]", inner)), 0);
    char *text = json_text(tree, 2);
    json_error_t problem;
    assert_null(strpbrk(text, "\xe9\xe8"));
    assert_non_null(back = json_parse(text, strlen(text), JSON_REJECT_DUPLICATES, &problem));
    assert_true(json_equal(tree, back));
    json_t *list = json_object_get(back, every);
    assert_string_equal(json_object_iter_key(json_object_iter(json_array_get(list, 0))), "z\xe9");
    json_decref(back);
    json_decref(tree);
    mem_free(text);
}

static void assert_parsed(const char *text, bool argument, const char *expected) {
    json_error_t problem;
    json_t *value = argument ? json_parse_argument(text, JSON_REJECT_DUPLICATES, &problem)
                             : json_parse(text, strlen(text), JSON_REJECT_DUPLICATES, &problem);
    if (!expected) {
        assert_null(value);
        assert_true(problem.text[0] != 0);
        return;
    }
    if (!value) fail_msg("%s: %s", text, problem.text);
    assert_text(value, 0, expected);
}

// What is an escape is decided as JSON does; characters for private use stay what they are.
static void what_is_a_byte(void **state) {
    (void)state;
    assert_parsed("[\"\\uDCE9\"]", false, "[\"\\udce9\"]");
    assert_parsed("[\"\\ud83d\\ude00\"]", false, "[\"\xf0\x9f\x98\x80\"]");
    assert_parsed("[\"\\ud83d\\udc80\\udc80\"]", false, "[\"\xf0\x9f\x92\x80\\udc80\"]");
    assert_parsed("[\"\\\\udce9\"]", false, "[\"\\\\udce9\"]");
    assert_parsed("[\"\\\\\\udce9\"]", false, "[\"\\\\\\udce9\"]");
    assert_parsed("[\"\\udce9\xf4\x80\x80\x80\\udbc0\\udc81\"]", false,
                  "[\"\\udce9\xf4\x80\x80\x80\xf4\x80\x82\x81\"]");
    assert_parsed("{\"\\udce9\": 1, \"\\uDCE9\": 2}", false, NULL); // one key twice
    assert_parsed("[{\"\\udcc3\\udca9\": 1, \"\xc3\xa9\": 2}]", false, NULL);
    static const char *const refused[] = {"[\"\\udc7f\"]",       "[\"\\udd00\"]", "[\"\\ud83d\"]",
                                          "[\"\\udce\"]",        "[\\udce9]",     "[\"\\udce9",
                                          "[\"\\u0000\\udce9\"]"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_parsed(refused[i], false, NULL);
        assert_parsed(refused[i], true, NULL);
    }
    assert_parsed("[\"caf\xe9\"]", false, NULL); // a file of JSON is UTF-8
    assert_parsed("{\"caf\xe9\": \"\xe8\\udce9\"}", true, "{\"caf\\udce9\": \"\\udce8\\udce9\"}");
    assert_parsed("{\"caf\xe9\": 1, \"caf\\udce9\": 1}", true, NULL);
    assert_parsed("[\xe9]", true, NULL);
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
        cmocka_unit_test(bytes_as_python_escapes_them),
        cmocka_unit_test(bytes_there_and_back),
        cmocka_unit_test(what_is_a_byte),
        cmocka_unit_test(files),
        cmocka_unit_test(files_of_a_folder),
        cmocka_unit_test(what_cannot_be_made_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
