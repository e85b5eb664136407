// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/memory.h"
#include "formats/safetensors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int make_path(void **state) {
    (void)state;
    strcpy(path, "/tmp/tact-safetensors-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

static void write_raw(const char *header, uint64_t claimed, size_t data_bytes) {
    size_t length = strlen(header);
    uint8_t *file = mem_alloc(8 + length + data_bytes);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)(claimed >> (8 * i));
    memcpy(file + 8, header, length);
    Error err;
    assert_true(file_write(path, file, 8 + length + data_bytes, &err));
    mem_free(file);
}

static void assert_refused(const char *what) {
    Safetensors *s = NULL;
    Error err = {"nothing"};
    if (safetensors_open(path, &s, &err)) fail_msg("was read, but should say: %s", what);
    if (!strstr(err.text, what) || strncmp(err.text, path, strlen(path)) != 0 ||
        strchr(err.text, '\n'))
        fail_msg("\"%s\" does not name the file and say \"%s\"", err.text, what);
}

// The file's JSON header holds this text.
static void assert_header_holds(const char *text) {
    char *data;
    size_t size;
    Error err;
    assert_true(file_read(path, &data, &size, &err));
    assert_non_null(memmem(data, size, text, strlen(text)));
    mem_free(data);
}

static void round_trip(void **state) {
    (void)state;
    const float b[2][3] = {{1, 2, 3}, {-4, 5e-20f, 6}};
    const int64_t step = -7;
    const float scalar = 0.5f;
    const uint8_t flags[3] = {1, 0, 1};
    const SafetensorsEntry in[] = {
        {"flags", ST_BOOL, 1, {3}, 3, flags, 3},
        {"b.weight", ST_F32, 2, {2, 3}, 6, b, sizeof b},
        {"a \"quoted\" näme", ST_F32, 0, {0}, 1, &scalar, sizeof scalar},
        {"step", ST_I64, 1, {1}, 1, &step, sizeof step},
        {"empty", ST_F32, 2, {0, 4}, 0, NULL, 0},
    };
    Error err;
    Safetensors *s = NULL;
    assert_true(safetensors_write(path, in, 5, true, &err));
    assert_true(safetensors_open(path, &s, &err));
    assert_int_equal(safetensors_count(s), 5);
    assert_header_holds("\"__metadata__\":{\"format\":\"pt\"}");
    assert_null(safetensors_find(s, "B.weight"));
    // Wider types first, then by name.
    assert_string_equal(safetensors_entry(s, 0)->name, "step");
    assert_string_equal(safetensors_entry(s, 1)->name, "a \"quoted\" näme");
    assert_string_equal(safetensors_entry(s, 2)->name, "b.weight");
    assert_string_equal(safetensors_entry(s, 4)->name, "flags");
    const SafetensorsEntry *e = safetensors_find(s, "b.weight");
    assert_int_equal(e->rank, 2);
    assert_int_equal(e->shape[1], 3);
    float copy[6];
    assert_true(safetensors_copy_f32(e, copy, 6, &err));
    assert_memory_equal(copy, b, sizeof b);
    assert_false(safetensors_copy_f32(e, copy, 5, &err));
    assert_non_null(strstr(err.text, "b.weight"));
    assert_false(safetensors_copy_f32(safetensors_find(s, "step"), copy, 1, &err));
    assert_true(safetensors_value(safetensors_find(s, "step"), 0) == -7.0);
    assert_true(safetensors_value(safetensors_find(s, "flags"), 1) == 0.0);
    assert_int_equal(safetensors_find(s, "empty")->count, 0);
    safetensors_close(s);
}

static void header_bytes(void **state) {
    (void)state;
    const float x = 1;
    const SafetensorsEntry e = {"x", ST_F32, 1, {1}, 1, &x, 4};
    const char expected[] = "\x40\0\0\0\0\0\0\0"
                            "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
                            "        \0\0\x80\x3f";
    Error err;
    char *data;
    size_t size;
    assert_true(safetensors_write(path, &e, 1, false, &err));
    assert_true(file_read(path, &data, &size, &err));
    uint64_t length;
    memcpy(&length, data, 8);
    assert_int_equal(length % 8, 0);
    assert_int_equal(size, 8 + length + 4);
    assert_memory_equal(data + 8, expected + 8, 54);
    assert_memory_equal(data + 8 + length, &x, 4);
    mem_free(data);
}

