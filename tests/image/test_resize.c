// SPDX-License-Identifier: Apache-2.0
#include "base/center.h"
#include "base/rng.h"
#include "image/image.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// The definition in image.h, in floating point and pixel by pixel.
static double weight(ImageFilter filter, int in, int out, int i, int j) {
    if (in == out) return i == j;
    if (out < in && filter == IMAGE_BILINEAR) {
        double reach = (double)in / out, centre = (i + 0.5) * reach, sum = 0;
        for (int k = 0; k < in; k++) sum += fmax(0, 1 - fabs(k + 0.5 - centre) / reach);
        return fmax(0, 1 - fabs(j + 0.5 - centre) / reach) / sum;
    }
    if (out < in) {
        double from = fmax((double)i * in / out, j), to = fmin((double)(i + 1) * in / out, j + 1);
        return fmax(to - from, 0) * out / in;
    }
    double x = (i + 0.5) * in / out - 0.5;
    x = fmin(fmax(x, 0), in - 1);
    return fmax(0, 1 - fabs(x - j));
}

static void test_resize_definition(void **state) {
    (void)state;
    static const int cases[][4] = {{4, 6, 2, 3},  {7, 9, 3, 5},  {5, 4, 11, 9},
                                   {8, 5, 3, 12}, {6, 6, 6, 3},  {9, 1, 4, 6},
                                   {1, 1, 3, 4},  {12, 9, 4, 3}, {6, 5, 6, 5}};
    RngStream rng = {.key = {.seed = 9}};
    for (int n = 0; n < 9; n++) {
        int h = cases[n][0], w = cases[n][1], oh = cases[n][2], ow = cases[n][3];
        uint8_t *in = malloc((size_t)(h * w * 3)), *out = malloc((size_t)(oh * ow * 3));
        void *scratch = malloc(image_resize_scratch(h, w, oh, ow));
        for (int i = 0; i < h * w * 3; i++) in[i] = (uint8_t)rng_next(&rng);
        size_t row = (size_t)w * 3, stride = row + 5; // nothing behind the last row
        uint8_t *apart = malloc(stride * (size_t)(h - 1) + row);
        memset(apart, 0xff, stride * (size_t)(h - 1) + row);
        for (int y = 0; y < h; y++) memcpy(apart + (size_t)y * stride, in + (size_t)y * row, row);
        for (int way = 0; way < 4; way++) {
            const ImageFilter filter = way == 3 ? IMAGE_BILINEAR : IMAGE_AREA;
            const ImageFit whole = {
                .height = oh, .width = ow, .filter = filter, .rows = oh, .columns = ow};
            memset(out, 0xee, (size_t)(oh * ow * 3));
            if (way >= 2)
                image_fit(out, &whole, apart, stride, h, w, scratch);
            else
                image_resize(out, oh, ow, in, h, w, way ? NULL : scratch);
            for (int i = 0; i < oh * ow * 3; i++) {
                int y = i / (ow * 3), x = i / 3 % ow, c = i % 3;
                double sum = 0;
                for (int j = 0; j < h; j++)
                    for (int k = 0; k < w; k++)
                        sum += weight(filter, h, oh, y, j) * weight(filter, w, ow, x, k) *
                               in[(j * w + k) * 3 + c];
                if (!(fabs(out[i] - sum) <= 0.5 + 1e-9))
                    fail_msg("case %d, way %d, (%d,%d,%d): %d, not %.4f", n, way, y, x, c, out[i],
                             sum);
            }
        }
        free(in);
        free(apart);
        free(out);
        free(scratch);
    }
}

static void test_resize_known(void **state) {
    (void)state;
    // Two rows of two pixels become one pixel: their mean, where halves are rounded up.
    const uint8_t four[12] = {0, 10, 1, 0, 20, 1, 1, 30, 1, 1, 41, 2};
    uint8_t one[3];
    image_resize(one, 1, 1, four, 2, 2, NULL);
    assert_int_equal(one[0], 1);  // 0.5
    assert_int_equal(one[1], 25); // 25.25
    assert_int_equal(one[2], 1);  // 1.25
    // Two pixels become four, whose centres lie at -0.25, 0.25, 0.75 and 1.25 of the input.
    const uint8_t two[6] = {0, 100, 7, 80, 0, 7};
    const uint8_t expected[12] = {0, 100, 7, 20, 75, 7, 60, 25, 7, 80, 0, 7};
    uint8_t wide[12];
    image_resize(wide, 1, 4, two, 1, 2, NULL);
    assert_memory_equal(wide, expected, 12);
}

