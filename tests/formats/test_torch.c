// SPDX-License-Identifier: Apache-2.0
// State dicts of torch.save: values against PyTorch's, and files that want to do harm.
#include "base/file.h"
#include "base/memory.h"
#include "formats/torch.h"
#include "formats/weights.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA "tests/formats/data/torch/"
static char path[64]; // a file in memory: thousands of damaged ones are written
static int memory;

static int make_path(void **state) {
    (void)state;
    memory = memfd_create("torch", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    return memory < 0 ? -1 : 0;
}

static int remove_path(void **state) {
    (void)state;
    return close(memory);
}

static void write_file(const void *data, size_t size) {
    assert_int_equal(ftruncate(memory, 0), 0);
    assert_int_equal(pwrite(memory, data, size, 0), size);
}

static Torch *opened(const char *file) {
    Torch *t = NULL;
    Error err = {"nothing"};
    if (!torch_open(file, &t, &err)) fail_msg("%s", err.text);
    return t;
}

// ---- what PyTorch writes ----------------------------------------------------------------------
typedef struct Expected {
    const char *name;
    SafetensorsType type;
    int rank;
    int64_t shape[3];
    double values[24];
} Expected;

static void assert_tensors(const Torch *t, const Expected *expected, int count) {
    assert_int_equal(torch_count(t), count);
    for (int i = 0; i < count; i++) {
        const Expected *x = &expected[i];
        const SafetensorsEntry *e = torch_entry(t, i);
        int64_t n = 1;
        assert_string_equal(e->name, x->name);
        assert_ptr_equal(torch_find(t, x->name), e);
        assert_int_equal(e->type, x->type);
        assert_int_equal(e->rank, x->rank);
        for (int d = 0; d < x->rank; d++) {
            assert_int_equal(e->shape[d], x->shape[d]);
            n *= x->shape[d];
        }
        assert_int_equal(e->count, n);
        assert_int_equal(e->bytes, (size_t)n * safetensors_type_size(e->type));
        for (int64_t k = 0; k < n; k++)
            if (!(safetensors_value(e, k) == x->values[k]))
                fail_msg("%s[%d] is %g, not %g", x->name, (int)k, safetensors_value(e, k),
                         x->values[k]);
    }
}

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

// ---- files made by hand, in the older form ----------------------------------------------------
typedef struct Bytes {
    uint8_t data[4096];
    size_t size;
} Bytes;

static void put(Bytes *b, const void *data, size_t size) {
    assert_true(b->size + size <= sizeof b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}
#define PUT(b, literal) put(b, literal, sizeof(literal) - 1)

static void put_text(Bytes *b, const char *text) {
    uint32_t n = (uint32_t)strlen(text);
    PUT(b, "X");
    put(b, &n, 4);
    put(b, text, n);
}

static void put_int(Bytes *b, int64_t n) {
    PUT(b, "\x8a\x08");
    put(b, &n, 8);
}

static void put_preamble(Bytes *b, bool little) {
    PUT(b, "\x80\x02\x8a\x0al\xfc\x9c"
           "F\xf9 j\xa8P\x19.");
    PUT(b, "\x80\x02M\xe9\x03.\x80\x02}");
    put_text(b, "little_endian");
    if (little)
        PUT(b, "\x88s.\x80\x02");
    else
        PUT(b, "\x89s.\x80\x02");
}

static void put_storage(Bytes *b, const char *type, const char *key, int64_t count) {
    PUT(b, "(");
    put_text(b, "storage");
    PUT(b, "ctorch\n");
    put(b, type, strlen(type));
    PUT(b, "\n");
    put_text(b, key);
    put_text(b, "cpu");
    put_int(b, count);
    PUT(b, "NtQ");
}

// A rank-1 view of four floats in storage "k".
static void put_tensor(Bytes *b, int64_t offset, int64_t length, int64_t stride) {
    PUT(b, "ctorch._utils\n_rebuild_tensor_v2\n(");
    put_storage(b, "FloatStorage", "k", 4);
    put_int(b, offset);
    put_int(b, length);
    PUT(b, "\x85");
    put_int(b, stride);
    PUT(b, "\x85\x89"
           "ccollections\nOrderedDict\n)RtR");
}

static void put_storages(Bytes *b, const char *key, int64_t count) {
    const float values[4] = {1, 2, 3, 4};
    PUT(b, "\x80\x02](");
    put_text(b, key);
    PUT(b, "e.");
    put(b, &count, 8);
    put(b, values, sizeof values);
}

static void write_bytes(const Bytes *b) {
    write_file(b->data, b->size);
}

static void assert_refused(const char *file, const char *what) {
    Torch *t = NULL;
    Error err = {"nothing"};
    if (torch_open(file, &t, &err)) fail_msg("was read, but should say: %s", what);
    if (!strstr(err.text, what) || strncmp(err.text, file, strlen(file)) != 0 ||
        strchr(err.text, '\n'))
        fail_msg("\"%s\" does not name the file and say \"%s\"", err.text, what);
}

// A whole file around the object pickle in `object` (without its STOP).
static void write_object(const Bytes *object) {
    Bytes b = {.size = 0};
    put_preamble(&b, true);
    put(&b, object->data, object->size);
    PUT(&b, ".");
    put_storages(&b, "k", 4);
    write_bytes(&b);
}

static void by_hand(void **state) {
    (void)state;
    Bytes o = {.size = 0};
    // Here are integers of several widths, and every value is a list of pairs, as Python 2 wrote an
    // OrderedDict.
    PUT(&o, "ccollections\nOrderedDict\n](](U\x01"
            "ae");
    PUT(&o, "0"); // no such operation among those known
    write_object(&o);
    assert_refused(path, "operation 0x30");
    o.size = 0;
    PUT(&o, "ccollections\nOrderedDict\n](](U\x01"
            "a");
    put_tensor(&o, 1, 3, 1);
    PUT(&o, "ee\x85R");
    write_object(&o);
    Torch *t = opened(path);
    const Expected expected = {"a", ST_F32, 1, {3}, {2, 3, 4}};
    assert_tensors(t, &expected, 1);
    torch_close(t);
}

static void views_outside(void **state) {
    (void)state;
    static const struct {
        int64_t offset, length, stride;
        const char *what; // NULL: fits
    } views[] = {
        {0, 4, 1, NULL},
        {3, 1, 1, NULL},
        {0, 2, 3, NULL},
        {4, 0, 1, NULL},
        {3, 4, 0, NULL},
        {0, 5, 1, "outside"},
        {1, 4, 1, "outside"},
        {4, 1, 1, "outside"},
        {0, 3, 2, "outside"},
        {-1, 1, 1, "outside"},
        {5, 0, 1, "outside"},
        {INT64_MAX, 2, 1, "impossible"},
        {0, 4, INT64_MAX, "impossible"},
        {0, INT64_MAX, INT64_MAX, "impossible"},
        {0, -1, 1, "impossible"},
        {3, 4, -1, "impossible"},
        {INT64_MIN, 1, 1, "outside"},
        {0, INT64_MAX, 0, "unfold"},
        {0, 1 << 28, 0, "unfold"},
    };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        Bytes o = {.size = 0};
        PUT(&o, "}");
        put_text(&o, "w");
        put_tensor(&o, views[i].offset, views[i].length, views[i].stride);
        PUT(&o, "s");
        write_object(&o);
        if (views[i].what)
            assert_refused(path, views[i].what);
        else
            torch_close(opened(path));
    }
}

static void storages_that_lie(void **state) {
    (void)state;
    Bytes o = {.size = 0}, b = {.size = 0};
    PUT(&o, "}");
    put_text(&o, "w");
    put_tensor(&o, 0, 4, 1);
    PUT(&o, "s.");
    static const struct {
        const char *key;
        int64_t count;
        const char *what;
    } cases[] = {{"other", 4, "belongs to no tensor"},
                 {"k", 3, "has 12 bytes"},
                 {"k", 5, "cut short"},
                 {"k", -1, "cut short"},
                 {"k", INT64_MAX / 4, "cut short"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        b.size = 0;
        put_preamble(&b, true);
        put(&b, o.data, o.size);
        put_storages(&b, cases[i].key, cases[i].count);
        write_bytes(&b);
        assert_refused(path, cases[i].what);
    }
    b.size = 0; // no storage at all
    put_preamble(&b, true);
    put(&b, o.data, o.size);
    PUT(&b, "\x80\x02].");
    write_bytes(&b);
    assert_refused(path, "is not in the file");
    b.size = 0; // twice
    put_preamble(&b, true);
    put(&b, o.data, o.size);
    PUT(&b, "\x80\x02](");
    put_text(&b, "k");
    put_text(&b, "k");
    PUT(&b, "e.\x04\0\0\0\0\0\0\0abcdefghijklmnop\x04\0\0\0\0\0\0\0abcdefghijklmnop");
    write_bytes(&b);
    assert_refused(path, "comes twice");
    b.size = 0; // more than the storages
    put_preamble(&b, true);
    put(&b, o.data, o.size);
    put_storages(&b, "k", 4);
    PUT(&b, "x");
    write_bytes(&b);
    assert_refused(path, "1 bytes behind the last storage");
    b.size = 0;
    put_preamble(&b, false);
    put(&b, o.data, o.size);
    put_storages(&b, "k", 4);
    write_bytes(&b);
    assert_refused(path, "big-endian");
    o.size = 0; // one storage, two types
    PUT(&o, "}(");
    put_text(&o, "w");
    put_tensor(&o, 0, 4, 1);
    put_text(&o, "x");
    put_storage(&o, "HalfStorage", "k", 4);
    PUT(&o, "u");
    write_object(&o);
    assert_refused(path, "two different things");
}

static void refuse_object(const char *pickle, size_t size, const char *what) {
    Bytes b = {.size = 0};
    put_preamble(&b, true);
    put(&b, pickle, size);
    PUT(&b, ".\x80\x02].");
    write_bytes(&b);
    assert_refused(path, what);
}
#define REFUSE(pickle, what) refuse_object(pickle, sizeof(pickle) - 1, what)

static void pickles_that_act(void **state) {
    (void)state;
    unlink("/tmp/tact-was-here");
    assert_refused(DATA "evil.pth", "its pickle calls posix.system; only tensors are read");
    assert_refused(DATA "evil_old.pth", "its pickle calls posix.system; only tensors are read");
    assert_int_not_equal(access("/tmp/tact-was-here", F_OK), 0);
    REFUSE("cos\nsystem\nX\x02\0\0\0id\x85R", "its pickle calls os.system; only tensors are read");
    REFUSE("cbuiltins\neval\nX\x01\0\0\0"
           "1\x85R",
           "builtins.eval");
    REFUSE("\x8c\x02os\x8c\x06system\x93X\x02\0\0\0id\x85R", "calls os.system;");
    REFUSE("\x8c\x08"
           "builtins\x8c\x04"
           "eval)\x81",
           "calls what is no function"); // two texts are no name
    REFUSE("ctorch\nload\n", "calls torch.load;");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "_rebuild_tensor_v2.__globals__");
    REFUSE("ctorch._utils\n\n", "calls torch._utils.;");
    REFUSE("c\x1b[2J\nx\ty\n", "calls ?[2J.x?y;"); // no control bytes on the terminal
    // Known names with wrong arguments.
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\n)R", "other arguments than a storage");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR", "other arguments than a storage");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\nX\x02\0\0\0idR", "calls what is no function");
    REFUSE("ctorch._utils\n_rebuild_parameter\n(X\x02\0\0\0id\x88NtR",
           "something that is no tensor");
    REFUSE("ctorch\nSize\nNR", "calls what is no function");
    REFUSE("ctorch\nSize\nN\x85R", "something that is no tuple");
    REFUSE("ctorch\nFloatStorage\n)R", "storages are only named");
    REFUSE("ccollections\nOrderedDict\nK\x01\x85R", "a list of pairs");
    REFUSE("ccollections\nOrderedDict\n](K\x01"
           "e\x85R",
           "a list of pairs");
    REFUSE("X\x02\0\0\0id)R", "calls what is no function");
    REFUSE("ctorch\nFloatStorage\nQ", "names a storage in a form");
    REFUSE("(X\x07\0\0\0storageX\x02\0\0\0osNNNtQ", "names a storage in a form");
    REFUSE("(X\x06\0\0\0moduleX\x02\0\0\0osNNNtQ", "names a storage in a form");
}