static void refuses_bad_entries_to_write(void **state) {
    (void)state;
    const float x[2] = {1, 2};
    const SafetensorsEntry wrong = {"x", ST_F32, 1, {3}, 2, x, 8};
    const SafetensorsEntry twice[2] = {{"x", ST_F32, 1, {2}, 2, x, 8},
                                       {"x", ST_F32, 1, {1}, 1, x, 4}};
    Error err;
    assert_false(safetensors_write(path, &wrong, 1, false, &err));
    assert_false(safetensors_write(path, twice, 2, false, &err));
    assert_false(safetensors_write("/nonexistent/x", twice, 1, false, &err));
    assert_non_null(strstr(err.text, "/nonexistent/x"));
}

// Types that are read but that training does not write, at unaligned positions.
static void small_floats(void **state) {
    (void)state;
    const char *header = "{\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"h\":{\"dtype\":\"F16\",\"shape\":[5],\"data_offsets\":[1,11]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[11,15]},"
                         "\"d\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[15,23]}}";
    const uint16_t half[5] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00}, brain[2] = {0x3f80, 0xc040};
    const double d = 0.1;
    size_t length = strlen(header);
    uint8_t *file = mem_alloc(8 + length + 23);
    Error err;
    Safetensors *s = NULL;
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    file[8 + length] = 200;
    memcpy(file + 8 + length + 1, half, 10);
    memcpy(file + 8 + length + 11, brain, 4);
    memcpy(file + 8 + length + 15, &d, 8);
    assert_true(file_write(path, file, 8 + length + 23, &err));
    mem_free(file);
    assert_true(safetensors_open(path, &s, &err));
    const SafetensorsEntry *h = safetensors_find(s, "h"), *b = safetensors_find(s, "b");
    const double expected[5] = {1, -2, ldexp(1, -24), 65504, INFINITY};
    for (int i = 0; i < 5; i++) assert_true(safetensors_value(h, i) == expected[i]);
    float f[2];
    assert_true(safetensors_copy_f32(b, f, 2, &err));
    assert_true(f[0] == 1.0f && f[1] == -3.0f);
    assert_true(safetensors_value(safetensors_find(s, "d"), 0) == 0.1);
    assert_true(safetensors_value(safetensors_find(s, "u"), 0) == 200.0);
    safetensors_close(s);
}

#define X(fields) "{\"x\":{" fields "}}"

static void refuses_damaged_files(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *what;
    } cases[] = {
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"), 4, "cut short"},
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"), 9, "belong to no tensor"},
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]"), 12, "hole"},
        {X("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"), 8, "3 elements of F32"},
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]"), 8, "outside the data"},
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]"), 8, "outside the data"},
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0.0,8.0]"), 8, "outside the data"},
        {X("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]"), 8, "outside the data"},
        {X("\"dtype\":\"F32\",\"shape\":[2]"), 8, "outside the data"},
        {X("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"), 8, "impossible shape"},
        {X("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]"), 8,
         "impossible shape"},
        {X("\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,8]"), 8,
         "elements"},
        {X("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4,
         "no shape"},
        {X("\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]"), 8, "no shape"},
        {X("\"dtype\":\"Q8\",\"shape\":[2],\"data_offsets\":[0,8]"), 8, "dtype Q8"},
        {X("\"shape\":[2],\"data_offsets\":[0,8]"), 8, "dtype missing"},
        {"{\"x\":1}", 0, "not described by an object"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "overlaps"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "duplicate"},
        {"{\"__metadata__\":{\"format\":1}}", 0, "__metadata__"},
        {"{\"x\":", 0, "not valid JSON"},
        {"{}\n,", 0, "not valid JSON"},
        {"[1]", 0, "no safetensors header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_raw(cases[i].header, strlen(cases[i].header), cases[i].data);
        assert_refused(cases[i].what);
    }
    write_raw("{}", 1u << 30, 0);
    assert_refused("cut short");
    write_raw("{}", UINT64_MAX, 0);
    assert_refused("cut short");
    write_raw("{}", 0, 0);
    assert_refused("no safetensors header");
    Error err;
    assert_true(file_write(path, "\1\0\0", 3, &err));
    assert_refused("fewer than the 8");
    assert_true(file_write(path, "", 0, &err));
    assert_refused("fewer than the 8");
}

