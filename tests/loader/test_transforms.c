// SPDX-License-Identifier: Apache-2.0
// Augmentation: each transform against torchvision's values (make_transforms.py), and what is
// drawn.
#include "formats/safetensors.h"
#include "loader/image_transforms.h"

#include "../dataset/fixture.h"

static Safetensors *golden;

static const SafetensorsEntry *entry(const char *name) {
    const SafetensorsEntry *e = safetensors_find(golden, name);
    assert_non_null(e);
    return e;
}

// Tolerance: 1 level, where float32 arithmetic in another order crosses a whole number.
static void assert_close(const uint8_t *got, const uint8_t *want, size_t n, const char *what,
                         double factor) {
    size_t off = 0;
    for (size_t i = 0; i < n; i++) {
        int difference = abs((int)got[i] - (int)want[i]);
        if (difference > 1)
            fail_msg("%s by %g: value %zu is %d, torchvision's is %d", what, factor, i, got[i],
                     want[i]);
        off += difference == 1;
    }
    // Rounding differences are rare; a formula that rounds otherwise is off by one nearly
    // everywhere.
    if (off * 50 > n) fail_msg("%s by %g: %zu of %zu values are off by 1", what, factor, off, n);
}

static void check(const char *name, TransformKind kind) {
    char factors_name[64];
    snprintf(factors_name, sizeof factors_name, "%s.factors", name);
    const SafetensorsEntry *image = entry("image"), *want = entry(name),
                           *factors = entry(factors_name);
    int height = (int)image->shape[0], width = (int)image->shape[1];
    size_t n = (size_t)image->count;
    int64_t cases = want->shape[0], values = factors->count / cases;
    uint8_t *rgb = NEW(uint8_t, n), *scratch = NEW(uint8_t, n);
    assert_int_equal(want->count, image->count * cases);
    for (int64_t i = 0; i < cases; i++) {
        DrawnTransform t = {.kind = kind, .factor = safetensors_value(factors, i * values)};
        if (values == 3) {
            t.dx = (int)safetensors_value(factors, i * values + 1);
            t.dy = (int)safetensors_value(factors, i * values + 2);
        }
        memcpy(rgb, image->data, n);
        image_transform_apply(&t, rgb, height, width, scratch);
        assert_close(rgb, (const uint8_t *)want->data + (size_t)i * n, n, name, t.factor);
    }
    mem_free(rgb), mem_free(scratch);
}

static void brightness(void **s) {
    (void)s;
    check("brightness", TRANSFORM_BRIGHTNESS);
}
static void contrast(void **s) {
    (void)s;
    check("contrast", TRANSFORM_CONTRAST);
}
static void saturation(void **s) {
    (void)s;
    check("saturation", TRANSFORM_SATURATION);
}
static void hue(void **s) {
    (void)s;
    check("hue", TRANSFORM_HUE);
}
static void sharpness(void **s) {
    (void)s;
    check("sharpness", TRANSFORM_SHARPNESS);
}
static void affine(void **s) {
    (void)s;
    check("affine", TRANSFORM_AFFINE);
}

// Frames of one or two pixels a side.
static void tiny_frames(void **state) {
    (void)state;
    for (int h = 1; h <= 3; h++)
        for (int w = 1; w <= 3; w++)
            for (int kind = TRANSFORM_IDENTITY; kind <= TRANSFORM_AFFINE; kind++) {
                size_t n = (size_t)h * (size_t)w * 3;
                uint8_t rgb[28], scratch[28];
                memset(rgb, 77, sizeof rgb);
                memset(scratch, 99, sizeof scratch);
                const DrawnTransform t = {.kind = kind, .factor = 0.4};
                image_transform_apply(&t, rgb, h, w, scratch);
                assert_true(rgb[n] == 77 && scratch[n] == 99);
            }
}

// ---- drawing ----------------------------------------------------------------------------------

enum { H = 240, W = 320, DRAWS = 6000 };

static void draws_are_lerobots(void **state) {
    (void)state;
    int seen[7] = {0};
    double sum[7] = {0};
    ImageTransforms t;
    image_transforms_default(&t);
    t.seed = 5;
    for (int row = 0; row < DRAWS; row++) {
        DrawnTransform d[MAX_IMAGE_TRANSFORMS];
        assert_int_equal(image_transforms_draw(&t, 3, row, 0, H, W, d), 3);
        for (int i = 0; i < 3; i++) {
            if (i) assert_true(d[i].kind > d[i - 1].kind); // the list's order, none twice
            const ImageTransform *of = &t.list[d[i].kind - 1];
            assert_true(d[i].factor >= of->low && d[i].factor <= of->high);
            assert_true(abs(d[i].dx) <= 16 && abs(d[i].dy) <= 12);
            seen[d[i].kind]++;
            sum[d[i].kind] += (d[i].factor - of->low) / (of->high - of->low);
        }
    }
    for (int k = 1; k <= 6; k++) { // half of the samples get each; deviations of 5 sigma
        assert_within(seen[k], DRAWS / 2.0, 5 * sqrt(DRAWS / 4.0));
        assert_within(sum[k] / seen[k], 0.5, 5 * sqrt(1.0 / 12 / seen[k]));
    }
}