static void pickles_that_break(void **state) {
    (void)state;
    REFUSE("", "takes more from its stack");
    REFUSE("\x85", "takes more from its stack");
    REFUSE("t", "ends a group that never began");
    REFUSE("(N", "ends within a group");
    REFUSE("}N(Ns", "takes more from its stack"); // below the mark
    REFUSE("NN(\x86t", "takes more from its stack");
    REFUSE("}(Nu", "a key without a value");
    REFUSE("N(NNu", "fills a value that holds none");
    REFUSE("]NNs", "fills a value that holds none");
    REFUSE("h\0", "recalls what it never kept");
    REFUSE("j\xff\xff\xff\xff", "recalls what it never kept");
    REFUSE("Nr\xff\xff\xff\xff", "more than 1048576 values"); // no table of 4 G entries
    REFUSE("X\xff\xff\xff\xff", "cut short");
    REFUSE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "cut short");
    REFUSE("X\x03\0\0\0a\0b", "zero byte");
    REFUSE("\x80\x06", "unknown protocol");
    REFUSE("NNb", "fills a value that holds none");
    REFUSE("N", "no dict of tensors");
    REFUSE("]q\0h\0a", "no dict of tensors");
    REFUSE("}q\0X\x01\0\0\0ah\0s", "more than 32 deep"); // a dict in itself
    // Thirty dicts, each of which stands twice in the next: a billion paths.
    Bytes o = {.size = 0};
    PUT(&o, "}");
    for (int i = 0; i < 30; i++) PUT(&o, "q\x01}(K\x01h\x01K\x02h\x01u");
    refuse_object((const char *)o.data, o.size, "unfold to more than");
    // Deep nesting costs the reader no stack of its own.
    uint8_t *deep = mem_alloc(1 << 20);
    Bytes start = {.size = 0};
    put_preamble(&start, true);
    memcpy(deep, start.data, start.size);
    memset(deep + start.size, '(', (1 << 20) - start.size);
    write_file(deep, 1 << 20);
    assert_refused(path, "cut short");
    memset(deep + start.size, ')', (1 << 20) - start.size);
    write_file(deep, 1 << 20);
    assert_refused(path, "cut short");
    mem_free(deep);
}

