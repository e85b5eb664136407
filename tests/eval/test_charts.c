// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "eval/html.h"
#include "eval/open_loop.h"
#include "eval/svg.h"
#include "formats/image_codec.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// What `write` puts out.
#define WRITTEN(text, write)                                                                       \
    char *text = NULL;                                                                             \
    do {                                                                                           \
        size_t size;                                                                               \
        FILE *out = open_memstream(&text, &size);                                                  \
        write;                                                                                     \
        fclose(out);                                                                               \
    } while (0)

static void escapes(const char *in, const char *wanted) {
    WRITTEN(text, html_text(out, in));
    assert_string_equal(text, wanted);
    free(text);
}

static void test_escaping(void **state) {
    (void)state;
    escapes("<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    escapes("Grün – 桃 🤖", "Grün – 桃 🤖");
    escapes("a\nb\x7f", "a\xef\xbf\xbd"
                        "b\xef\xbf\xbd");
    escapes("\xff\xc3(", "\xef\xbf\xbd\xef\xbf\xbd("); // no UTF-8
    escapes("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");   // cut short
    escapes("\xc0\xaf\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_base64(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}}; // RFC 4648, section 10
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        WRITTEN(text, html_base64(out, (const uint8_t *)pairs[i][0], strlen(pairs[i][0])));
        assert_string_equal(text, pairs[i][1]);
        free(text);
    }
}

static void number(double x, const char *wanted) {
    WRITTEN(text, html_number(out, x));
    assert_string_equal(text, wanted);
    free(text);
}

static void test_numbers(void **state) {
    (void)state;
    number(0, "0");
    number(3.14159, "3.14");
    number(31.4159, "31.4");
    number(314.159, "314");
    number(0.0314159, "0.0314");
    number(-2.5, "-2.50");
    number(1.5e-7, "1.50e-07");
    number(NAN, "–");
}

static void ticks(double low, double high, int most, int n, double first, double step,
                  int decimals) {
    double at[MOST_TICKS];
    int digits, got = svg_ticks((Range){low, high}, most, at, &digits);
    assert_int_equal(got, n);
    assert_int_equal(digits, decimals);
    for (int i = 0; i < n; i++)
        if (!(fabs(at[i] - (first + i * step)) <= 1e-9 * (fabs(first) + n * step)))
            fail_msg("tick %d of %g..%g is %g", i, low, high, at[i]);
}

static void test_ticks(void **state) {
    (void)state;
    ticks(0, 10, 6, 6, 0, 2, 0);
    ticks(0, 1, 6, 6, 0, 0.2, 1);
    ticks(-0.013, 0.021, 5, 4, -0.01, 0.01, 2);
    ticks(93, 1207, 6, 6, 200, 200, 0);
    ticks(0.1, 0.3, 6, 5, 0.1, 0.05, 2);
    // Whatever the range: some, not too many, all within, ascending.
    for (double length = 1e-6; length < 1e6; length *= 1.37)
        for (int most = 2; most <= MOST_TICKS; most++) {
            double at[MOST_TICKS], low = -0.37 * length;
            int digits, n = svg_ticks((Range){low, low + length}, most, at, &digits);
            assert_in_range(n, 1, most);
            for (int i = 0; i < n; i++) {
                assert_true(at[i] >= low - 1e-6 * length && at[i] <= low + 1.000001 * length);
                assert_true(i == 0 || at[i] > at[i - 1]);
            }
        }
    double at[MOST_TICKS];
    int digits;
    assert_int_equal(svg_ticks((Range){1, 1}, 5, at, &digits), 0);
    assert_int_equal(svg_ticks((Range){0, INFINITY}, 5, at, &digits), 0);
}

static void test_ranges(void **state) {
    (void)state;
    Range r = range_empty();
    range_add(&r, NAN);
    range_add(&r, INFINITY);
    r = range_padded(r, 0.1);
    assert_true(r.low == 0 && r.high == 1);
    r = range_empty();
    range_add(&r, 3);
    r = range_padded(r, 0.1);
    assert_true(r.low < 3 && r.high > 3);
    r = range_padded((Range){0, 10}, 0.1);
    assert_true(r.low == -1 && r.high == 11);
}

static void test_lines_break_at_nan(void **state) {
    (void)state;
    const double y[] = {0, 1, NAN, 1, 0};
    const double gone[] = {1, NAN};
    WRITTEN(text, {
        Chart c = chart_begin(out, (Range){0, 4}, (Range){0, 1}, "<label>", "s", false);
        chart_line(&c, 0, 1, y, 5, "line");
        chart_band(&c, 0, 1, gone, gone, 2, "band");
        chart_dot(&c, 0, NAN, 1, "dot");
        chart_end(&c);
    });
    const char *line = strstr(text, "class=\"line\" d=\"");
    assert_non_null(line);
    int moves = 0, draws = 0;
    for (const char *p = line + 16; *p != '"'; p++) moves += *p == 'M', draws += *p == 'L';
    assert_int_equal(moves, 2);
    assert_int_equal(draws, 2);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "class=\"dot\""));
    assert_non_null(strstr(text, "&lt;label&gt;"));
    free(text);
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

// JPEG gives back about the same picture.
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
        cmocka_unit_test(test_escaping), cmocka_unit_test(test_base64),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_ranges),   cmocka_unit_test(test_lines_break_at_nan),
        cmocka_unit_test(test_columns),  cmocka_unit_test(test_strides),
        cmocka_unit_test(test_jpeg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