static void draws_depend_on_seed_epoch_row_and_camera(void **state) {
    (void)state;
    ImageTransforms t, other;
    DrawnTransform a[MAX_IMAGE_TRANSFORMS], b[MAX_IMAGE_TRANSFORMS];
    image_transforms_default(&t);
    t.seed = 5;
    other = t;
    other.seed = 6;
    image_transforms_draw(&t, 3, 10, 1, H, W, a);
    const struct {
        const ImageTransforms *t;
        int64_t epoch, row;
        int camera;
        bool same;
    } cases[] = {{&t, 3, 10, 1, true},
                 {&other, 3, 10, 1, false},
                 {&t, 4, 10, 1, false},
                 {&t, 3, 11, 1, false},
                 {&t, 3, 10, 0, false}};
    for (int i = 0; i < 5; i++) {
        image_transforms_draw(cases[i].t, cases[i].epoch, cases[i].row, cases[i].camera, H, W, b);
        bool same = true;
        for (int k = 0; k < 3; k++)
            same = same && a[k].kind == b[k].kind && a[k].factor == b[k].factor;
        assert_true(same == cases[i].same);
    }
}

static void random_order_and_weights(void **state) {
    (void)state;
    ImageTransforms t;
    Error err;
    int first = 0, unordered = 0;
    OK(image_transforms_parse(
        &t,
        "{\"a\": {\"weight\": 3.0, \"type\": \"ColorJitter\", \"kwargs\": {\"hue\": 0.1}},"
        " \"b\": {\"weight\": 1, \"type\": \"SharpnessJitter\", \"kwargs\": {\"sharpness\": [0.5, "
        "1.5]}},"
        " \"never\": {\"weight\": 0.0, \"type\": \"ColorJitter\", \"kwargs\": {\"contrast\": [1, "
        "2]}}}",
        &err));
    assert_int_equal(t.count, 2);
    assert_true(t.list[0].low == -0.1 && t.list[0].high == 0.1);
    t.max_num_transforms = 1;
    for (int row = 0; row < DRAWS; row++) {
        DrawnTransform d[MAX_IMAGE_TRANSFORMS];
        assert_int_equal(image_transforms_draw(&t, 0, row, 0, H, W, d), 1);
        first += d[0].kind == TRANSFORM_HUE;
    }
    assert_within(first, 0.75 * DRAWS, 5 * sqrt(DRAWS * 0.75 * 0.25));
    t.max_num_transforms = 9;
    t.random_order = true;
    for (int row = 0; row < 100; row++) {
        DrawnTransform d[MAX_IMAGE_TRANSFORMS];
        assert_int_equal(image_transforms_draw(&t, 0, row, 0, H, W, d), 2);
        unordered += d[0].kind == TRANSFORM_SHARPNESS;
    }
    assert_true(unordered > 5 && unordered < 60);
}

static void bad_lists_are_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"[1]", "not a JSON object"},
        {"{", "not a JSON object"},
        {"{\"a\": {\"type\": \"GaussianBlur\", \"kwargs\": {\"sigma\": 1}}}", "GaussianBlur"},
        {"{\"a\": {\"type\": \"ColorJitter\", \"kwargs\": {\"hue\": [-0.6, 0.1]}}}", "hue must be"},
        {"{\"a\": {\"type\": \"ColorJitter\", \"kwargs\": {\"hue\": 0.1, \"contrast\": 0.1}}}",
         "alone"},
        {"{\"a\": {\"type\": \"RandomAffine\", \"kwargs\": {\"degrees\": 5, \"shear\": 2}}}",
         "alone"},
        {"{\"a\": {\"type\": \"RandomAffine\", \"kwargs\": {\"degrees\": 5, \"translate\": [2, "
         "0]}}}",
         "translate"},
        {"{\"a\": {\"weight\": \"x\", \"type\": \"Identity\"}}", "weight"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ImageTransforms t;
        Error err;
        assert_false(image_transforms_parse(&t, bad[i][0], &err));
        assert_says(&err, "--dataset.image_transforms.tfs", bad[i][1]);
    }
}

static int set_up(void **state) {
    (void)state;
    Error err;
    OK(safetensors_open("tests/loader/transforms.safetensors", &golden, &err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    safetensors_close(golden);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brightness),
        cmocka_unit_test(contrast),
        cmocka_unit_test(saturation),
        cmocka_unit_test(hue),
        cmocka_unit_test(sharpness),
        cmocka_unit_test(affine),
        cmocka_unit_test(tiny_frames),
        cmocka_unit_test(draws_are_lerobots),
        cmocka_unit_test(draws_depend_on_seed_epoch_row_and_camera),
        cmocka_unit_test(random_order_and_weights),
        cmocka_unit_test(bad_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
