// SPDX-License-Identifier: Apache-2.0
// json_parse takes what jansson's parser takes, gives the same values, and refuses the rest: on
// texts at every edge of the grammar, and on thousands that are a byte or two away from good ones.
#include "formats/json.h"

#include "base/rng.h"
#include <locale.h>
#include <string.h>

#include "../ok.h"

static void same_on(const char *text, size_t size, size_t flags) {
    json_error_t ours, theirs;
    json_t *got = json_parse(text, size, flags, &ours);
    json_t *want = json_loadb(text, size, flags, &theirs);
    if (!got != !want)
        fail_msg("%.*s: %s, jansson: %s", (int)size, text, got ? "taken" : ours.text,
                 want ? "taken" : theirs.text);
    if (got && !json_equal(got, want)) fail_msg("%.*s: other values", (int)size, text);
    if (!got) assert_false(json_lacked_memory(&ours));
    if (!got) assert_true(ours.line >= 1 && ours.position >= 0 && (size_t)ours.position <= size);
    json_decref(got);
    json_decref(want);
}

static void with_all_flags(const char *text, size_t size) {
    same_on(text, size, 0);
    same_on(text, size, JSON_REJECT_DUPLICATES);
    same_on(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY);
}

#define TEXT(literal)                                                                              \
    { literal, sizeof literal - 1 }
static const struct {
    const char *text;
    size_t size;
} texts[] = {
    TEXT("{}"),
    TEXT("[]"),
    TEXT(" \t\r\n[ ] \n"),
    TEXT(""),
    TEXT(" "),
    TEXT("{"),
    TEXT("["),
    TEXT("[1"),
    TEXT("[1,"),
    TEXT("[1,]"),
    TEXT("[,1]"),
    TEXT("[1 2]"),
    TEXT("[1}"),
    TEXT("]"),
    TEXT("[]]"),
    TEXT("{} x"),
    TEXT("[]\f"),
    TEXT("[]\0"),
    TEXT("[\"a\0b\"]"),
    TEXT("{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}"),
    TEXT("{\"a\" 1}"),
    TEXT("{\"a\":}"),
    TEXT("{a:1}"),
    TEXT("{\"a\":1,}"),
    TEXT("{\"a\":1,\"a\":2}"),
    TEXT("{\"a\":1,\"\\u0061\":2}"),
    TEXT("{\"\":0}"),
    TEXT("{1:2}"),
    TEXT("{\"a\":1 \"b\":2}"),
    TEXT("[0]"),
    TEXT("[-0]"),
    TEXT("[-0.0]"),
    TEXT("[-]"),
    TEXT("[+1]"),
    TEXT("[01]"),
    TEXT("[-01]"),
    TEXT("[1.]"),
    TEXT("[.5]"),
    TEXT("[1.5]"),
    TEXT("[1e5]"),
    TEXT("[1E+5]"),
    TEXT("[1e-5]"),
    TEXT("[1e]"),
    TEXT("[1e+]"),
    TEXT("[1.5e3x]"),
    TEXT("[0x10]"),
    TEXT("[9223372036854775807]"),
    TEXT("[9223372036854775808]"),
    TEXT("[-9223372036854775808]"),
    TEXT("[-9223372036854775809]"),
    TEXT("[123456789012345678901234567890]"),
    TEXT("[1.7976931348623157e308]"),
    TEXT("[1e309]"),
    TEXT("[-1e309]"),
    TEXT("[1e-400]"),
    TEXT("[4.9406564584124654e-324]"),
    TEXT("[0.1]"),
    TEXT("[0.1000000000000000055511151231257827021181583404541015625000000000000000000000000001]"),
    TEXT("[NaN]"),
    TEXT("[Infinity]"),
    TEXT("[true]"),
    TEXT("[True]"),
    TEXT("[tru]"),
    TEXT("[truee]"),
    TEXT("[null]"),
    TEXT("[nul]"),
    TEXT("[nulll]"),
    TEXT("[true1]"),
    TEXT("[\"\"]"),
    TEXT("[\"a"),
    TEXT("[\"a]"),
    TEXT("[\"\n\"]"),
    TEXT("[\"\t\"]"),
    TEXT("[\"\x7f\"]"),
    TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    TEXT("[\"\\x\"]"),
    TEXT("[\"\\\"]"),
    TEXT("[\"\\u00e9\\u20AC\"]"),
    TEXT("[\"\\u00g9\"]"),
    TEXT("[\"\\u00e\"]"),
    TEXT("[\"\\u\"]"),
    TEXT("[\"\\u0000\"]"),
    TEXT("[\"\\ud83d\\ude00\"]"),
    TEXT("[\"\\ud83d\"]"),
    TEXT("[\"\\ud83dx\"]"),
    TEXT("[\"\\ud83d\\n\"]"),
    TEXT("[\"\\ud83d\\u0041\"]"),
    TEXT("[\"\\ude00\"]"),
    TEXT("[\"\\udbff\\udfff\"]"),
    TEXT("[\"\xc3\xa9\xe2\x82\xac\"]"),
    TEXT("[\"\xf0\x9f\x98\x80\"]"),
    TEXT("[\"\xff\"]"),
    TEXT("[\"\x80\"]"),
    TEXT("[\"\xc3\"]"),
    TEXT("[\"\xc0\xaf\"]"),
    TEXT("[\"\xc1\xbf\"]"),
    TEXT("[\"\xe0\x9f\xbf\"]"),
    TEXT("[\"\xe0\xa0\x80\"]"),
    TEXT("[\"\xed\xa0\x80\"]"),
    TEXT("[\"\xed\x9f\xbf\"]"),
    TEXT("[\"\xf0\x8f\xbf\xbf\"]"),
    TEXT("[\"\xf0\x90\x80\x80\"]"),
    TEXT("[\"\xf4\x8f\xbf\xbf\"]"),
    TEXT("[\"\xf4\x90\x80\x80\"]"),
    TEXT("[\"\xf5\x80\x80\x80\"]"),
    TEXT("[\"\xe2\x82\"]"),
    TEXT("{\"\xff\":1}"),
    TEXT("\xef\xbb\xbf{}"),
    TEXT("5"),
    TEXT("\"a\""),
    TEXT("null"),
    TEXT("true false"),
    TEXT("-"),
    TEXT("// a\n{}"),
    TEXT("{\"a\":'b'}"),
};