static void test_resize_constant(void **state) {
    (void)state;
    enum { IN_H = 96, IN_W = 128 };
    static const int sizes[][2] = {{224, 224}, {31, 57}, {95, 129}, {1, 1}, {48, 64}};
    uint8_t *in = malloc(IN_H * IN_W * 3), *out = malloc(224 * 224 * 3);
    for (int value = 0; value < 256; value += 51) {
        memset(in, value, IN_H * IN_W * 3);
        for (int n = 0; n < 5; n++) {
            image_resize(out, sizes[n][0], sizes[n][1], in, IN_H, IN_W, NULL);
            for (int i = 0; i < sizes[n][0] * sizes[n][1] * 3; i++)
                if (out[i] != value) fail_msg("%d became %d", value, out[i]);
        }
    }
    free(in);
    free(out);
}

// What is cut out is what the whole has there, resized or not.
static void test_a_part_is_of_the_whole(void **state) {
    (void)state;
    enum { H = 23, W = 31 };
    static const int sizes[][2] = {{9, 13}, {23, 31}, {40, 50}, {23, 17}};
    uint8_t in[H * W * 3], whole[40 * 50 * 3], part[40 * 50 * 3];
    RngStream rng = {.key = {.seed = 4}};
    for (int i = 0; i < H * W * 3; i++) in[i] = (uint8_t)rng_next(&rng);
    for (int n = 0; n < 8; n++) {
        const int h = sizes[n / 2][0], w = sizes[n / 2][1];
        const ImageFilter filter = n % 2 ? IMAGE_BILINEAR : IMAGE_AREA;
        ImageFit fit = {.height = h, .width = w, .filter = filter, .rows = h, .columns = w};
        image_fit(whole, &fit, in, W * 3, H, W, NULL);
        fit.top = 2, fit.left = 5, fit.rows = h - 3, fit.columns = w - 6;
        memset(part, 0xee, sizeof part);
        image_fit(part, &fit, in, W * 3, H, W, NULL);
        const size_t row = (size_t)fit.columns * 3;
        for (int y = 0; y < fit.rows; y++)
            assert_memory_equal(part + (size_t)y * row, whole + ((y + 2) * w + 5) * 3, row);
        assert_int_equal(part[(size_t)fit.rows * row], 0xee);
    }
}

// torchvision 0.26: 255 resize(image / 255, [2, 3]).
static void test_torchvisions_filter(void **state) {
    (void)state;
    enum { H = 4, W = 8 };
    static const double wanted[] = {55.8797, 115.3333, 104.3609, 90.9774, 110.2075, 111.2105};
    uint8_t in[H * W * 3], out[2 * 3 * 3];
    for (int i = 0; i < H * W * 3; i++) {
        const int y = i / 3 / W, x = i / 3 % W;
        in[i] = (uint8_t)((37 * y * y + 91 * y * x + 5 * x * x * x) % 256);
    }
    const ImageFit fit = {
        .height = 2, .width = 3, .filter = IMAGE_BILINEAR, .rows = 2, .columns = 3};
    image_fit(out, &fit, in, W * 3, H, W, NULL);
    for (int i = 0; i < 2 * 3 * 3; i++)
        if (!(fabs(out[i] - wanted[i / 3]) <= 0.5 + 1e-3))
            fail_msg("%d: %d, not %.4f", i, out[i], wanted[i / 3]);
}

// torchvision's center_crop: int(round((whole - part) / 2)), which Python rounds to even.
static void test_the_middle(void **state) {
    (void)state;
    static const int begins[] = {0, 0, 1, 2, 2, 2, 3, 4, 4, 4};
    for (int rest = 0; rest < 10; rest++)
        assert_int_equal(center_start(84 + rest, 84), begins[rest]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize_definition),   cmocka_unit_test(test_resize_known),
        cmocka_unit_test(test_resize_constant),     cmocka_unit_test(test_a_part_is_of_the_whole),
        cmocka_unit_test(test_torchvisions_filter), cmocka_unit_test(test_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
