// SPDX-License-Identifier: Apache-2.0
// Vectors: tests/formats/data/image, with the script that made them.
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/image_codec.h"
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../ok.h"

#define DATA "tests/formats/data/image/"

enum { W = 20, H = 12 }; // of the vectors

static void decode(const char *path, Image *out) {
    Error err;
    char *bytes;
    size_t size;
    if (!file_read(path, &bytes, &size, &err) || !image_decode(bytes, size, path, out, &err))
        fail_msg("%s", err.text);
    mem_free(bytes);
}

// One line that names the file.
static void assert_refused(const void *bytes, size_t size) {
    Error err;
    Image image;
    if (image_decode(bytes, size, "camera.png", &image, &err))
        fail_msg("%zu bytes were accepted", size);
    assert_non_null(strstr(err.text, "camera.png"));
    assert_null(strchr(err.text, '\n'));
    assert_null(image.rgb);
}

static void expect_rgb(const Image *image, int y, int x, int r, int g, int b, int tolerance) {
    const uint8_t *p = image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    if (abs(p[0] - r) > tolerance || abs(p[1] - g) > tolerance || abs(p[2] - b) > tolerance)
        fail_msg("pixel (%d,%d) is %d %d %d, not %d %d %d", y, x, p[0], p[1], p[2], r, g, b);
}

// Chroma of half the size lies where it belongs up to the right and lower edge of an odd picture.
static void test_odd_sides(void **state) {
    (void)state;
    enum { ODD_W = 61, ODD_H = 45 };
    const double turn = 2 * 3.14159265358979 / 12;
    double off = 0;
    Image image;
    decode(DATA "odd_sides.jpg", &image);
    assert_true(image.width == ODD_W && image.height == ODD_H);
    for (int y = 0; y < ODD_H; y++)
        for (int x = 0; x < ODD_W; x++) {
            const uint8_t *p = image.rgb + (y * ODD_W + x) * 3;
            off += fabs(p[0] - (128 + 100 * sin(x * turn))) + fabs(p[1] - 100.0) +
                   fabs(p[2] - (128 + 100 * sin(y * turn)));
        }
    off /= 3 * ODD_W * ODD_H;
    if (!(off < 3)) fail_msg("%.2f of 255 off", off); // 2.3; stretched over the sides: 10.8
    image_free(&image);
}

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum { RGB, GREY, BITS, PALETTE } kind;
    } cases[] = {
        {"rgb.png", RGB},    {"rgba.png", RGB},          {"rgb16.png", RGB},
        {"rgba16.png", RGB}, {"grey.png", GREY},         {"grey_alpha.png", GREY},
        {"bits.png", BITS},  {"grey_alpha16.png", GREY}, {"palette.png", PALETTE},
        {"rgb.webp", RGB},   {"rgba.webp", RGB},
    };
    static const int palette[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {9, 99, 199}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        char path[128];
        snprintf(path, sizeof path, DATA "%s", cases[n].name);
        Image image;
        decode(path, &image);
        assert_int_equal(image.height, H);
        assert_int_equal(image.width, W);
        for (int y = 0; y < H; y++) {
            for (int x = 0; x < W; x++) {
                int k = y * W + x, grey = cases[n].kind == BITS ? 255 * (k / 3 % 2) : 12 * x + y;
                const int *p = palette[k / 7 % 4];
                if (cases[n].kind == RGB)
                    expect_rgb(&image, y, x, 10 * x, 20 * y, 5 * (x + y), 0);
                else if (cases[n].kind == PALETTE)
                    expect_rgb(&image, y, x, p[0], p[1], p[2], 0);
                else
                    expect_rgb(&image, y, x, grey, grey, grey, 0);
            }
        }
        image_free(&image);
    }
}