static void names_that_clash(void **state) {
    (void)state;
    Bytes o = {.size = 0};
    PUT(&o, "}(");
    for (int i = 0; i < 2; i++) {
        put_text(&o, "w");
        put_tensor(&o, 0, 4, 1);
    }
    PUT(&o, "u");
    write_object(&o);
    assert_refused(path, "two tensors are named \"w\"");
    char name[600];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    o.size = 0;
    PUT(&o, "}");
    put_text(&o, name);
    put_tensor(&o, 0, 4, 1);
    PUT(&o, "s");
    write_object(&o);
    assert_refused(path, "longer than 512");
}

static void other_files(void **state) {
    (void)state;
    assert_refused("/nonexistent/x.pth", "cannot open");
    write_file("", 0);
    assert_refused(path, "not a file of torch.save");
    write_file("<html>not found</html>", 22);
    assert_refused(path, "not a file of torch.save");
    write_file("\x80\x02}.", 4);
    assert_refused(path, "not one that torch.save wrote");
    write_file("PK\3\4 and then nothing", 21);
    assert_refused(path, "not a readable zip archive");
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
        cmocka_unit_test(nested),           cmocka_unit_test(by_hand),
        cmocka_unit_test(views_outside),    cmocka_unit_test(storages_that_lie),
        cmocka_unit_test(pickles_that_act), cmocka_unit_test(pickles_that_break),
        cmocka_unit_test(names_that_clash), cmocka_unit_test(other_files),
        cmocka_unit_test(cut_anywhere),     cmocka_unit_test(flipped_anywhere),
        cmocka_unit_test(by_content),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
