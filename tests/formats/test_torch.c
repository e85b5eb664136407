// SPDX-License-Identifier: Apache-2.0
// State dicts of torch.save: values against PyTorch's, damage, and weights.h. test_torch_pickles.c
// has files that want to do harm.
#include "formats/weights.h"
#include "torch_fixture.h"

// ---- what PyTorch writes ----------------------------------------------------------------------
static const Expected all[] = {
    {"weight", ST_F32, 2, {2, 3}, {1, 2, 3, -4, 5e-20f, 6}},
    {"half", ST_F16, 1, {3}, {0.5, -2, 65504}},
    {"double", ST_F64, 1, {2}, {0.1, 1e300}},
    {"brain", ST_BF16, 1, {2}, {1, -3}},
    {"bn.num_batches_tracked", ST_I64, 0, {0}, {41}},
    {"int", ST_I32, 1, {2}, {-5, 7}},
    {"short", ST_I16, 1, {1}, {-300}},
    {"char", ST_I8, 1, {1}, {-1}},
    {"byte", ST_U8, 1, {1}, {200}},
    {"flag", ST_BOOL, 1, {2}, {1, 0}},
    {"empty", ST_F32, 2, {0, 4}, {0}},
    {"transposed", ST_F32, 2, {4, 3}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
    {"sliced", ST_F32, 2, {2, 2}, {4, 6, 8, 10}},
    {"row", ST_F32, 1, {4}, {8, 9, 10, 11}},
    {"turned", ST_F32, 3, {4, 2, 3}, {0, 4, 8,  12, 16, 20, 1, 5, 9,  13, 17, 21,
                                      2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23}},
    {"shared.a", ST_F32, 2, {2, 2}, {0, 1, 2, 3}},
    {"shared.b", ST_F32, 1, {4}, {2, 3, 4, 5}},
    {"expanded", ST_F32, 2, {2, 3}, {7, 7, 7, 8, 8, 8}},
    {"parameter", ST_F32, 1, {2}, {9, 10}},
};

static void every_form(void **state) {
    (void)state;
    const char *const files[] = {DATA "zip.pth", DATA "old.pth", DATA "zip4.pth", DATA "old4.pth"};
    for (int i = 0; i < 4; i++) {
        Torch *t = opened(files[i]);
        assert_tensors(t, all, sizeof all / sizeof all[0]);
        assert_null(torch_find(t, "Weight"));
        assert_null(torch_find(t, ""));
        float row[4], half[3];
        Error err;
        assert_true(safetensors_copy_f32(torch_find(t, "row"), row, 4, &err));
        assert_true(safetensors_copy_f32(torch_find(t, "half"), half, 3, &err));
        assert_true(row[3] == 11 && half[2] == 65504);
        torch_close(t);
    }
}

static void module_state(void **state) {
    (void)state;
    const char *const names[] = {"0.weight",       "1.weight",      "1.bias",
                                 "1.running_mean", "1.running_var", "1.num_batches_tracked"};
    // The file "wrapped" holds the same tensors under "state_dict", with an optimiser beside them.
    const char *const files[] = {DATA "module.pth", DATA "wrapped.pth"};
    for (int k = 0; k < 2; k++) {
        Torch *t = opened(files[k]);
        assert_int_equal(torch_count(t), 6);
        for (int i = 0; i < 6; i++) assert_string_equal(torch_entry(t, i)->name, names[i]);
        assert_int_equal(torch_find(t, "0.weight")->rank, 4);
        assert_true(safetensors_value(torch_find(t, "1.running_var"), 1) == 1);
        torch_close(t);
    }
}

static void nested(void **state) {
    (void)state;
    const Expected expected[] = {{"encoder.w", ST_F32, 1, {1}, {1}},
                                 {"groups.0.step", ST_F32, 1, {1}, {2}},
                                 {"groups.1.0", ST_F32, 1, {1}, {3}},
                                 {"5", ST_F32, 1, {1}, {4}}};
    Torch *t = opened(DATA "nested.pth");
    assert_tensors(t, expected, 4);
    torch_close(t);
}

// ---- damage -----------------------------------------------------------------------------------
// Whether two files hold the same tensors; touches every byte of both.
static bool same(const Torch *a, const Torch *b) {
    if (torch_count(a) != torch_count(b)) return false;
    bool equal = true;
    for (int i = 0; i < torch_count(a); i++) {
        const SafetensorsEntry *x = torch_entry(a, i), *y = torch_entry(b, i);
        equal = equal && strcmp(x->name, y->name) == 0 && x->rank == y->rank &&
                x->type == y->type && x->bytes == y->bytes &&
                memcmp(x->data, y->data, x->bytes) == 0;
    }
    return equal;
}

static void cut_anywhere(void **state) {
    (void)state;
    const char *const files[] = {DATA "zip_small.pth", DATA "old_small.pth", DATA "zip4.pth",
                                 DATA "old4.pth"};
    for (int k = 0; k < 4; k++) {
        char *data;
        size_t size;
        Error err;
        assert_true(file_read(files[k], &data, &size, &err));
        for (size_t n = 0; n < size; n++) {
            Torch *t = NULL;
            write_file(data, n);
            if (torch_open(path, &t, &err)) fail_msg("%s is read when cut to %zu", files[k], n);
            assert_null(strchr(err.text, '\n'));
        }
        mem_free(data);
    }
}

static void flipped_anywhere(void **state) {
    (void)state;
    const char *const files[] = {DATA "zip_small.pth", DATA "old_small.pth", DATA "old4.pth"};
    static const uint8_t flips[] = {0x01, 0x80, 0x20, 0xff};
    for (int k = 0; k < 3; k++) {
        char *data;
        size_t size;
        Error err;
        Torch *whole = opened(files[k]);
        assert_true(file_read(files[k], &data, &size, &err));
        for (size_t n = 0; n < size; n++)
            for (size_t f = 0; f < sizeof flips; f++) {
                Torch *t = NULL;
                data[n] ^= (char)flips[f];
                write_file(data, size);
                data[n] ^= (char)flips[f];
                if (!torch_open(path, &t, &err)) continue;
                // The checksums of an archive cover every byte of a tensor.
                if (!same(whole, t) && k == 0)
                    fail_msg("%s, byte %zu ^ %02x is read", files[k], n, flips[f]);
                torch_close(t);
            }
        torch_close(whole);
        mem_free(data);
    }
}

// ---- weights.h --------------------------------------------------------------------------------
static void by_content(void **state) {
    (void)state;
    const float x[2] = {1, 2};
    const SafetensorsEntry e = {"x", ST_F32, 1, {2}, 2, x, sizeof x};
    Weights *w = NULL;
    Error err;
    char file[] = "/tmp/tact-weights-XXXXXX";
    assert_int_equal(close(mkstemp(file)), 0);
    assert_true(safetensors_write(file, &e, 1, false, &err));
    assert_true(weights_open(file, &w, &err));
    unlink(file);
    assert_int_equal(weights_count(w), 1);
    assert_string_equal(weights_entry(w, 0)->name, "x");
    assert_memory_equal(weights_find(w, "x")->data, x, sizeof x);
    assert_null(weights_find(w, "y"));
    weights_close(w);
    assert_true(weights_open(DATA "old_small.pth", &w, &err));
    assert_int_equal(weights_count(w), 2);
    assert_string_equal(weights_entry(w, 1)->name, "b");
    assert_true(safetensors_value(weights_find(w, "b"), 1) == 3);
    weights_close(w);
    assert_true(weights_open(DATA "zip_small.pth", &w, &err));
    assert_true(safetensors_value(weights_find(w, "b"), 1) == 3);
    weights_close(w);
    write_file("version https://", 16);
    assert_false(weights_open(path, &w, &err));
    assert_non_null(strstr(err.text, "neither a safetensors file"));
    assert_false(weights_open("/nonexistent/x", &w, &err));
    weights_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form),       cmocka_unit_test(module_state),
        cmocka_unit_test(nested),           cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(flipped_anywhere), cmocka_unit_test(by_content),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
