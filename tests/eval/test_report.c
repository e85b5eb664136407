// SPDX-License-Identifier: Apache-2.0
#include "../scratch.h"
#include "base/memory.h"
#include "eval/describe.h"
#include "eval/open_loop.h"
#include "eval/report.h"
#include "eval/training_log.h"
#include "formats/image_codec.h"
#include "report/jpeg_url.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const hostile[] = {
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a<b>&'c\"\\",
    "Grün – 桃 🤖",
    "\xe2\x80\xa8",
    "@JSON@",
    "\\u003c/script>",
    "",
};
enum { HOSTILE = sizeof hostile / sizeof hostile[0] };

static json_t *hostile_json(void) {
    json_t *names = json_array(), *object = json_object();
    for (size_t i = 0; i < HOSTILE; i++) {
        json_array_append_new(names, json_string(hostile[i]));
        json_object_set_new(object, hostile[i], json_real(0.1 * (double)i));
    }
    return json_pack("{s:o, s:o, s:n}", "names", names, "numbers", object, "none");
}

// The text of the element that holds a page's numbers, which ends where a browser finds its end;
// *end is what follows.
static char *page_data(const char *page, const char **end) {
    static const char head[] = "<script type=\"application/json\" id=\"eval\">";
    const char *from = strstr(page, head);
    assert_non_null(from);
    from += strlen(head);
    *end = strstr(from, "</script");
    assert_non_null(*end);
    return strndup(from, (size_t)(*end - from));
}

// The page holds the numbers, whatever names are in them, and the figures beside them.
static void test_page_has_the_numbers(void **state) {
    (void)state;
    Error err;
    char path[300], *page;
    size_t size;
    json_t *eval = hostile_json(), *figures = hostile_json();
    snprintf(path, sizeof path, "%s/report.html", folder);
    assert_true(report_write(path, eval, figures, &err));
    assert_null(json_object_get(eval, "figures")); // the caller's stays as it was
    assert_true(file_read(path, &page, &size, &err));
    const char *end;
    char *text = page_data(page, &end);
    assert_null(strchr(text, '<'));
    json_t *got = json_loads(text, 0, NULL), *beside = json_incref(json_object_get(got, "figures"));
    assert_non_null(got);
    assert_true(json_equal(beside, figures));
    json_object_del(got, "figures");
    assert_true(json_equal(got, eval));
    // The rest of the page follows.
    assert_non_null(strstr(end, "<script>\n\"use strict\";"));
    assert_string_equal(page + size - 15, "</body></html>\n");
    free(text);
    mem_free(page);
    json_decref(got);
    json_decref(beside);
    json_decref(eval);
    json_decref(figures);
}

static void test_page_needs_nothing_else(void **state) {
    (void)state;
    Error err;
    char path[300], *page;
    size_t size;
    json_t *eval = json_object();
    snprintf(path, sizeof path, "%s/alone.html", folder);
    assert_true(report_write(path, eval, NULL, &err));
    assert_true(file_read(path, &page, &size, &err));
    static const char *const never[] = {"https:",    "@import", "@JSON@",         "innerHTML",
                                        "outerHTML", "eval(",   "insertAdjacent", "document.write",
                                        "<link",     "fetch(",  "<script src"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (strstr(page, never[i])) fail_msg("the page has %s", never[i]);
    assert_non_null(strstr(page, "id=\"eval\">{}</script>"));
    mem_free(page);
    json_decref(eval);
    snprintf(path, sizeof path, "%s/no/such/folder.html", folder);
    eval = json_object();
    assert_false(report_write(path, eval, NULL, &err));
    json_decref(eval);
}

static void test_jpeg_url(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}}; // RFC 4648, section 10
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char wanted[64], *url = jpeg_url((const uint8_t *)pairs[i][0], strlen(pairs[i][0]));
        snprintf(wanted, sizeof wanted, "data:image/jpeg;base64,%s", pairs[i][1]);
        assert_string_equal(url, wanted);
        mem_free(url);
    }
}

static void test_descriptions(void **state) {
    (void)state;
    json_t *path = describe_path("/gr\xfc"
                                 "n/a"),
           *none = describe_number(NAN);
    assert_string_equal(json_string_value(path), "/gr\xfc"
                                                 "n/a");
    assert_true(json_is_null(none));
    json_decref(path);
    json_decref(none);
    path = describe_path("/grün");
    assert_string_equal(json_string_value(path), "/grün");
    json_decref(path);
    none = describe_number(-INFINITY);
    assert_true(json_is_null(none));
    json_decref(none);
}