static void test_lossy(void **state) {
    (void)state;
    static const char *const names[] = {DATA "quadrants.jpg", DATA "quadrants_progressive.jpg",
                                        DATA "quadrants.webp"};
    for (int n = 0; n < 3; n++) {
        Image image;
        decode(names[n], &image);
        assert_int_equal(image.height, 32);
        assert_int_equal(image.width, 48);
        expect_rgb(&image, 5, 5, 200, 30, 40, 4);
        expect_rgb(&image, 5, 40, 20, 180, 60, 4);
        expect_rgb(&image, 28, 5, 30, 50, 220, 4);
        expect_rgb(&image, 28, 40, 128, 128, 128, 2);
        image_free(&image);
    }
    Image grey;
    decode(DATA "grey.jpg", &grey);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) expect_rgb(&grey, y, x, 12 * x + y, 12 * x + y, 12 * x + y, 5);
    image_free(&grey);
}

// Colours that change slowly. From 4:2:0 they come back only if chroma is interpolated along and
// between rows, from the middle of the four pixels that it stands for.
static void test_smooth_colours(void **state) {
    (void)state;
    enum { SIDE_H = 48, SIDE_W = 64 };
    Error err;
    Image in = {.height = SIDE_H, .width = SIDE_W}, out;
    uint8_t *jpeg;
    size_t size, bytes = SIDE_H * SIDE_W * 3;
    double sum = 0;
    in.rgb = mem_alloc(bytes);
    for (int i = 0; i < SIDE_H * SIDE_W * 3; i++) {
        int y = i / 3 / SIDE_W, x = i / 3 % SIDE_W, c = i % 3;
        in.rgb[i] = (uint8_t)lrint(128 + 100 * sin(x / 9.0 + c) * cos(y / 7.0 - c));
    }
    OK(image_encode_jpeg(&in, &jpeg, &size, &err));
    OK(image_decode(jpeg, size, "made", &out, &err));
    for (size_t i = 0; i < bytes; i++) sum += abs(in.rgb[i] - out.rgb[i]);
    if (!(sum / (double)bytes <= 2.6)) fail_msg("%.2f off in the mean", sum / (double)bytes);
    mem_free(jpeg);
    image_free(&in);
    image_free(&out);
}

static void test_cut_anywhere(void **state) {
    (void)state;
    static const char *const names[] = {DATA "rgb.png",        DATA "palette.png",
                                        DATA "quadrants.jpg",  DATA "quadrants_progressive.jpg",
                                        DATA "quadrants.webp", DATA "turned.webp"};
    for (int n = 0; n < 6; n++) {
        Error err;
        char *bytes;
        size_t size;
        assert_true(file_read(names[n], &bytes, &size, &err));
        for (size_t cut = 0; cut < size; cut++) {
            // The last four bytes of a PNG, the checksum of its empty end chunk, are needed as
            // well.
            char *part = malloc(cut ? cut : 1); // exact size, so that ASan sees a read beyond it
            memcpy(part, bytes, cut);
            assert_refused(part, cut);
            free(part);
        }
        mem_free(bytes);
    }
}

// A 16-bit grey PNG holds depths in millimetres, which as brightness would be a dark picture. An
// animation is more than one picture. Both are refused.
static void test_no_camera_picture(void **state) {
    (void)state;
    static const char *const cases[][2] = {{DATA "grey16.png", "depth"},
                                           {DATA "animation.webp", "animation"}};
    for (int n = 0; n < 2; n++) {
        Error err;
        Image image;
        char *bytes;
        size_t size;
        assert_true(file_read(cases[n][0], &bytes, &size, &err));
        assert_false(image_decode(bytes, size, "camera", &image, &err));
        assert_non_null(strstr(err.text, "camera: "));
        if (!strstr(err.text, cases[n][1])) fail_msg("%s", err.text);
        assert_null(image.rgb);
        mem_free(bytes);
    }
}