// Values of a tensor, each another.
static float *many_values(int64_t n, float first) {
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < n; i++) values[i] = first + (float)i;
    return values;
}

static void check_tensor(const Safetensors *s, const char *name, const float *values, int64_t n) {
    const SafetensorsEntry *e = safetensors_find(s, name);
    assert_non_null(e);
    assert_true(e->count == n);
    assert_non_null(e->data);
    assert_memory_equal(e->data, values, (size_t)n * sizeof *values);
}

// Data are read in pieces, by several threads, and without what is large and not wanted.
static void parts_are_left_out(void **state) {
    (void)state;
    enum { SMALL = 5, LARGE = 1300000, LAST = 700001 };
    float *a = many_values(SMALL, 1), *large = many_values(LARGE, 2), *last = many_values(LAST, 3);
    SafetensorsEntry in[] = {
        {"a", ST_F32, 1, {SMALL}, SMALL, a, SMALL * sizeof *a},
        {"vae.large", ST_F32, 1, {LARGE}, LARGE, large, LARGE * sizeof *large},
        {"vae.small", ST_F32, 1, {SMALL}, SMALL, a, SMALL * sizeof *a},
        {"z", ST_F32, 1, {LAST}, LAST, last, LAST * sizeof *last},
    };
    Error err;
    Safetensors *s = NULL;
    assert_true(safetensors_write(path, in, 4, false, &err));
    assert_true(safetensors_open(path, &s, &err));
    check_tensor(s, "a", a, SMALL);
    check_tensor(s, "vae.large", large, LARGE);
    check_tensor(s, "vae.small", a, SMALL);
    check_tensor(s, "z", last, LAST);
    assert_true(safetensors_finite(s));
    safetensors_close(s);

    assert_true(safetensors_open_without(path, "vae.", &s, &err));
    assert_int_equal(safetensors_count(s), 4);
    check_tensor(s, "a", a, SMALL);
    check_tensor(s, "z", last, LAST);
    assert_null(safetensors_find(s, "vae.large")->data);
    assert_null(safetensors_find(s, "vae.small")->data);
    assert_true(safetensors_finite(s));
    safetensors_close(s);

    // What is not large is read all the same.
    assert_true(safetensors_open_without(path, "a", &s, &err));
    check_tensor(s, "a", a, SMALL);
    safetensors_close(s);

    // Of what is not read nobody knows whether it is finite; of the rest, to its last value.
    large[LARGE / 2] = INFINITY;
    assert_true(safetensors_write(path, in, 4, false, &err));
    assert_true(safetensors_open(path, &s, &err));
    assert_false(safetensors_finite(s));
    safetensors_close(s);
    assert_true(safetensors_open_without(path, "vae.", &s, &err));
    assert_true(safetensors_finite(s));
    safetensors_close(s);
    last[LAST - 1] = NAN;
    assert_true(safetensors_write(path, in, 4, false, &err));
    assert_true(safetensors_open_without(path, "vae.", &s, &err));
    assert_false(safetensors_finite(s));
    safetensors_close(s);
    free(a);
    free(large);
    free(last);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),   cmocka_unit_test(parts_are_left_out),
        cmocka_unit_test(header_bytes), cmocka_unit_test(refuses_bad_entries_to_write),
        cmocka_unit_test(small_floats), cmocka_unit_test(refuses_damaged_files),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