// Writes RUN/metrics.jsonl and gives what training_log_add makes of it.
static json_t *log_of(const char *text) {
    Error err;
    char path[400], dir[300];
    snprintf(dir, sizeof dir, "%s/run/checkpoints/000004/pretrained_model", folder);
    snprintf(path, sizeof path, "%s/run/metrics.jsonl", folder);
    assert_true(make_dirs(dir, &err));
    assert_true(file_write(path, text, strlen(text), &err));
    json_t *figures = json_object();
    training_log_add(dir, figures);
    return figures;
}

static void test_training_log(void **state) {
    (void)state;
    json_t *figures = log_of("{\"step\": 2, \"l1_loss\": 0.5, \"lr\": 1.0}\n"
                             "{\"step\": 2, \"eval_loss\": 0.75}\n"
                             "{\"step\": 4, \"l1_loss\": 0.25}\n{\"step\": 4, \"l1_lo");
    json_t *wanted = json_pack("{s:{s:[[i,f],[i,f]], s:[[i,f]]}}", "training_log", "l1_loss", 2,
                               0.5, 4, 0.25, "eval_loss", 2, 0.75);
    assert_true(json_equal(figures, wanted));
    json_decref(figures);
    json_decref(wanted);
    // A long curve is thinned, and its last point stays.
    enum { LINES = 5000 };
    char *text = mem_alloc(LINES * 40), *to = text;
    for (int i = 1; i <= LINES; i++)
        to += sprintf(to, "{\"step\": %d, \"l1_loss\": 1.%d}\n", i, 10 + i * 7 % 80);
    figures = log_of(text);
    const json_t *curve = json_object_get(json_object_get(figures, "training_log"), "l1_loss");
    size_t n = json_array_size(curve);
    assert_in_range(n, 400, 900);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(curve, n - 1), 0)), LINES);
    json_decref(figures);
    mem_free(text);
    // A policy that lies outside of a run has none.
    figures = json_object();
    training_log_add(folder, figures);
    assert_int_equal(json_object_size(figures), 0);
    json_decref(figures);
}

static void test_columns(void **state) {
    (void)state;
    int steps[EVAL_COLUMNS];
    assert_int_equal(eval_columns(100, 30, steps), 6);
    const int wanted[] = {3, 6, 15, 30, 60, 99};
    assert_memory_equal(steps, wanted, sizeof wanted);
    assert_int_equal(eval_columns(1, 30, steps), 1);
    assert_int_equal(steps[0], 0);
    assert_int_equal(eval_columns(8, 10, steps), 4); // 0.1, 0.2, 0.5 s and the last, 0.7
    assert_int_equal(steps[3], 7);
}

static void test_strides(void **state) {
    (void)state;
    assert_int_equal(eval_default_stride(100, 30), 1); // too few frames for 200 windows
    assert_int_equal(eval_default_stride(2238, 30), 11);
    assert_int_equal(eval_default_stride(30000, 30), 15);    // half a second
    assert_int_equal(eval_default_stride(1000000, 30), 200); // at most 5000 windows
    assert_int_equal(eval_default_stride(1000, 0), 1);
}

// A JPEG gives back nearly the same picture.
static void test_jpeg(void **state) {
    (void)state;
    Error err;
    enum { H = 33, W = 50 };
    Image in = {H, W, mem_alloc(H * W * 3)}, out;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *p = in.rgb + (y * W + x) * 3;
            p[0] = (uint8_t)(4 * x), p[1] = (uint8_t)(6 * y), p[2] = 120;
        }
    uint8_t *bytes;
    size_t size;
    assert_true(image_encode_jpeg(&in, &bytes, &size, &err));
    assert_true(image_decode(bytes, size, "test", &out, &err));
    assert_int_equal(out.height, H);
    assert_int_equal(out.width, W);
    double sum = 0;
    for (int i = 0; i < H * W * 3; i++) sum += abs(out.rgb[i] - in.rgb[i]);
    assert_true(sum / (H * W * 3) < 3);
    image_free(&out);
    mem_free(bytes);
    in.width = 0;
    assert_false(image_encode_jpeg(&in, &bytes, &size, &err));
    image_free(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_has_the_numbers),
        cmocka_unit_test(test_page_needs_nothing_else),
        cmocka_unit_test(test_jpeg_url),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_training_log),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_strides),
        cmocka_unit_test(test_jpeg),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