// EXIF data with nothing but an orientation, in either order of bytes.
static size_t exif(uint8_t out[26], int orientation, bool big) {
    const uint8_t little_end[26] = {
        'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, (uint8_t)orientation};
    const uint8_t big_end[26] = {'M', 'M',  0, 42, 0, 0, 0, 8, 0, 1,
                                 1,   0x12, 0, 3,  0, 0, 0, 1, 0, (uint8_t)orientation};
    memcpy(out, big ? big_end : little_end, 26);
    return 26;
}

static void put_big32(uint8_t *p, size_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

// Puts EXIF data into a PNG, behind its header chunk, or into a JPEG, behind its first marker.
static uint8_t *with_exif(const uint8_t *file, size_t *size, bool png, const uint8_t *data,
                          size_t n) {
    uint8_t *out = mem_alloc(*size + n + 12);
    size_t at = png ? 33 : 2, added;
    uint8_t *p = out + at;
    memcpy(out, file, at);
    if (png) {
        put_big32(p, n);
        memcpy(p + 4, "eXIf", 4);
        memcpy(p + 8, data, n);
        put_big32(p + 8 + n, crc32(0, p + 4, (uInt)(n + 4)));
        added = n + 12;
    } else {
        memcpy(p, "\xff\xe1\0\0Exif\0\0", 10);
        p[3] = (uint8_t)(n + 8);
        memcpy(p + 10, data, n);
        added = n + 10;
    }
    memcpy(out + at + added, file + at, *size - at);
    *size += added;
    return out;
}

// What the values of the tag mean by EXIF 2.3: at which side of the visible picture the first row
// and the first column of the stored picture are.
static const char *const sides[9] = {NULL,           "top left",     "top right",
                                     "bottom right", "bottom left",  "left top",
                                     "right top",    "right bottom", "left bottom"};

// The visible picture is (SEEN_H, SEEN_W): red says its row, green its column.
enum { SEEN_H = 32, SEEN_W = 48 };

static void seen_pixel(int y, int x, uint8_t *rgb) {
    rgb[0] = (uint8_t)(7 * y);
    rgb[1] = (uint8_t)(5 * x);
    rgb[2] = 90;
}

// Where on the visible picture a step of `n` from the side goes.
static void step_from(const char *side, int n, int *y, int *x) {
    if (strncmp(side, "top", 3) == 0) *y = n;
    if (strncmp(side, "bottom", 6) == 0) *y = SEEN_H - 1 - n;
    if (strncmp(side, "left", 4) == 0) *x = n;
    if (strncmp(side, "right", 5) == 0) *x = SEEN_W - 1 - n;
}

static Image stored_image(int orientation) {
    bool lying = orientation >= 5;
    Image in = {.height = lying ? SEEN_W : SEEN_H, .width = lying ? SEEN_H : SEEN_W};
    const char *rows = sides[orientation], *columns = strchr(rows, ' ') + 1;
    in.rgb = mem_alloc(SEEN_H * SEEN_W * 3);
    for (int r = 0; r < in.height; r++) {
        for (int c = 0; c < in.width; c++) {
            int y = -1, x = -1;
            step_from(rows, r, &y, &x);
            step_from(columns, c, &y, &x);
            seen_pixel(y, x, in.rgb + ((size_t)r * (size_t)in.width + (size_t)c) * 3);
        }
    }
    return in;
}

static void test_exif(void **state) {
    (void)state;
    for (int way = 0; way < 8 * 4; way++) {
        int orientation = way / 4 + 1;
        bool png = way & 1, big = way & 2;
        Error err;
        Image in = stored_image(orientation), out;
        uint8_t data[26], *file;
        size_t size;
        OK(png ? image_encode_png(&in, &file, &size, &err)
               : image_encode_jpeg(&in, &file, &size, &err));
        uint8_t *marked = with_exif(file, &size, png, data, exif(data, orientation, big));
        OK(image_decode(marked, size, "made", &out, &err));
        assert_int_equal(out.height, SEEN_H);
        assert_int_equal(out.width, SEEN_W);
        for (int y = 0; y < SEEN_H; y++) {
            for (int x = 0; x < SEEN_W; x++) {
                uint8_t p[3];
                seen_pixel(y, x, p);
                expect_rgb(&out, y, x, p[0], p[1], p[2], png ? 0 : 10);
            }
        }
        mem_free(file);
        mem_free(marked);
        image_free(&in);
        image_free(&out);
    }
    // Pillow's WebP, which is turned by 90 degrees: its first row becomes the last column.
    Image webp;
    decode(DATA "turned.webp", &webp);
    assert_int_equal(webp.height, W);
    assert_int_equal(webp.width, H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) expect_rgb(&webp, x, H - 1 - y, 10 * x, 20 * y, 5 * (x + y), 0);
    image_free(&webp);
}

// A value that is no orientation leaves the picture as it is, and nothing is read beyond the end of
// the data.
static void test_odd_exif(void **state) {
    (void)state;
    Error err;
    Image in = stored_image(1), out;
    uint8_t data[26], *file;
    size_t whole;
    OK(image_encode_png(&in, &file, &whole, &err));
    for (int n = 0; n < 26 + 26 * 3; n++) {
        size_t size = whole, length = n < 26 ? (size_t)n : exif(data, 6, n % 2);
        exif(data, 6, n % 2);
        if (n >= 26) data[(n - 26) / 3] = (uint8_t)(n % 3 ? 0xff : 0);
        uint8_t *marked = with_exif(file, &size, true, data, length);
        OK(image_decode(marked, size, "made", &out, &err));
        assert_int_equal(out.height * out.width, SEEN_H * SEEN_W);
        mem_free(marked);
        image_free(&out);
    }
    mem_free(file);
    image_free(&in);
}

static void test_damaged(void **state) {
    (void)state;
    Error err;
    char *bytes;
    size_t size;
    assert_refused("GIF89a, which is neither", 24);
    assert_true(file_read(DATA "rgb.png", &bytes, &size, &err));
    for (size_t at = 41; at < size - 12; at += 7) { // anywhere in the image data or its checksum
        bytes[at] ^= 0x10;
        assert_refused(bytes, size);
        bytes[at] ^= 0x10;
    }
    mem_free(bytes);
    // The chunks are right, but the image data has too few rows.
    assert_true(file_read(DATA "short.png", &bytes, &size, &err));
    assert_refused(bytes, size);
    mem_free(bytes);
}

static void test_png_round_trip(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 7}, {5, 1}, {31, 33}, {48, 64}};
    RngStream rng = {.key = {.seed = 5}};
    Error err;
    for (int n = 0; n < 5; n++) {
        Image in = {.height = sizes[n][0], .width = sizes[n][1]}, out;
        size_t bytes = (size_t)in.height * (size_t)in.width * 3, size;
        in.rgb = mem_alloc(bytes);
        for (size_t i = 0; i < bytes; i++) in.rgb[i] = (uint8_t)rng_next(&rng);
        uint8_t *png;
        assert_true(image_encode_png(&in, &png, &size, &err));
        assert_true(image_decode(png, size, "made", &out, &err));
        assert_int_equal(out.height, in.height);
        assert_int_equal(out.width, in.width);
        assert_memory_equal(out.rgb, in.rgb, bytes);
        mem_free(png);
        image_free(&in);
        image_free(&out);
    }
}

static void test_png_file(void **state) {
    (void)state;
    Error err;
    uint8_t pixels[2 * 2 * 3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    Image in = {2, 2, pixels}, out;
    char path[] = "/tmp/tact_image_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_true(image_write_png(path, &in, &err));
    decode(path, &out);
    assert_memory_equal(out.rgb, pixels, sizeof pixels);
    image_free(&out);
    unlink(path);
    assert_false(image_write_png("/no/such/folder/a.png", &in, &err));
    assert_non_null(strstr(err.text, "/no/such/folder/a.png"));
    in.width = 0;
    assert_false(image_write_png(path, &in, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_odd_sides),
        cmocka_unit_test(test_smooth_colours), cmocka_unit_test(test_lossy),
        cmocka_unit_test(test_cut_anywhere),   cmocka_unit_test(test_no_camera_picture),
        cmocka_unit_test(test_exif),           cmocka_unit_test(test_odd_exif),
        cmocka_unit_test(test_damaged),        cmocka_unit_test(test_png_round_trip),
        cmocka_unit_test(test_png_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