static void every_edge(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        with_all_flags(texts[i].text, texts[i].size);
}

static void as_deep_as_jansson(void **state) {
    (void)state;
    static char text[2 * 2100];
    for (size_t depth = 2040; depth <= 2056; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        same_on(text, 2 * depth, 0);
    }
}

static void nearly_good_texts(void **state) {
    (void)state;
    enum { TIMES = 40000 };
    static const char bytes[] = "{}[]\",:\\u0123456789.eE+-tfn \n\xc3\xa9\xff";
    RngStream rng = {.key = {.seed = 5}};
    for (int n = 0; n < TIMES; n++) {
        double x[6];
        char text[256];
        rng_doubles(&rng, x, 6);
        size_t i = (size_t)(x[0] * (double)(sizeof texts / sizeof texts[0])), size = texts[i].size;
        memcpy(text, texts[i].text, size);
        for (int k = 0; k < 2 && size > 0; k++) {
            size_t at = (size_t)(x[1 + 2 * k] * (double)size);
            text[at] = bytes[(size_t)(x[2 + 2 * k] * (double)(sizeof bytes - 1))];
        }
        if (x[5] < 0.3 && size > 1) size--;
        if (memchr(text, 0, size)) continue; // jansson passes over zeros between values
        same_on(text, size, n % 2 ? JSON_REJECT_DUPLICATES : JSON_DECODE_ANY);
    }
}

// Where a program's numbers have another point than JSON's.
static void in_any_locale(void **state) {
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) skip();
    json_t *value = json_parse("[2.5]", 5, 0, NULL);
    setlocale(LC_NUMERIC, "C");
    assert_true(json_real_value(json_array_get(value, 0)) == 2.5);
    json_decref(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edge),
        cmocka_unit_test(as_deep_as_jansson),
        cmocka_unit_test(nearly_good_texts),
        cmocka_unit_test(in_any_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
